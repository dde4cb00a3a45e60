"""Rows of a table: the question as it was understood, and everything that fits, in the form that reads best.

One value stays one line, one column is a list, several are a Markdown table. What is left out is said. It reads the fields that
table-like results share (`columns`, `rows`), and knows no server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from portico_gateway.agent.citations import Citation
from portico_gateway.agent.guided.extraction.candidate import AnswerCandidate
from portico_gateway.agent.rendered_results import RenderedResult

MAX_ROWS_CHARACTERS = 4_000  # of an answer: more is read on with a query of its own
MAX_CELL_CHARACTERS = 300
_FIRST = re.compile(r"(.*?)(first|given|fore)_?name", re.IGNORECASE)
_LAST = re.compile(r"(.*?)(last|family|sur)_?name", re.IGNORECASE)


def is_rows(result: RenderedResult) -> bool:
    """Is all that the result cites a table?"""
    return bool(result.citations) and all("table" in citation.fields for citation in result.citations)


def rows(result: RenderedResult) -> Iterator[AnswerCandidate]:
    """The one candidate of a table's answer."""
    citation, data = result.citations[0], result.data or {}
    columns, found = data.get("columns"), data.get("rows")
    if not isinstance(columns, Sequence) or not isinstance(found, Sequence) or not columns or not found:
        yield AnswerCandidate(result.text, citation)
        return
    head = _understood(result.text, citation)
    names, cells = _with_whole_names([str(name) for name in columns], [list(map(_cell, row)) for row in found])
    if "\n" not in result.text.strip():
        yield AnswerCandidate(result.text.strip(), citation)  # one line says both
        return
    lines = list(_lines(names, cells))
    text = "\n".join(([f"{head}:"] if head else []) + lines)
    if data.get("truncated") and lines:
        text += "\n(cut at the limit: there is more)"
    yield AnswerCandidate(text, citation)


def _understood(text: str, citation: Citation) -> str:
    """The line before the table, in which a server says what it has done."""
    first = text.split("\n", 1)[0].strip()
    return first.rstrip(":") if first and not first.startswith("|") else citation.label


def _lines(names: Sequence[str], cells: Sequence[Sequence[str]]) -> Iterator[str]:
    """The rows as lines, within the bound."""
    if len(names) == 1:
        every = [f"- {row[0]}" for row in cells]
    elif len(cells) == 1:
        every = [", ".join(f"{name}: {cell}" for name, cell in zip(names, cells[0], strict=True))]
    else:
        yield f"| {' | '.join(names)} |"
        yield "|" + "---|" * len(names)
        every = [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in cells]
    room = MAX_ROWS_CHARACTERS
    for n, line in enumerate(every):
        room -= len(line) + 1
        if room < 0 and n:
            yield f"(… and {len(every) - n} more)"
            return
        yield line


def _with_whole_names(names: list[str], cells: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """A first and a last name side by side are one name."""
    for at in range(len(names) - 1):
        first, last = _FIRST.fullmatch(names[at]), _LAST.fullmatch(names[at + 1])
        if first and last and first[1] == last[1]:
            whole = [[*row[:at], f"{row[at]} {row[at + 1]}".strip(), *row[at + 2 :]] for row in cells]
            return _with_whole_names([*names[:at], f"{first[1]}name", *names[at + 2 :]], whole)
    return names, cells


def _cell(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        near = round(value, 6)  # what adding up floats leaves far behind the point is no digit of anything
        value = near if value and abs(value - near) < min(abs(value) * 1e-12, 1e-8) else value
        return f"{value:.0f}" if float(value).is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, Mapping | list):
        return str(value)
    text = " ".join(str(value).split())
    return text if len(text) <= MAX_CELL_CHARACTERS else text[: MAX_CELL_CHARACTERS - 1] + "…"
