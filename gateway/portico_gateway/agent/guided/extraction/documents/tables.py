"""Rows of pipe tables, grid tables and simple tables, cell by cell. Inline markup is `markup.py`'s."""

from __future__ import annotations

import re
from collections.abc import Sequence

_GRID = re.compile(r"\+(?:[-=]+\+)+\s*$")
_SIMPLE = re.compile(r"={2,}(?:\s+={2,})+\s*$")
_PIPE_RULE = re.compile(r"\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{2,}:?\s*)*\|?\s*$")

Row = tuple[str, ...]


def is_border(line: str) -> bool:
    """Does a reST table begin here?"""
    line = line.strip()
    return bool(_GRID.match(line) or _SIMPLE.match(line))


def is_pipe_row(line: str) -> bool:
    line = line.strip()
    return line.startswith("|") and line.count("|") > 2


def pipe_table(lines: Sequence[str]) -> tuple[Row, list[Row]]:
    """(header, rows) of a Markdown table's lines."""
    rows = [tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))) for line in lines]
    ruled = len(lines) > 1 and _PIPE_RULE.match(lines[1].strip())
    return (rows[0], rows[2:]) if ruled else ((), rows)


def bordered_table(lines: Sequence[str]) -> tuple[Row, list[Row]]:
    """(header, rows) of a grid table or a simple table."""
    lines = [line.rstrip() for line in lines if line.strip()]
    return _grid(lines) if _GRID.match(lines[0].strip()) else _simple(lines)


def _grid(lines: Sequence[str]) -> tuple[Row, list[Row]]:
    header: Row = ()
    rows: list[Row] = []
    cells: list[list[str]] = []
    for line in lines:
        stripped = line.strip()
        if _GRID.match(stripped):
            if cells:
                rows.append(_joined(cells))
            if "=" in stripped and rows and not header:
                header, rows = rows[0], rows[1:]
            cells = []
        else:
            cells = _added(cells, [part.strip() for part in stripped.strip("|").split("|")])
    return header, rows


def _simple(lines: Sequence[str]) -> tuple[Row, list[Row]]:
    starts = [match.start() for match in re.finditer(r"=+", lines[0])]
    groups: list[list[Row]] = [[]]
    cells: list[list[str]] = []
    for line in lines[1:]:
        if _SIMPLE.match(line.strip()):
            groups[-1] += [_joined(cells)] if cells else []
            groups.append([])
            cells = []
            continue
        parts = [line[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)]
        if parts[0] and cells:  # an empty first cell goes on with the row above
            groups[-1].append(_joined(cells))
            cells = []
        cells = _added(cells, parts)
    groups[-1] += [_joined(cells)] if cells else []
    filled = [group for group in groups if group]
    if len(filled) > 1:
        return filled[0][-1], filled[1]
    return (), filled[0] if filled else []


def _added(cells: list[list[str]], parts: Sequence[str]) -> list[list[str]]:
    cells = cells or [[] for _ in parts]
    for cell, part in zip(cells, parts, strict=False):
        if part:
            cell.append(part)
    return cells


def _joined(cells: Sequence[Sequence[str]]) -> Row:
    return tuple(" ".join(cell) for cell in cells)
