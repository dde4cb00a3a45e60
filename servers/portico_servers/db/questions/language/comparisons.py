"""Comparisons with a number or an average: "more than 5", "between 3 and 5", "60 to 70 minutes", "cheaper than average"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from portico_servers.db.questions.language.lexicon import AVERAGE_WORDS, COMPARISONS, MEASURES, TIME_UNITS, adjective
from portico_servers.db.questions.language.words import QuestionWords, Word, number_of

_HAS = frozenset("at for of is costs cost costing exactly priced worth with".split())
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


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


def number_at(question: QuestionWords, at: int) -> tuple[float, int] | None:
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
    if question.words[at].low in ("a", "an") and at + 1 < len(question.words) and question.words[at + 1].low in TIME_UNITS:
        return 1.0, at + 1  # "shorter than an hour"
    whole = number_of(question.words[at])
    return (float(whole), at + 1) if whole is not None else None


def find_comparisons(question: QuestionWords, taken: frozenset[int]) -> Iterator[Comparison]:
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
            if (number := number_at(question, end)) and end not in done:
                done |= set(range(at, number[1]))
                yield Comparison(frozenset(range(at, number[1])), op, number[0], measure)
                break
        else:
            yield from _trailing(question, at, done)
            yield from _exactly(question, at, done)


def _phrases_at(words: Sequence[Word], at: int) -> Iterator[tuple[Sequence[str], str, str | None]]:
    for phrase, op in COMPARISONS:
        if tuple(word.low for word in words[at : at + len(phrase)]) == phrase:
            yield phrase, op, None
    measure = adjective(words[at].low, "er")
    if measure and at + 1 < len(words) and words[at + 1].low == "than":
        op = ">" if MEASURES[measure].order == "desc" else "<"
        yield (words[at].low, "than"), op, measure


def _exactly(question: QuestionWords, at: int, done: set[int]) -> Iterator[Comparison]:
    """ "Sold at 1.99", "a rate of 0.25": a number with decimals is one that something has."""
    before = question.words[at - 1].low if at else ""
    number = number_at(question, at)
    if at in done or number is None or number[1] < at + 2 or before not in _HAS:
        return
    if set(range(at, number[1])) & done or question.text[question.words[number[1] - 1].end :][:1] == ".":
        behind = question.text[question.words[number[1] - 1].end :]
        if behind[1:2].isalnum():  # a version
            return
    done |= set(range(at, number[1]))
    yield Comparison(frozenset(range(at, number[1])), "=", number[0])


def _trailing(question: QuestionWords, at: int, done: set[int]) -> Iterator[Comparison]:
    """ "between 3 and 5", "5 or more"."""
    words = question.words
    if words[at].low == "between" and (first := number_at(question, at + 1)):
        if first[1] < len(words) and words[first[1]].low == "and" and (second := number_at(question, first[1] + 1)):
            done |= set(range(at, second[1]))
            yield Comparison(frozenset(range(at, second[1])), ">=", first[0])
            yield Comparison(frozenset(range(at, second[1])), "<=", second[0])
        return
    number = number_at(question, at)
    if (
        number
        and number[1] < len(words)
        and (words[number[1]].low == "to" or question.gap(number[1] - 1).strip() in ("-", "–"))
    ):
        start = number[1] + (words[number[1]].low == "to")
        if (last := number_at(question, start)) and last[0] > number[0]:  # "60 to 70 minutes"
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
