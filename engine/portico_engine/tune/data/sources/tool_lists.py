"""`tools/list` of real MCP servers, ours to ask plain questions about."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from portico_engine.tool import Tool
from portico_engine.tune.data.sources.compressed import read_json_xz


def listed_tools(folder: Path) -> Iterator[Tool]:
    """Of a folder with a file a server."""
    for path in sorted(folder.glob("*.json")):
        for row in json.loads(path.read_text(encoding="utf-8"))["tools"]:
            yield _tool(row)


def livemcp_tools(path: Path) -> Iterator[Tool]:
    """Of LiveMCPBench's collection (Mo et al. 2025)."""
    for server in read_json_xz(path):
        for about in server["tools"].values():
            for row in about.get("tools") or ():
                yield _tool(row)


def _tool(row: dict[str, Any]) -> Tool:
    schema = row.get("inputSchema") or {}
    return Tool(
        row["name"], row.get("description") or "", schema | {"type": "object", "properties": schema.get("properties") or {}}
    )
