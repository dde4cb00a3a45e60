"""Times that a question speaks of: years, months, quarters, days, and whether it means in, before, after, since or between.

It gives them as conditions on a date: an operator and `YYYY[-MM[-DD]]`. It knows no column.
"""

from __future__ import annotations

import calendar
import datetime
import re
from collections.abc import Callable
from typing import NamedTuple

from portico_servers.db.questions.language.words import QuestionWords, Word

_MONTHS = {name.lower(): n for names in (calendar.month_name, calendar.month_abbr) for n, name in enumerate(names) if name}
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "1st": 1, "2nd": 2, "3rd": 3, "4th": 4}
_QUARTERS = {**_ORDINALS, "last": 4, "q1": 1, "q2": 2, "q3": 3, "q4": 4}
_HALVES = {**{word: n for word, n in _ORDINALS.items() if n <= 2}, "h1": 1, "h2": 2}
_OPS = {
    "before": "<", "until": "<=", "till": "<=", "through": "<=", "after": ">", "since": ">=", "from": ">=", "by": "<=",
    "later": ">", "earlier": "<",
}  # fmt: skip
_QUANTITIES = frozenset(
    "above below under exceeding over least most exactly about around roughly".split()
)  # of a number, not of a year
_UNITS = frozenset(
    "m km cm mm kg g mg l ml euros euro dollars cents pages meters metres feet miles minutes hours days times".split()
)
_BEFORE_DAYS = frozenset("on since before after until till from by between and to the am dated".split())
_FILLING = frozenset("the year of month in than calendar whole entire full".split())
Today = Callable[[], datetime.date]


class TimeCondition(NamedTuple):
    """A time and how a date is compared with it; `words` that say so. `year`: nothing finer than years is said."""

    words: frozenset[int]
    conditions: tuple[tuple[str, str], ...]  # operator, date
    year: bool
    named: bool  # more than a bare number says that it is a time


class _Moment(NamedTuple):
    end: int  # the word behind it
    first: str
    last: str  # the same but for quarters
    named: bool


def find_times(question: QuestionWords, today: Today = datetime.date.today) -> list[TimeCondition]:
    """All of them, in order."""
    words, found, at = question.words, [], 0
    while at < len(words):
        moment = _moment(question, at, today)
        if moment is None:
            at += 1
            continue
        one = _condition(question, at, moment, today)
        found.append(one)
        at = max(one.words) + 1
    return found


def _condition(question: QuestionWords, at: int, moment: _Moment, today: Today) -> TimeCondition:
    words = question.words
    front = _front(words, at)
    word = words[front].low if front is not None else ""
    used = set(range(at, moment.end))
    year = len(moment.first) == 4
    if word in ("between", "from") and (second := _second(question, moment.end, today)) is not None:
        used |= {front, *range(at, second.end)} if front is not None else set()
        return TimeCondition(frozenset(used), ((">=", moment.first), ("<=", second.last)), year, True)
    if front is not None and (word in _OPS or word in ("in", "during", "on", "of", "for")):
        used |= set(range(front, at))
    op = _OPS.get(word, "=") if word != "from" else "="
    if moment.end < len(words) and words[moment.end].low in ("onwards", "onward"):
        op, used = ">=", used | {moment.end}
    conditions: tuple[tuple[str, str], ...] = ((op, moment.first),)
    if moment.last != moment.first:
        conditions = {
            "=": ((">=", moment.first), ("<=", moment.last)),
            ">": ((">", moment.last),),
            "<=": (("<=", moment.last),),
        }.get(op, conditions)
    return TimeCondition(frozenset(used), conditions, year, moment.named or (front is not None and word != ""))


def _front(words: tuple[Word, ...], at: int) -> int | None:
    """The word that says how: "before", behind fillings such as "the year"."""
    for i in range(at - 1, max(-1, at - 6), -1):
        if words[i].low in _OPS or words[i].low in ("in", "during", "on", "between", "for"):
            if (i and words[i].low == "than") or (words[i].low == "by" and words[i - 1].low in ("more", "less")):
                return None
            return i
        if words[i].low not in _FILLING:
            return None
    return None


