"""The figures of a run as people read them: rows of a table with a unit each, and bars that compare executors.

It knows names and units, no terminal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_BAR = "█"
_EIGHTHS = " ▏▎▍▌▋▊▉"


class Figure(NamedTuple):
    """One row. `values` by executor; None where it was not measured."""

    title: str
    unit: str
    values: Mapping[str, float | None]
    more_is_better: bool

    def shown(self, executor: str) -> str:
        value = self.values[executor]
        return "-" if value is None else _number(value)


class _Kind(NamedTuple):
    """How figures of one name's form are shown: `{}` is the number in the name, `scale` multiplies."""

    pattern: str
    title: str
    unit: str
    scale: float = 1.0
    more_is_better: bool = True


_KINDS = (
    _Kind(r"prefill_(\d+)", "prefill, {} tokens", "tokens/s"),
    _Kind(r"decode_(\d+)", "decode, {} at once", "tokens/s"),
    _Kind(r"first_token_cold", "first token behind tools not read before", "ms", 1000, False),
    _Kind(r"first_token_warm", "first token behind the same tools again", "ms", 1000, False),
    _Kind(r"calls_per_second_(\d+)", "constrained tool calls, {} at a time", "calls/s"),
    _Kind(r"call_seconds_(\d+)", "a call of those, {} at a time, p50", "ms", 1000, False),
    _Kind(r"calls_valid_(\d+)", "of those valid, {} at a time", "%", 100),
)


def rows(figures: Mapping[str, Mapping[str, float]]) -> list[Figure]:
    """All figures that any executor has, kind by kind."""
    names = dict.fromkeys(name for found in figures.values() for name in found)
    return [
        Figure(
            kind.title.format(*match.groups()),
            kind.unit,
            {executor: None if name not in found else found[name] * kind.scale for executor, found in figures.items()},
            kind.more_is_better,
        )
        for kind in _KINDS
        for name in names
        if (match := re.fullmatch(kind.pattern, name))
    ]


def compared(figures: Mapping[str, Mapping[str, float]]) -> list[Figure]:
    """The rows that a picture compares: all but what is the same for everybody."""
    return [row for row in rows(figures) if row.unit != "%"]


def bars(figures: Mapping[str, Mapping[str, float]], width: int) -> Iterator[str]:
    """Lines of bars of at most `width` characters, the longest of each row as wide as the room for it."""
    label = max((len(name) for name in figures), default=0)
    room = max(8, width - label - 14)
    for row in compared(figures):
        most = max((value for value in row.values.values() if value is not None), default=0.0)
        yield f"{row.title}, {row.unit}" + ("" if row.more_is_better else " (less is better)")
        for name, value in row.values.items():
            if value is None:
                yield f"  {name:{label}} not measured"
            else:
                yield f"  {name:{label}} {_bar(value / most if most else 0.0, room)} {_number(value)}"


def _bar(share: float, room: int) -> str:
    eighths = round(share * room * 8)
    return (_BAR * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip() or _EIGHTHS[1]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
