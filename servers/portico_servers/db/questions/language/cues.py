"""What the wording itself tells of a query: counts, averages, superlatives, comparisons, limits, groups, negations.

Cues are places and words; which column they are about is decided where the tables are known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from portico_servers.db.questions.language.lexicon import (
    AVERAGE_WORDS,
    COMPARISONS,
    COUNT_PHRASES,
    DISTINCT_WORDS,
    GROUP_WORDS,
    LIST_WORDS,
    MEASURES,
    NEGATIONS,
    NOT_YET,
    SUM_WORDS,
    Order,
    adjective,
)
from portico_servers.db.questions.language.times import TimeCondition
from portico_servers.db.questions.language.words import QuestionWords, Word, number_of

_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_MOST = {"most": "desc", "fewest": "asc", "least": "asc"}
_SPEAKERS = frozenset("i we you they it that does did do to would".split())  # "I mean"
_ALONE = frozenset("the a in all just only please".split())
_COUNTED = frozenset("count number tally total".split()) | _ALONE
_TIES = frozenset("tie tied ties share shares sharing joint jointly equal equally level draw drawn".split())
_COMPARING = frozenset("compare compared comparing comparison versus vs respectively".split())
_NO_MEASURE = frozenset("old young often good bad popular common full".split())  # of which a column says little or another thing
_RANKED = frozenset("highest largest greatest biggest lowest smallest".split())


@dataclass(frozen=True, slots=True)
class Superlative:
    """ "-est" or "most": by which adjective, or (None) of what the words behind it say; `first` and `last` are its words."""

    words: frozenset[int]
    order: Order
    adjective: str | None

    @property
    def last(self) -> int:
        return max(self.words)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A number, and how something is compared with it. `unit`: the word behind it; `average`: with the average instead."""

    words: frozenset[int]
    op: str
    number: float
    adjective: str | None = None
    average: bool = False
    unit_at: int | None = None  # the word behind the number, where other words of the comparison follow it

    @property
    def first(self) -> int:
        return min(self.words)

    @property
    def last(self) -> int:
        """Of the words up to the number."""
        return max(self.words) if self.unit_at is None else self.unit_at - 1


@dataclass(slots=True)
class Cues:
    """All that was found. Words that stand for nothing else are in `used`."""

    asked: Literal["count", "list", None] = None
    focus: int = 0  # the word from which on it is said what is asked for
    distinct: bool = False
    contrast: bool = False  # which of several things has more of something
    parallel: bool = False  # the same is asked of several things, each for itself
    average: frozenset[int] = frozenset()
    sum: frozenset[int] = frozenset()
    superlatives: list[Superlative] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    numbers: dict[int, int] = field(default_factory=dict)  # not yet spoken for, by place
    limit: int | None = None
    groups: list[int] = field(default_factory=list)  # "per", "each", "by"
    negations: list[int] = field(default_factory=list)
    who: bool = False
    when: bool = False
    where: bool = False
    how_much: bool = False
    how: str | None = None  # "how long", "how high": the adjective
    used: set[int] = field(default_factory=set)


def find_cues(question: QuestionWords, times: Sequence[TimeCondition], taken: frozenset[int]) -> Cues:
    """`taken`: words that are values, or say when."""
    cues, words = Cues(), question.words
    _asked(cues, question, taken)
    cues.comparisons = list(_comparisons(question, taken))
    compared = taken.union(*(one.words for one in cues.comparisons)) if cues.comparisons else taken
    for i, word in enumerate(words):
        if i in compared:
            continue
        if word.low in AVERAGE_WORDS and not (word.low == "mean" and i and words[i - 1].low in _SPEAKERS):
            cues.average |= {i}
        elif word.low in SUM_WORDS:
            cues.sum |= {i}
        elif word.low in DISTINCT_WORDS:
            cues.distinct, cues.used = True, cues.used | {i}
        elif word.low in NEGATIONS or (word.low == "out" and i + 1 < len(words) and words[i + 1].low == "of"):
            cues.negations.append(i)
        elif (word.low, words[i + 1].low if i + 1 < len(words) else "") in NOT_YET or word.low == "awaiting":
            cues.negations.append(i)
            cues.used |= {i, i + 1} if word.low != "awaiting" else {i}
        elif word.low in GROUP_WORDS or word.low == "by":
            cues.groups.append(i)
    cues.superlatives = list(_superlatives(question, compared))
    numbers = ((word.index, number_of(word)) for word in words if word.index not in compared and word.low != "one")
    cues.numbers = {i: number for i, number in numbers if number is not None}
    _limit(cues, words)
    return cues