def _second(question: QuestionWords, at: int, today: Today) -> _Moment | None:
    if at + 1 < len(question.words) and question.words[at].low in ("and", "to", "until", "till", "through"):
        return _moment(question, at + 1, today)
    return None


def _moment(question: QuestionWords, at: int, today: Today) -> _Moment | None:
    words = question.words
    readers = (_iso, _numeric_day, _day_month, _week, _quarter, _half, _relative, _decade, _year)
    return next((found for reader in readers if (found := reader(question, words, at, today)) is not None), None)


def _iso(question: QuestionWords, words: tuple[Word, ...], at: int, today: Today) -> _Moment | None:
    match = re.match(r"(\d{4})-(\d\d)(?:-(\d\d))?(?![\d-])", question.text[words[at].start :])
    if match is None or not 1 <= int(match[2]) <= 12:
        return None
    return _Moment(at + (3 if match[3] else 2), match[0], match[0], True)


def _day_month(question: QuestionWords, words: tuple[Word, ...], at: int, today: Today) -> _Moment | None:
    """ "5 May 2024", "May 5, 2024", "May 2024", "the 5th of May 2024"."""
    day, month, i = 0, 0, at
    first = re.fullmatch(r"(\d{1,2})(?:st|nd|rd|th)?", words[i].low)
    if first is not None and i + 1 < len(words):
        i += 1 + (words[i + 1].low == "of")
        day = int(first[1])
    if i < len(words) and words[i].low in _MONTHS and (words[i].capital or _is_year(words, i + 1) or day):
        month, i = _MONTHS[words[i].low], i + 1
    if not month:
        return None
    following = re.fullmatch(r"(\d{1,2})(?:st|nd|rd|th)?", words[i].low) if i < len(words) else None
    if not day and following is not None:
        day, i = int(following[1]), i + 1
    i += i < len(words) and words[i].low == "of"
    year = words[i].low if _is_year(words, i) else _year_of_range(question, words, i, today)
    if year is None:
        return None
    written = f"{year}-{month:02}" + (f"-{day:02}" if 1 <= day <= 31 else "")
    return _Moment(i + _is_year(words, i), written, written, True)


def _is_year(words: tuple[Word, ...], at: int) -> bool:
    return at < len(words) and re.fullmatch(r"\d{4}", words[at].low) is not None


def _year_of_range(question: QuestionWords, words: tuple[Word, ...], at: int, today: Today) -> str | None:
    """The year that only a range's end says: "between 1 March and 31 May 2022"."""
    if at >= len(words) or words[at].low not in ("and", "to", "until", "till", "through"):
        return None
    end = _day_month(question, words, at + 1, today) if at + 1 < len(words) else None
    return end.first[:4] if end is not None else None


def _quarter(question: QuestionWords, words: tuple[Word, ...], at: int, today: Today) -> _Moment | None:
    quarter = _QUARTERS.get(words[at].low)
    i = at + 1
    if not words[at].low.startswith("q"):
        if i >= len(words) or words[i].low != "quarter":
            return None
        i += 1
    i += i < len(words) and words[i].low in ("of", "in")
    if quarter is None or i >= len(words) or not re.fullmatch(r"\d{4}", words[i].low):
        return None
    return _Moment(i + 1, f"{words[i].low}-{3 * quarter - 2:02}", f"{words[i].low}-{3 * quarter:02}", True)


def _half(question: QuestionWords, words: tuple[Word, ...], at: int, today: Today) -> _Moment | None:
    """ "The first half of 2024", "H1 2024"."""
    half = _HALVES.get(words[at].low)
    i = at + 1 + (at + 1 < len(words) and words[at + 1].low == "half")
    if half is None or (i == at + 1 and not words[at].low.startswith("h")):
        return None
    i += i < len(words) and words[i].low in ("of", "in")
    if not _is_year(words, i):
        return None
    year = words[i].low
    return _Moment(i + 1, f"{year}-{6 * half - 5:02}", f"{year}-{6 * half:02}", True)


