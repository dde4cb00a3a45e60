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

Hit = Mapping[str, Any]


def source_hits(result: RenderedResult) -> list[Hit]:
    """What of a result stands on lines of files, best first; nothing where it is of another kind."""
    data = result.data or {}
    hits = data.get("hits")
    found = [hit for hit in hits if isinstance(hit, Mapping)] if isinstance(hits, Sequence) else [data]
    return [hit for hit in found if isinstance(hit.get("path"), str) and ("start_line" in hit or "symbols" in hit)]


async def source_files(host: ToolHost, server: str, hits: Sequence[Hit]) -> list[SourceFile]:
    """The files of the hits, best first."""
    by_path: dict[str, list[Hit]] = {}
    for hit in hits:
        by_path.setdefault(hit["path"], []).append(hit)
    found = []
    for rank, (path, of_file) in enumerate(list(by_path.items())[:MOST_FILES]):
        text = await _whole(host, server, of_file[0])
        fields = {key: value for key, value in of_file[0].items() if key not in ("text", "symbol", "kind", "end_line")}
        symbols = {hit["start_line"]: str(hit["symbol"]) for hit in of_file if hit.get("symbol") and "start_line" in hit}
        found.append(SourceFile(path, _of_hits(of_file) if text is None else text, fields, 2.0 / (2.0 + rank), symbols))
    return found


async def _whole(host: ToolHost, server: str, hit: Hit) -> str | None:
    for template in host.templates(server):
        if (uri := expand_template(template, hit)) is not None:
            try:
                return await host.read_text(server, uri)
            except GatewayError:
                continue
    return None


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
