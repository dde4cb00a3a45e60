"""Dates and times as people write them, and written anew as a description asks: YYYY-MM-DD, MM/DD/YYYY, ISO 8601.

It knows English month names; which of two orders `03/04/2024` has it does not know, and keeps as it stands. It reads no clock:
"tomorrow" is no date.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from portico_gateway.guidance.question import MONTHS

_MONTHS = {**MONTHS, "sept": 9}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
DATE = (
    r"\d{4}-\d\d?-\d\d?(?:[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?)?(?![\w-])"
    r"|\d\d?[/.-]\d\d?[/.-]\d{4}|\d{4}/\d\d?/\d\d?"
    rf"|(?:{_MONTH})\.?\s*\d{{1,2}}(?:st|nd|rd|th)?(?:,\s*\d{{4}}|\s+\d{{4}})?(?!\d)"
    rf"|\d{{1,2}}(?:st|nd|rd|th)?(?:\s+of)?\s+(?:{_MONTH})\.?(?:,?\s+\d{{4}})?(?!\w)|(?:{_MONTH})\.?,?\s+\d{{4}}(?!\w)"
)
TIME = r"\d{1,2}:\d\d(?::\d\d)?(?:\s*[AaPp]\.?[Mm]\b\.?)?|\d{1,2}\s*(?:[AaPp][Mm]\b|[ap]\.m\.)|\d{1,2}\s+o'clock"
_PART = r"(?:[Yy]{2,4}|MM|mm|DD|dd)"
_FORM = re.compile(rf"(?<![A-Za-z]){_PART}[-/.]{_PART}(?:[-/.]{_PART})?")
_TIME = re.compile(r"(\d{1,2})(?::(\d\d))?(?::(\d\d))?\s*([ap])?", re.IGNORECASE)


class WrittenDate(NamedTuple):
    """What of a date is said."""

    year: int | None
    month: int
    day: int | None


def read_date(text: str) -> WrittenDate | None:
    """The date that a whole text is; None where it is none, or where day and month can't be told apart."""
    if iso := re.match(r"(\d{4})[-/](\d\d?)[-/](\d\d?)", text):
        return _checked(int(iso[1]), int(iso[2]), int(iso[3]))
    if slashed := re.fullmatch(r"(\d\d?)[/.-](\d\d?)[/.-](\d{4})", text):
        first, second, year = map(int, slashed.groups())
        if first > 12:
            return _checked(year, second, first)
        return _checked(year, first, second) if second > 12 or first == second else None
    named = re.search(_MONTH, text.lower())
    if not named:
        return None
    numbers = [int(n) for n in re.findall(r"\d+", text)]
    return _checked(next((n for n in numbers if n > 31), None), _MONTHS[named[0]], next((n for n in numbers if n <= 31), None))


def _checked(year: int | None, month: int, day: int | None) -> WrittenDate | None:
    return WrittenDate(year, month, day) if 1 <= month <= 12 and (day is None or 1 <= day <= 31) else None


def read_time(text: str) -> str | None:
    """`20:00:00` for "8pm"; None where the text is no time."""
    match = _TIME.match(text.strip())
    if not match or (match[2] is None and match[4] is None and "clock" not in text):
        return None
    hour = int(match[1]) % 12 + 12 * (match[4].lower() == "p") if match[4] else int(match[1])
    return f"{hour:02}:{match[2] or '00'}:{match[3] or '00'}" if hour < 24 else None


def write_date(date: WrittenDate, wanted: str) -> str | None:
    """The date in the form that a description names; None where it names none, or the date lacks a part of it."""
    form = _FORM.search(wanted)
    shape = re.sub("Y+", "YYYY", form[0].upper()) if form else _shape_of_example(wanted)
    if shape is None or (date.year is None and "YYYY" in shape) or (date.day is None and "DD" in shape):
        return None
    return shape.replace("YYYY", f"{date.year}").replace("MM", f"{date.month:02}").replace("DD", f"{date.day or 0:02}")


def _shape_of_example(wanted: str) -> str | None:
    if re.search(r"\d{4}-\d\d-\d\d|iso[ -]?8601", wanted, re.IGNORECASE):
        return "YYYY-MM-DD"
    return None
