"""Superlatives, and which of several things has more: the most, the oldest, the two cheapest, "who earns more, A or B"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from portico_servers.db.questions.language.comparisons import Comparison
from portico_servers.db.questions.language.lexicon import MEASURES, SALES_WORDS, Order, adjective
from portico_servers.db.questions.language.words import QuestionWords, number_of

_MOST = {"most": "desc", "fewest": "asc", "least": "asc"}


RANKED = frozenset("highest largest greatest biggest lowest smallest".split())


@dataclass(frozen=True, slots=True)
class Superlative:
    """ "-est" or "most": by which adjective, or (None) of what the words behind it say; `first` and `last` are its words."""

    words: frozenset[int]
    order: Order
    adjective: str | None

    @property
    def last(self) -> int:
        return max(self.words)


def find_superlatives(question: QuestionWords, taken: frozenset[int]) -> Iterator[Superlative]:
    words = question.words
    for i, word in enumerate(words):
        if i in taken:
            continue
        before = words[i - 1].low if i else ""
        after = words[i + 1].low if i + 1 < len(words) else ""
        if word.low == "top" and before in ("the", "on") and number_of(words[i + 1] if i + 1 < len(words) else word) is None:
            yield Superlative(frozenset({i}), "desc", None)
        elif word.low in _MOST and before != "at":
            order: Order = "desc" if _MOST[word.low] == "desc" else "asc"
            if after == "times":
                yield Superlative(frozenset({i, i + 1}), order, "often" if order == "desc" else "rare")
            elif (how := after if after in MEASURES else after.removesuffix("ly")) in MEASURES:  # "most recently"
                measured = MEASURES[how].order
                yield Superlative(frozenset({i, i + 1}), measured if order == "desc" else _other(measured), how)
            else:
                yield Superlative(frozenset({i}), order, None)
        elif (
            word.low in ("best", "worst") and {before, after} & SALES_WORDS
        ):  # by how many were sold, and not by how good it is
            yield Superlative(frozenset({i}), "desc" if word.low == "best" else "asc", None)
        elif word.low in RANKED and after == "number":
            yield Superlative(frozenset({i, i + 1}), "asc" if word.low in ("lowest", "smallest") else "desc", None)
        elif (
            (found := adjective(word.low, "est"))
            and not (word.low in ("first", "last") and after == "place")
            and not (word.low in ("first", "last") and _no_superlative(question, i))
        ):
            yield Superlative(frozenset({i}), MEASURES[found].order, found)


def by_number(question: QuestionWords, found: Sequence[Superlative]) -> list[Superlative]:
    """ "The longest playlist, by number of tracks": it is said what "longest" counts."""
    words = question.words
    for i, word in enumerate(words[:-2]):
        at = i + 1 + (words[i + 1].low == "the")
        if word.low == "by" and [one.low for one in words[at : at + 2]] in (["number", "of"], ["count", "of"]) and found:
            return [Superlative(frozenset({i, at, at + 1}), found[0].order, None), *found[1:]]
    return list(found)


def contrast(question: QuestionWords, comparisons: Sequence[Comparison]) -> Superlative | None:
    """ "More", "bigger", "the older one", where two things are told apart and no number is compared: which has most of it."""
    taken = {i for one in comparisons for i in one.words}
    for i, word in enumerate(question.words):
        if i in taken:
            continue
        if word.low in ("more", "fewer", "less"):
            measured = question.words[i + 1].low if i + 1 < len(question.words) else ""
            order: Order = "desc" if word.low == "more" else "asc"
            if measured in MEASURES:
                own = MEASURES[measured].order
                return Superlative(frozenset({i, i + 1}), own if order == "desc" else _other(own), measured)
            return Superlative(frozenset({i}), order, None)
        if (found := adjective(word.low, "er")) is not None:
            again = frozenset(other.index for other in question.words if other.low == word.low)
            return Superlative(again, MEASURES[found].order, found)
    return None


def _no_superlative(question: QuestionWords, at: int) -> bool:
    """ "First" and "last" before a name, a number or a time, or as a verb."""
    words = question.words
    if question.gap(at).strip():
        return False
    after = words[at + 1] if at + 1 < len(words) else None
    before = words[at - 1].low if at else ""
    if after is not None and (
        after.low in ("name", "names", "quarter", "year", "month", "week") or number_of(after) is not None
    ):
        return True
    return after is not None and before not in ("the", "our", "s", "was", "were", "is", "which", "what")


def _other(order: Order) -> Order:
    return "asc" if order == "desc" else "desc"
