"""Dates as a query writes them (`2024`, `2024-05`, `2024-05-17`, with a time) and the period that each stands for."""

from __future__ import annotations

import datetime
import re
from typing import NamedTuple

from portico_servers.db.errors import ArgumentError

_SHAPE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d))?)?)?)?")


class Period(NamedTuple):
    """From `start` up to, not including, `end`. `end` None: beyond the calendar. `fine`: it is less than a day."""

    start: datetime.datetime
    end: datetime.datetime | None
    sub_day: bool


def parse_period(value: str) -> Period:
    """The time that `value` covers: a year, a month, a day, a minute or a second. ArgumentError for what is no date."""
    match = _SHAPE.fullmatch(value.strip())
    if not match:
        raise ArgumentError(f"{value!r} is not a date: write YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DD HH:MM[:SS]")
    year, month, day, hour, minute, second = (int(part) if part is not None else None for part in match.groups())
    assert year is not None
    try:
        start = datetime.datetime(year, month or 1, day or 1, hour or 0, minute or 0, second or 0)
    except ValueError as exc:
        raise ArgumentError(f"{value!r} is not a date: {exc}") from None
    try:
        if month is None:
            end = start.replace(year=year + 1)
        elif day is None:
            end = start.replace(year=year + month // 12, month=month % 12 + 1)
        elif hour is None:
            end = start + datetime.timedelta(days=1)
        else:
            end = start + (datetime.timedelta(minutes=1) if second is None else datetime.timedelta(seconds=1))
    except (ValueError, OverflowError):
        return Period(start, None, hour is not None)
    return Period(start, end, hour is not None)


def iso_text(moment: datetime.datetime, *, sub_day: bool) -> str:
    """ISO 8601 with a space; the date alone for days and longer, so that dates kept as text compare too."""
    return f"{moment:%Y-%m-%d %H:%M:%S}" if sub_day else f"{moment:%Y-%m-%d}"