def _parallel(cues: Cues, lows: Sequence[str]) -> None:
    """ "How many in French, and how many in Spanish", "compare 2010 with 2020"."""
    again = [i for i in range(len(lows) - 1) if (lows[i], lows[i + 1]) in (("how", "many"), ("number", "of"), ("how", "much"))]
    compared = {i for i, low in enumerate(lows) if low in _COMPARING}
    cues.parallel = len(again) > 1 or bool(compared)
    if cues.parallel:
        cues.used |= compared | {i for at in again for i in (at, at + 1)}


def _count_at_end(question: QuestionWords, taken: frozenset[int]) -> set[int]:
    """ "Kids in grade 9, count": a last clause that says no more than that something is counted."""
    said: set[int] = set()
    for word in reversed(question.words):
        if word.index in taken or word.low not in _COUNTED:
            return set()
        said.add(word.index)
        if word.index and not question.gap(word.index - 1).isspace():
            break
    lows = {question.words[i].low for i in said} - _ALONE
    return said if lows - {"number"} or len(lows) > 1 else set()


def _asked(cues: Cues, question: QuestionWords, taken: frozenset[int]) -> None:
    """Is something counted or listed, and where is it said what?"""
    words = question.words
    lows = [word.low for word in words]
    for phrase in COUNT_PHRASES:
        places = (i for i in range(len(lows)) if tuple(lows[i : i + len(phrase)]) == phrase and i not in taken)
        at = next((i for i in places if not (i and lows[i - 1] in _RANKED)), None)  # "the largest number of" ranks
        if at is not None:
            cues.asked, cues.focus, cues.used = "count", at + len(phrase), cues.used | set(range(at, at + len(phrase)))
            if phrase[-1] == "them" or not any(word.content for word in words[cues.focus :]):
                cues.focus = 0  # it was said before
            break
    _parallel(cues, lows)
    if cues.asked is None and (said := _count_at_end(question, taken)):
        cues.asked, cues.used = "count", cues.used | said
    for i, low in enumerate(lows):
        relative = i > 0 and words[i - 1].content and question.gap(i - 1).isspace()  # "employees whose ..."
        cues.who |= low in ("who", "whom", "whose") and not relative
        cues.when |= low == "when"
        cues.where |= low == "where"
        after = lows[i + 1] if i + 1 < len(lows) else ""
        cues.how_much |= (low == "how" and after == "much") or (low == "what" and ("cost" in lows or "costs" in lows))
        if low == "how" and after in MEASURES and after not in _NO_MEASURE:
            cues.how = after
        if cues.asked is None and low in LIST_WORDS and i not in taken and not (low == "number" or (low == "name" and i > 2)):
            cues.asked, cues.focus = "list", i + 1


def _number_at(question: QuestionWords, at: int) -> tuple[float, int] | None:
    """The number at a word, decimals and all, and the word behind it."""
    if at >= len(question.words):
        return None
    start = question.words[at].start
    if start and question.text[start - 1] == "-" and (start == 1 or not question.text[start - 2].isalnum()):
        start -= 1
    if match := _NUMBER.match(question.text, start):
        end = at
        while end < len(question.words) and question.words[end].start < match.end():
            end += 1
        if end > at and question.words[end - 1].end <= match.end():
            return float(match[0].replace(",", "")), end
    whole = number_of(question.words[at])
    return (float(whole), at + 1) if whole is not None else None


def _comparisons(question: QuestionWords, taken: frozenset[int]) -> Iterator[Comparison]:
    words, done = question.words, set(taken)
    for at in range(len(words)):
        if at in done:
            continue
        for phrase, op, measure in _phrases_at(words, at):
            end = at + len(phrase)
            skipped = end + (end < len(words) and words[end].low in ("the", "an", "a", "of"))
            if skipped < len(words) and words[skipped].low in AVERAGE_WORDS:
                done |= set(range(at, skipped + 1))
                yield Comparison(frozenset(range(at, skipped + 1)), op, 0.0, measure, True)
                break
            if (number := _number_at(question, end)) and end not in done:
                done |= set(range(at, number[1]))
                yield Comparison(frozenset(range(at, number[1])), op, number[0], measure)
                break
        else:
            yield from _trailing(question, at, done)


def _phrases_at(words: Sequence[Word], at: int) -> Iterator[tuple[Sequence[str], str, str | None]]:
    for phrase, op in COMPARISONS:
        if tuple(word.low for word in words[at : at + len(phrase)]) == phrase:
            yield phrase, op, None
    measure = adjective(words[at].low, "er")
    if measure and at + 1 < len(words) and words[at + 1].low == "than":
        op = ">" if MEASURES[measure].order == "desc" else "<"
        yield (words[at].low, "than"), op, measure


