"""What is printed beside the chosen passage of a document: the next best ones, while all of it is short.

Passages are told apart by words and vectors, and the best of them is often the neighbour of the one that answers. Three short
ones are read at a glance. It weighs nothing itself, and knows nothing of results that are no documents.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace

from portico_gateway.agent.guided.extraction.candidate import AnswerCandidate

MOST = 3  # passages in all,
CHARACTERS = 800  # of so many characters together,
LINES = 12  # and lines,
NUMBERS = 9  # and numbers: a reader shall see at once which is meant
NEAR = 3.0  # nats up to which less than the chosen one a passage may say what it leaves open
_NUMBER = re.compile(r"(?<![\w.])\d[\d,_]*(?:\.\d+)?")
SAME_HIT = 1.0  # nats more for what the section of the chosen one says further


def companions(chosen: AnswerCandidate, others: Sequence[AnswerCandidate]) -> list[AnswerCandidate]:
    """The passages to print behind the chosen one, best first; none where that is no passage of a document."""
    if chosen.features is None:
        return []
    kept = [chosen]
    for other in sorted(others, key=lambda one: -_weight(one) - SAME_HIT * (one.rank == chosen.rank)):
        if len(kept) == MOST:
            break
        if _weight(chosen) - _weight(other) <= NEAR and not _said(other, kept) and _is_short([*kept, other]):
            kept.append(other)
    return kept[1:]


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


def _said(candidate: AnswerCandidate, kept: Sequence[AnswerCandidate]) -> bool:
    return any(candidate.focus in one.text or one.text in candidate.text for one in kept)


def _is_short(candidates: Sequence[AnswerCandidate]) -> bool:
    lines = sum(bool(line.strip()) for one in candidates for line in one.text.splitlines())
    numbers = sum(len(_NUMBER.findall(one.text)) for one in candidates)
    return lines <= LINES and numbers <= NUMBERS and sum(len(one.text) for one in candidates) <= CHARACTERS
