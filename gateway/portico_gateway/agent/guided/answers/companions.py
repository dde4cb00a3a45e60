"""What is printed beside the chosen passage of a document, or place in code: the next best ones, while all of it is short.

They are told apart by words and vectors, and the best of them is often the neighbour of the one that answers. Three short ones
are read at a glance. It weighs nothing itself, and knows nothing of results that are neither documents nor source files.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest

from portico_gateway.agent.guided.extraction.candidate import AnswerCandidate, is_source

MOST = 3  # passages or places in all, of one kind,
MOST_MIXED = 4  # of two;
LINES = 12  # of so many lines together,
NUMBERS = 9  # and numbers: a reader shall see at once which is meant
SAME_HIT = 1.0  # nats more for what the section of the chosen one says further
_NUMBER = re.compile(r"(?<![\w.:])\d[\d,_]*(?:\.\d+)?(?![\w:])")
_PLACE = re.compile(r"[\w./-]*\w\.\w{1,5}:\d+")  # file.py:12, whose number is nobody's answer


@dataclass(frozen=True, slots=True)
class Bounds:
    """How near, in nats, to the chosen one what stands beside it must be; how many characters they may have together."""

    near: float
    characters: int


OF_DOCUMENTS = Bounds(near=3.0, characters=800)
OF_CODE = Bounds(near=3.0, characters=1_000)


def bounds_of(chosen: AnswerCandidate) -> Bounds | None:
    """None where the chosen one stands alone."""
    return OF_DOCUMENTS if chosen.features is not None else OF_CODE if is_source(chosen) else None


def companions(chosen: AnswerCandidate, others: Sequence[AnswerCandidate]) -> list[AnswerCandidate]:
    """What to print behind the chosen one, best first: of the same kind as it is."""
    bounds = bounds_of(chosen)
    if bounds is None:
        return []
    kept = [chosen]
    alike = [one for one in others if bounds_of(one) is bounds]
    for other in sorted(alike, key=lambda one: -_weight(one) - SAME_HIT * (_in_same_hit(one, chosen))):
        if len(kept) == MOST:
            break
        if _weight(chosen) - _weight(other) > bounds.near or _said(other, kept):
            continue
        if _is_short([*kept, beside := _behind(other)], bounds.characters):
            kept.append(beside)
    return kept[1:]


def _behind(other: AnswerCandidate) -> AnswerCandidate:
    return replace(other, text=other.short) if other.short else other


def mixed(own: Sequence[AnswerCandidate], other: Sequence[AnswerCandidate], *, rivals: bool) -> list[AnswerCandidate]:
    """Both kinds; empty where they are of one kind or there is no room for both. Of `rivals`, neither of which is clearly
    surer, the first of either, as whole as there is room, and what else of both has room, in turns; else the own ones, and the
    first other where it has room behind them."""
    if not own or not other or bounds_of(own[0]) is bounds_of(other[0]):
        return []
    room = max(OF_DOCUMENTS.characters, OF_CODE.characters)
    if not rivals:
        return next(([*own, one] for one in (other[0], _behind(other[0])) if _is_short([*own, one], room)), [])
    pairs = ([first, one] for first in (own[0], _behind(own[0])) for one in (other[0], _behind(other[0])))
    kept = next((pair for pair in pairs if _is_short(pair, room)), [])
    for one in chain.from_iterable(zip_longest(own[1:], other[1:])) if kept else ():
        if one is not None and len(kept) < MOST_MIXED and not _said(one, kept) and _is_short([*kept, _behind(one)], room):
            kept.append(_behind(one))
    return kept


def together(chosen: AnswerCandidate, beside: Sequence[AnswerCandidate]) -> AnswerCandidate:
    """The chosen one, and what is printed beside it, as one: it stands where the chosen one does."""
    return replace(chosen, text="\n\n".join(one.text for one in (chosen, *beside))) if beside else chosen


def share(printed: Sequence[AnswerCandidate], every: Sequence[AnswerCandidate]) -> float:
    """The part of all candidates' odds that is printed, 0 to 1: their weights are nats."""
    highest = max((_weight(one) for one in every), default=0.0)
    odds = {one.text: math.exp(_weight(one) - highest) for one in every}
    return sum(odds.get(one.text, 0.0) for one in printed) / max(sum(odds.values()), 1e-9)


def _weight(candidate: AnswerCandidate) -> float:
    return candidate.weight or 0.0


def _in_same_hit(one: AnswerCandidate, chosen: AnswerCandidate) -> bool:
    return chosen.features is not None and one.rank == chosen.rank


def _said(candidate: AnswerCandidate, kept: Sequence[AnswerCandidate]) -> bool:
    """Is it told already? Of a place in code: all of its lines but the one that says where it is."""
    if not candidate.focus:
        lines = _own_lines(candidate.text)
        return any(lines <= _own_lines(one.text) for one in kept)
    return any(candidate.focus in one.text or one.text in candidate.text for one in kept)


def _own_lines(text: str) -> frozenset[str]:
    return frozenset(line for raw in text.splitlines() if (line := _PLACE.sub("", raw).strip(" :")))


def _is_short(candidates: Sequence[AnswerCandidate], characters: int) -> bool:
    lines = sum(bool(line.strip()) for one in candidates for line in one.text.splitlines())
    numbers = sum(len(_NUMBER.findall(_PLACE.sub("", one.text))) for one in candidates)
    return lines <= LINES and numbers <= NUMBERS and sum(len(one.text) for one in candidates) <= characters