def _week(question: QuestionWords, words: tuple[Word, ...], at: int, today: Today) -> _Moment | None:
    """ "The first week of May 2024": its days 1 to 7."""
    number = {**_ORDINALS, "last": 0}.get(words[at].low)
    if number is None or at + 2 >= len(words) or words[at + 1].low != "week" or words[at + 2].low not in ("of", "in"):
        return None
    month = _day_month(question, words, at + 3, today) if at + 3 < len(words) else None
    if month is None or len(month.first) != 7:
        return None
    last_day = calendar.monthrange(int(month.first[:4]), int(month.first[5:]))[1]
    first, last = (7 * number - 6, 7 * number) if number else (last_day - 6, last_day)
    return _Moment(month.end, f"{month.first}-{first:02}", f"{month.first}-{min(last, last_day):02}", True)


def _decade(question: QuestionWords, words: tuple[Word, ...], at: int, today: Today) -> _Moment | None:
    """ "The 1990s"."""
    match = re.fullmatch(r"((?:1\d|20)\d)0s", words[at].low)
    return _Moment(at + 1, f"{match[1]}0", f"{match[1]}9", True) if match else None


def _numeric_day(question: QuestionWords, words: tuple[Word, ...], at: int, today: Today) -> _Moment | None:
    """ "14.6.2025", as most of Europe writes it, and "6/14/2025", as America does, where only one of them is a date."""
    match = re.match(r"(\d{1,2})([./])(\d{1,2})\2(\d{4})(?![\w./]\d)", question.text[words[at].start :])
    if match is None or (words[at].start and question.text[words[at].start - 1] in "./"):
        return None
    if not at or words[at - 1].low not in _BEFORE_DAYS:
        return None  # it may be a version
    first, second = int(match[1]), int(match[3])
    day, month = (first, second) if match[2] == "." or first > 12 else (second, first)
    if match[2] == "/" and first <= 12 and second <= 12 and first != second:
        return None  # it may be either
    try:
        written = datetime.date(int(match[4]), month, day).isoformat()
    except ValueError:
        return None
    return _Moment(at + 3, written, written, True)


def _relative(question: QuestionWords, words: tuple[Word, ...], at: int, today: Today) -> _Moment | None:
    """ "this year", "last month", "today", "yesterday"."""
    now = today()
    if words[at].low in ("today", "yesterday"):
        written = f"{now - datetime.timedelta(days=words[at].low == 'yesterday'):%Y-%m-%d}"
        return _Moment(at + 1, written, written, True)
    if words[at].low not in ("this", "last") or at + 1 >= len(words):
        return None
    back = words[at].low == "last"
    if words[at + 1].low == "year":
        return _Moment(at + 2, f"{now.year - back:04}", f"{now.year - back:04}", True)
    if words[at + 1].low == "month":
        month = now.replace(day=1) - datetime.timedelta(days=back)
        return _Moment(at + 2, f"{month:%Y-%m}", f"{month:%Y-%m}", True)
    return None


def _year(question: QuestionWords, words: tuple[Word, ...], at: int, today: Today) -> _Moment | None:
    if not re.fullmatch(r"1[0-9]{3}|20[0-9]{2}|21[0-9]{2}", words[at].low):
        return None
    if at and words[at - 1].low in ("number", "id", "code", "ref", *_QUANTITIES):
        return None
    if at > 1 and words[at - 1].low == "than" and words[at - 2].low not in ("later", "earlier", "older", "newer", "younger"):
        return None
    if at + 1 < len(words) and words[at + 1].low in _UNITS:
        return None
    before = question.text[: words[at].start]
    after = question.text[words[at].end :]
    if (re.search(r"[\w.]$", before.rstrip("-")) and before.endswith(("-", "."))) or re.match(r"[.-]\w", after):
        return None  # a part of a code or of a number
    return _Moment(at + 1, words[at].low, words[at].low, False)
