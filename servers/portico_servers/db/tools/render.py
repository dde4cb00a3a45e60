"""Results as people and small models read them: a Markdown table within a bound, one line for one value."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

TEXT_CHARACTERS = 1_200  # of a short answer, all in all
_CELL_CHARACTERS = 60  # that a cell of the text may have at least
_WISHED_ROWS = 4  # rows that are worth shorter cells
_DECIMALS = 6  # behind which a difference may be noise,
_NOISE = 1e-12  # where it is less than this share of the number,
_SMALL = 1e-8  # and than this
_EXACT_INTEGERS = 2.0**53  # beyond, floats have no units


class TextTable(NamedTuple):
    """A table for the text: how many of the rows it shows, and at how many characters cells are cut (None: none is)."""

    text: str
    shown: int
    cut_at: int | None


def markdown(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table of all rows, every cell whole."""
    return "\n".join([*_head(columns), *(_row(row, None) for row in rows)])


def text_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], limit: int) -> TextTable:
    """A Markdown table of as many rows as fit `limit` characters, the first in any case. Cells are whole where all of it fits,
    else as wide as lets a few rows in."""
    head = _head(columns)
    room = limit - sum(len(line) + 1 for line in head)
    whole = [_row(row, None) for row in rows[: max(room, 1)]]
    if len(whole) == len(rows) and sum(len(line) + 1 for line in whole) <= room:
        return TextTable("\n".join([*head, *whole]), len(rows), None)
    width = max(_CELL_CHARACTERS, room // max(len(columns) * min(len(rows), _WISHED_ROWS), 1) - 3)
    lines = [*head]
    cut = False
    for shown, row in enumerate(rows):
        line = _row(row, width)
        if shown and len(line) + 1 > room:
            return TextTable("\n".join(lines), shown, width if cut else None)
        room -= len(line) + 1
        cut |= any(len(_escaped(cell)) > width for cell in row)
        lines.append(line)
    return TextTable("\n".join(lines), len(rows), width if cut else None)


def value(cell: Any) -> str:
    """One cell as text."""
    if cell is None:
        return "NULL"
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        # The shortest form that reads back as the same number; without a fraction it's written as the integer that it is.
        return f"{cell:.0f}" if cell.is_integer() and abs(cell) < _EXACT_INTEGERS else repr(cell)
    if isinstance(cell, dict | list):
        return json.dumps(cell, ensure_ascii=False)
    return str(cell)


def computed(cell: Any) -> Any:
    """A cell that was computed. What adding up floats leaves far behind the point stands behind the number that it is near:
    31638 (as floats add up: 31638.000000004). Any other cell stays as it is."""
    if not isinstance(cell, float) or not math.isfinite(cell):
        return cell
    near = round(cell, _DECIMALS)
    if near == cell or abs(cell - near) >= min(abs(cell) * _NOISE, _SMALL):
        return cell
    return f"{value(near)} (as floats add up: {value(cell)})"


def _head(columns: Sequence[str]) -> list[str]:
    return [f"| {' | '.join(map(_escaped, columns))} |", f"|{'---|' * len(columns)}"]


def _row(row: Sequence[Any], width: int | None) -> str:
    return f"| {' | '.join(_cell(cell, width) for cell in row)} |"


def _escaped(cell: Any) -> str:
    return value(cell).replace("\\", "\\\\").replace("|", "\\|").replace("\r", " ").replace("\n", " ")


def _cell(cell: Any, width: int | None) -> str:
    text = _escaped(cell)
    return text if width is None or len(text) <= width else text[: width - 1] + "…"


def clipped(lines: Sequence[str]) -> str:
    """The lines as a short answer, cut at its bound."""
    text = "\n".join(lines)
    return text if len(text) <= TEXT_CHARACTERS else text[: TEXT_CHARACTERS - 2].rstrip() + "\n…"
