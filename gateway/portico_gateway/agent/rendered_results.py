"""What a tool answered, trimmed to what matters: for a small model to read, for a person to see, and as citations.

It reads the structured content that search-like tools share (`hits`, or `columns` and `rows`) and the text of any other tool;
it knows no server by name and opens nothing itself: `citations.py` does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import mcp_types as types

from portico_gateway.agent.citations import Citation
from portico_gateway.agent.empty_results import says_nothing

MAX_RESULT_CHARACTERS = 1600
MAX_HITS = 4


@dataclass(frozen=True, slots=True)
class RenderedResult:
    """A result as it is shown. `found` False: the tool worked and has nothing to say."""

    text: str
    found: bool
    citations: tuple[Citation, ...] = ()
    truncated: bool = False
    data: Mapping[str, Any] | None = None  # the structured content, whole


def render(
    arguments: Mapping[str, Any], result: types.CallToolResult, *, limit: int = MAX_RESULT_CHARACTERS, hits: int = MAX_HITS
) -> RenderedResult:
    """A result as text of at most `limit` characters, with its citations. Of a search's hits, the first `hits`."""
    data = result.structured_content
    return replace(_render(arguments, result, data, limit, hits), data=data if isinstance(data, Mapping) else None)


def _render(arguments: Mapping[str, Any], result: types.CallToolResult, data: Any, limit: int, most: int) -> RenderedResult:
    if isinstance(data, Mapping) and isinstance(hits := data.get("hits"), Sequence) and not isinstance(hits, str):
        return _render_hits([h for h in hits if isinstance(h, Mapping)], limit, most)
    text = "\n".join(block.text for block in result.content if isinstance(block, types.TextContent)).strip()
    if isinstance(data, Mapping) and isinstance(rows := data.get("rows"), Sequence) and "columns" in data:
        return _render_rows(arguments, data, rows, text, limit)
    citations = _citation_of_object(data) if isinstance(data, Mapping) else ()
    return RenderedResult(clip(text, limit), not says_nothing(text, data), citations, len(text) > limit)


def clip(text: str, limit: int) -> str:
    """At most `limit` characters, cut at a line's end where one is near, and marked."""
    if len(text) <= limit:
        return text
    cut = text[: limit - 2]
    line = cut.rfind("\n")
    return (cut[:line] if line > limit // 2 else cut.rstrip()) + "\n…"


def _render_hits(hits: Sequence[Mapping[str, Any]], limit: int, most: int) -> RenderedResult:
    if not hits:
        return RenderedResult("", False)
    parts: list[str] = []
    citations: list[Citation] = []
    for hit in hits[:most]:
        citation = citation_of_hit(hit)
        body = _dedent(str(hit.get("text") or ""))
        room = limit - sum(map(len, parts)) - len(citation.label) - 2
        if parts and room < 200:
            break
        heading = citation.label
        if trail := hit.get("title_trail"):
            heading += "  " + " > ".join(map(str, trail))
        elif hit.get("symbol"):
            heading += f"  {hit.get('kind') or ''} {hit['symbol']}".replace("   ", "  ")
        share = max(room if len(hits) == 1 else min(room, limit // 2), 120)
        parts.append(f"{heading}\n{clip(body, share)}".rstrip())
        citations.append(citation)
    return RenderedResult("\n\n".join(parts), True, tuple(citations), len(parts) < len(hits))


def citation_of_hit(hit: Mapping[str, Any]) -> Citation:
    """What a hit cites: its fields, its place, the first words of its text."""
    path = str(hit.get("path") or hit.get("uri") or hit.get("title") or "?")
    line = hit.get("start_line", hit.get("line"))
    text = str(hit.get("text") or "")
    quote = next((s for raw in text.splitlines() if (s := raw.strip())), "")
    anchor = hit.get("anchor")
    label = f"{path}#{anchor}" if anchor else f"{path}:{line}" if line else path
    return Citation(dict(hit), label, line if isinstance(line, int) else None, quote)


def _render_rows(
    arguments: Mapping[str, Any], data: Mapping[str, Any], rows: Sequence[Any], text: str, limit: int
) -> RenderedResult:
    tables = data.get("tables") or _tables(arguments, str(data.get("sql") or ""))
    extra = {k: v for k, v in data.items() if isinstance(v, str | int)}
    citations = tuple(Citation({**extra, "table": t}, f"table {t}", None, "") for t in tables)
    shown = text or _plain_table(data.get("columns") or (), rows)
    empty = not rows or all(v is None for row in rows for v in (row if isinstance(row, Sequence) else (row,)))
    return RenderedResult(clip(shown, limit), not empty, citations, bool(data.get("truncated")) or len(shown) > limit)


def _tables(arguments: Mapping[str, Any], sql: str) -> list[str]:
    if isinstance(arguments.get("table"), str):
        return [arguments["table"]]
    found = re.findall(r'\b(?:FROM|JOIN)\s+"?([A-Za-z_][\w.]*)"?', sql, re.IGNORECASE)
    return list(dict.fromkeys(found))


def _plain_table(columns: Sequence[Any], rows: Sequence[Any]) -> str:
    lines = [" | ".join(map(str, columns))]
    lines += [" | ".join(map(str, row)) for row in rows[:20]]
    return "\n".join(lines)


def _citation_of_object(data: Mapping[str, Any]) -> tuple[Citation, ...]:
    """A single thing that was read: its fields name it, where it has a path or a table."""
    if isinstance(data.get("path"), str):
        return (citation_of_hit(data),)
    if isinstance(data.get("table"), str):
        return (Citation(dict(data), f"table {data['table']}", None, ""),)
    return ()


def _dedent(text: str) -> str:
    lines = [line.rstrip() for line in text.strip("\n").splitlines()]
    margin = min((len(line) - len(line.lstrip()) for line in lines if line), default=0)
    return "\n".join(line[margin:] for line in lines)
