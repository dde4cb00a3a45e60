"""Whole files that a search led to, read through their server's own resource template: what answers often stands beside a hit.

Where a server has no template for them, the hits' own lines serve. It knows no server by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from portico_gateway.agent.citations import expand_template
from portico_gateway.agent.guided.extraction.source_lines import SourceFile
from portico_gateway.agent.rendered_results import RenderedResult
from portico_gateway.agent.tool_host import ToolHost
from portico_gateway.errors import GatewayError

MOST_FILES = 8  # of one result
MOST_LINES = 4_000  # of one file; of a longer one, those
AROUND = 400  # lines before and behind each hit

Hit = Mapping[str, Any]


def source_hits(result: RenderedResult) -> list[Hit]:
    """What of a result stands on lines of files, best first; nothing where it is of another kind."""
    data = result.data or {}
    hits = data.get("hits")
    found = [hit for hit in hits if isinstance(hit, Mapping)] if isinstance(hits, Sequence) else [data]
    return [hit for hit in found if isinstance(hit.get("path"), str) and ("start_line" in hit or "symbols" in hit)]


async def source_files(host: ToolHost, server: str, hits: Sequence[Hit]) -> list[SourceFile]:
    """The files of the hits, best first."""
    by_place: dict[tuple[str, str], list[Hit]] = {}
    for hit in hits:
        by_place.setdefault((str(hit.get("root") or ""), hit["path"]), []).append(hit)
    found: dict[str, SourceFile] = {}
    for rank, ((root, path), of_file) in enumerate(list(by_place.items())[:MOST_FILES]):
        whole = await _whole(host, server, of_file[0])
        text = _of_hits(of_file) if whole is None else _bounded(whole, of_file)
        fields = {key: value for key, value in of_file[0].items() if key not in ("text", "symbol", "kind", "end_line")}
        symbols = {hit["start_line"]: str(hit["symbol"]) for hit in of_file if hit.get("symbol") and "start_line" in hit}
        label = f"{root}/{path}" if path in found else path  # the same path in two roots
        found[label] = SourceFile(label, text, fields, 2.0 / (2.0 + rank), symbols)
    return list(found.values())


async def _whole(host: ToolHost, server: str, hit: Hit) -> str | None:
    for template in host.templates(server):
        if (uri := expand_template(template, hit)) is not None:
            try:
                return await host.read_text(server, uri)
            except GatewayError:
                continue
    return None


def _bounded(text: str, hits: Sequence[Hit]) -> str:
    """The text, or of a long one the lines around the hits, each at its number."""
    lines = text.splitlines()
    if len(lines) <= MOST_LINES:
        return text
    kept: set[int] = set()
    for hit in hits:
        first = hit.get("start_line")
        if isinstance(first, int) and len(kept) < MOST_LINES:
            kept.update(range(first - 1 - AROUND, first + AROUND))
    return "\n".join(line if number in kept else "" for number, line in enumerate(lines))


def _of_hits(hits: Sequence[Hit]) -> str:
    """The lines that the hits show, each at its number; the others are blank."""
    lines: list[str] = []
    for hit in hits:
        first = hit.get("start_line")
        shown = str(hit.get("text") or "").splitlines()
        if isinstance(first, int):
            lines += [""] * (first - 1 + len(shown) - len(lines))
            lines[first - 1 : first - 1 + len(shown)] = shown
    return "\n".join(lines)
