"""What the wording itself tells of a query: counts, averages, superlatives, comparisons, limits, groups, negations.

Cues are places and words; which column they are about is decided where the tables are known.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from portico_servers.db.questions.language.comparisons import Comparison, find_comparisons
from portico_servers.db.questions.language.lexicon import (
    AVERAGE_WORDS,
    COUNT_PHRASES,
    DISTINCT_WORDS,
    GROUP_WORDS,
    LIST_WORDS,
    MEASURES,
    NEGATIONS,
    NOT_YET,
    PERCENT_WORDS,
    SUM_WORDS,
)
from portico_servers.db.questions.language.superlatives import RANKED, Superlative, by_number, find_superlatives
from portico_servers.db.questions.language.times import TimeCondition
from portico_servers.db.questions.language.words import QuestionWords, Word, number_of

_SENTENCE_ENDS = frozenset(".?!;")
_SPEAKERS = frozenset("i we you they it that does did do to would".split())  # "I mean"
_ABOUT = frozenset("about around roughly approximately circa some".split())
_GUESSING = frozenset("right true correct think believe guess heard reckon suppose".split())
_ALONE = frozenset("the a in all just only please".split())
_COUNTED = frozenset("count number tally total".split()) | _ALONE
_ASKED_OF_IT = _COUNTED | frozenset(  # "if so, what's their number?", "I need the number"
    "and could did exact exactly give how i if is it its know like many me need of s say so some tell that their them then "
    "there these they those to us want was we were what what's whats would yes you".split()
)
_TIES = frozenset("tie tied ties share shares sharing joint jointly equal equally level draw drawn".split())
_ASKS_SHARE = frozenset("what which the".split())
_COMPARING = frozenset("compare compared comparing comparison versus vs respectively".split())
_NUMBERED = frozenset("phone telephone mobile fax house street room account invoice order serial ticket flight card".split())
_NO_MEASURE = frozenset(
    "old young often good bad popular common full".split()
)  # of which a column says little or another thing


@dataclass(slots=True)
class Cues:
    """All that was found. Words that stand for nothing else are in `used`."""

    asked: Literal["count", "list", None] = None
    focus: int = 0  # the word from which on it is said what is asked for
    said_before: bool = False  # what is counted, an earlier sentence says: "How many of them?"
    distinct: bool = False
    contrast: bool = False  # which of several things has more of something
    parallel: bool = False  # the same is asked of several things, each for itself
    average: frozenset[int] = frozenset()
    sum: frozenset[int] = frozenset()
    percent: frozenset[int] = frozenset()
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


def find_cues(
    question: QuestionWords, times: Sequence[TimeCondition], taken: frozenset[int], named: frozenset[int] = frozenset()
) -> Cues:
    """`taken`: words that are values, or say when; `named`: those that name columns."""
    cues, words = Cues(), question.words
    _asked(cues, question, taken, named)
    cues.comparisons = list(find_comparisons(question, taken))
    compared = taken.union(*(one.words for one in cues.comparisons)) if cues.comparisons else taken
    for i, word in enumerate(words):
        if i in compared:
            continue
        if word.low in AVERAGE_WORDS and not (word.low == "mean" and i and words[i - 1].low in _SPEAKERS):
            cues.average |= {i}
        elif word.low in SUM_WORDS:
            compared_by = word.low.startswith("earn") and any(one.first - i in (1, 2) for one in cues.comparisons)
            cues.sum |= set() if compared_by else {i}  # "who earn more than 5" compares
        elif word.low in DISTINCT_WORDS:
            cues.distinct, cues.used = True, cues.used | {i}
        elif word.low in NEGATIONS or (word.low == "out" and i + 1 < len(words) and words[i + 1].low == "of"):
            cues.negations.append(i)
        elif (word.low, words[i + 1].low if i + 1 < len(words) else "") in NOT_YET or word.low == "awaiting":
            cues.negations.append(i)
            cues.used |= {i, i + 1} if word.low != "awaiting" else {i}
        elif word.low in GROUP_WORDS or word.low == "by":
            cues.groups.append(i)
    cues.percent = _percent(cues, question, compared | named)
    cues.superlatives = list(find_superlatives(question, compared))
    numbers = ((word.index, number_of(word)) for word in words if word.index not in compared and word.low != "one")
    cues.numbers = {i: number for i, number in numbers if number is not None}
    for i in list(cues.numbers):  # "is it right that it is about 140?": a guess
        if i and words[i - 1].low in _ABOUT and any(word.low in _GUESSING for word in words[:i]):
            del cues.numbers[i]
            cues.used |= {i}
    _limit(cues, words)
    superlatives, cues.superlatives = cues.superlatives, by_number(question, cues.superlatives)
    if cues.superlatives != superlatives:  # how the asker calls it says no more
        cues.used |= superlatives[0].words
    return cues


def _parallel(cues: Cues, lows: Sequence[str]) -> None:
    """ "How many in French, and how many in Spanish", "compare 2010 with 2020"."""
    again = [i for i in range(len(lows) - 1) if (lows[i], lows[i + 1]) in (("how", "many"), ("number", "of"), ("how", "much"))]
    compared = {i for i, low in enumerate(lows) if low in _COMPARING}
    cues.parallel = len(again) > 1 or bool(compared)
    if cues.parallel:
        cues.used |= compared | {i for at in again for i in (at, at + 1)}


def _percent(cues: Cues, question: QuestionWords, taken: frozenset[int]) -> frozenset[int]:
    """ "What percentage of ...", "the share of ... in percent", but no tied rivals who share a place."""
    words = question.words
    found = {i for i, word in enumerate(words) if i not in taken and word.low in PERCENT_WORDS}
    of = [i for i in found if i + 1 < len(words) and words[i + 1].low == "of"]
    asked = [i for i in found if words[i].low in ("percent", "percentage", "pct") or (i and words[i - 1].low in _ASKS_SHARE)]
    if not found or not (of or asked) or any(number_of(words[i - 1]) is not None for i in found if i):  # "5 percent"
        return frozenset()
    if of:
        cues.focus = min(of) + 2
    cues.asked = None
    return frozenset(found)


def _sentence_that_counts(question: QuestionWords, taken: frozenset[int]) -> set[int]:
    """ "Are there students without an advisor? What's their number?": a last sentence that only asks how many those are."""
    said: set[int] = set()
    for word in reversed(question.words):
        if word.index in taken or word.low not in _ASKED_OF_IT:
            return set()
        said.add(word.index)
        if word.index and set(question.gap(word.index - 1)) & _SENTENCE_ENDS:
            break
    counts = any(question.words[i].low in _COUNTED - _ALONE for i in said)
    return said if counts and len(said) < len(question.words) else set()


def _equations(question: QuestionWords) -> list[int]:
    """ "Critical alerts = ?": the words right before, where they name several things."""
    found = (word for word in question.words if re.match(r"\s*=\s*\?", question.gap(word.index)))
    return [word.index for word in found if word.low.endswith("s") and not word.low.endswith("ss")]


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


def _is_named(phrase: tuple[str, ...], before: int, lows: Sequence[str], named: frozenset[int]) -> bool:
    """ "The phone number of ...": one thing's own number, and no count."""
    return phrase == ("number", "of") and (before in named or lows[before] in _NUMBERED)