def _trailing(question: QuestionWords, at: int, done: set[int]) -> Iterator[Comparison]:
    """ "between 3 and 5", "5 or more"."""
    words = question.words
    if words[at].low == "between" and (first := _number_at(question, at + 1)):
        if first[1] < len(words) and words[first[1]].low == "and" and (second := _number_at(question, first[1] + 1)):
            done |= set(range(at, second[1]))
            yield Comparison(frozenset(range(at, second[1])), ">=", first[0])
            yield Comparison(frozenset(range(at, second[1])), "<=", second[0])
        return
    number = _number_at(question, at)
    if number and number[1] < len(words) and (words[number[1]].low == "to" or question.gap(number[1] - 1).strip() in ("-", "–")):
        start = number[1] + (words[number[1]].low == "to")
        if (last := _number_at(question, start)) and last[0] > number[0]:  # "60 to 70 minutes"
            done |= set(range(at, last[1]))
            yield Comparison(frozenset(range(at, last[1])), ">=", number[0])
            yield Comparison(frozenset(range(at, last[1])), "<=", last[0])
            return
    unit_at = number[1] if number else 0
    end = unit_at + (unit_at + 2 < len(words) and words[unit_at + 1].low == "or")  # "5 or more", "5 minutes or more"
    if number and end + 1 < len(words) and words[end].low == "or":
        op = {"more": ">=", "above": ">=", "higher": ">=", "longer": ">=", "less": "<=", "fewer": "<=", "below": "<="}.get(
            words[end + 1].low
        )
        if op:
            own = {*range(at, unit_at), end, end + 1}
            done |= own
            yield Comparison(frozenset(own), op, number[0], unit_at=unit_at)


def _superlatives(question: QuestionWords, taken: frozenset[int]) -> Iterator[Superlative]:
    words = question.words
    for i, word in enumerate(words):
        if i in taken:
            continue
        before = words[i - 1].low if i else ""
        after = words[i + 1].low if i + 1 < len(words) else ""
        if word.low == "top" and before == "the" and number_of(words[i + 1] if i + 1 < len(words) else word) is None:
            yield Superlative(frozenset({i}), "desc", None)
        elif word.low in _MOST and before != "at":
            order: Order = "desc" if _MOST[word.low] == "desc" else "asc"
            if after == "times":
                yield Superlative(frozenset({i, i + 1}), order, "often" if order == "desc" else "rare")
            elif after in MEASURES:
                measured = MEASURES[after].order
                yield Superlative(frozenset({i, i + 1}), measured if order == "desc" else _other(measured), after)
            else:
                yield Superlative(frozenset({i}), order, None)
        elif word.low in _RANKED and after == "number":
            yield Superlative(frozenset({i, i + 1}), "asc" if word.low in ("lowest", "smallest") else "desc", None)
        elif (found := adjective(word.low, "est")) and not (word.low in ("first", "last") and after == "place") and not (word.low in ("first", "last") and _no_superlative(question, i)):
            yield Superlative(frozenset({i}), MEASURES[found].order, found)


def contrast(question: QuestionWords, cues: Cues) -> Superlative | None:
    """ "More", "bigger", "the older one", where two things are told apart and no number is compared: which has most of it."""
    taken = {i for one in cues.comparisons for i in one.words}
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


def _limit(cues: Cues, words: Sequence[Word]) -> None:
    """ "top 3", "the 5 cheapest", "three most expensive", "which 4 books have the fewest"."""
    tied = {word.index for word in words if word.low in _TIES} if cues.superlatives else set()
    cues.used |= tied
    for i, number in list(cues.numbers.items()):
        before = words[i - 1].low if i else ""
        ahead = {i + 1, i + 2}
        ranked = any(ahead & one.words for one in cues.superlatives)
        if before in ("top", "first", "last", "bottom"):
            cues.used |= {i - 1}
            if before in ("top", "bottom") and not cues.superlatives:
                cues.superlatives.append(Superlative(frozenset({i - 1}), "desc" if before == "top" else "asc", None))
        elif not (ranked or tied or (cues.superlatives and before in ("which", "what", "the", "show", "list", "of"))):
            continue
        if 1 <= number <= 1000:
            cues.limit = number
            cues.used |= {i}
            del cues.numbers[i]
            return
    if cues.limit is None and cues.superlatives:
        cues.limit = 1
