"""Results as people and small models read them: a Markdown table within a bound, one line for one value."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

TEXT_CHARACTERS = 1_200  # of a short answer, all in all
_CELL_CHARACTERS = 60


def markdown(columns: Sequence[str], rows: Sequence[Sequence[Any]], limit: int | None = None) -> str:
    """A Markdown table of all rows, or of as many as fit `limit` characters and a line that says how many are left."""
    lines = [f"| {' | '.join(_cell(name, None) for name in columns)} |", f"|{'---|' * len(columns)}"]
    size = sum(map(len, lines))
    width = None if limit is None else _CELL_CHARACTERS
    for n, row in enumerate(rows):
        line = f"| {' | '.join(_cell(value, width) for value in row)} |"
        if limit is not None and size + len(line) > limit and n:
            lines.append(f"({len(rows) - n} more rows)")
            break
        size += len(line) + 1
        lines.append(line)
    return "\n".join(lines)


def value(cell: Any) -> str:
    """One cell as text."""
    if cell is None:
        return "NULL"
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return f"{cell:.10g}"
    if isinstance(cell, dict | list):
        return json.dumps(cell, ensure_ascii=False)
    return str(cell)


def _cell(cell: Any, width: int | None) -> str:
    text = value(cell).replace("\\", "\\\\").replace("|", "\\|").replace("\r", " ").replace("\n", " ")
    return text if width is None or len(text) <= width else text[: width - 1] + "…"


def clipped(lines: Sequence[str]) -> str:
    """The lines as a short answer, cut at its bound."""
    text = "\n".join(lines)
    return text if len(text) <= TEXT_CHARACTERS else text[: TEXT_CHARACTERS - 2].rstrip() + "\n…"