def _asked(cues: Cues, question: QuestionWords, taken: frozenset[int], named: frozenset[int]) -> None:
    """Is something counted or listed, and where is it said what?"""
    words = question.words
    lows = [word.low for word in words]
    for phrase in COUNT_PHRASES:
        places = (i for i in range(len(lows)) if tuple(lows[i : i + len(phrase)]) == phrase and i not in taken)
        ranked = RANKED | {"total"} if phrase[0] == "amount" else RANKED  # "the largest number of" ranks, a total adds up
        ranked |= {"by"} if {"top", "bottom"} & set(lows) else frozenset()  # "top 3 customers by number of orders"
        at = next((i for i in places if not (i and (lows[i - 1] in ranked or _is_named(phrase, i - 1, lows, named)))), None)
        if at is not None:
            cues.asked, cues.focus, cues.used = "count", at + len(phrase), cues.used | set(range(at, at + len(phrase)))
            if phrase[-1] == "them" or not any(word.content for word in words[cues.focus :]):
                cues.focus, cues.said_before = 0, True
            break
    _parallel(cues, lows)
    if cues.asked is None and (said := _count_at_end(question, taken)):
        cues.asked, cues.used = "count", cues.used | said
    if cues.asked is None and (said := _sentence_that_counts(question, taken)):
        cues.asked, cues.used, cues.said_before = "count", cues.used | said, True
    if cues.asked is None and (equations := _equations(question)):
        cues.asked, cues.parallel = "count", cues.parallel or len(equations) > 1
    for i, low in enumerate(lows):
        relative = i > 0 and words[i - 1].content and question.gap(i - 1).isspace()  # "employees whose ..."
        cues.who |= low in ("who", "whom", "whose", "whoever") and not relative
        cues.when |= low == "when"
        cues.where |= low == "where"
        after = lows[i + 1] if i + 1 < len(lows) else ""
        cues.how_much |= (low == "how" and after == "much") or (low == "what" and ("cost" in lows or "costs" in lows))
        if low == "how" and after in MEASURES and after not in _NO_MEASURE:
            cues.how = after
        if cues.asked is None and low in LIST_WORDS and i not in taken and not (low == "number" or (low == "name" and i > 2)):
            cues.asked, cues.focus = "list", i + 1


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
