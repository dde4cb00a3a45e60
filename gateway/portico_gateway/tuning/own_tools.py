"""A user's tools, by the names that a model is told: of the running servers, or of files with an answer to tools/list."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from portico_engine import Tool
from portico_gateway.config.portico_config import PorticoConfig
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.errors import ConfigError, GatewayError

WAIT = 20.0  # seconds for servers to start


class NoTools(GatewayError):
    """There are no tools to make questions about."""


async def live_tools(config: PorticoConfig, specs: Sequence[UpstreamSpec]) -> tuple[list[Tool], dict[str, str]]:
    """In the catalog's order, and the servers that are not there, with why."""
    from portico_gateway.agent.upstream_tool_host import UpstreamToolHost
    from portico_gateway.assembly.gateway import open_tool_calls
    from portico_gateway.policy.terminal_consent import terminal_caller

    with open_tool_calls(config, specs) as tool_calls:
        async with tool_calls.upstreams as upstreams:
            statuses = await upstreams.ready(WAIT)
            tools = list(UpstreamToolHost(upstreams, tool_calls=tool_calls, caller=terminal_caller("portico tune")).tools())
    return tools, {status.name: status.error or f"it is still {status.state}" for status in statuses if not status.tools}


def listed_tools(path: Path) -> list[Tool]:
    """Of a file with an answer to tools/list, or its list of tools. Raises ConfigError naming the file and what is wrong."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        rows = said["tools"] if isinstance(said, dict) else said
        found = [_tool(row) for row in rows]
    except OSError as error:
        raise ConfigError(f"this file can't be read: {error.strerror or error}", path=path) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ConfigError(
            'this is no answer to tools/list; it must be {"tools": [{"name": ..., "description": ..., "inputSchema": ...}]}',
            path=path,
        ) from None
    if not found:
        raise NoTools(f"{path} lists no tools")
    return found


def _tool(row: dict[str, object]) -> Tool:
    schema = row.get("inputSchema") or row.get("input_schema") or row.get("parameters") or {}
    if not isinstance(schema, dict) or not isinstance(row["name"], str):
        raise TypeError("a tool has a name and a schema")
    whole = schema | {"type": "object", "properties": schema.get("properties") or {}}
    return Tool(row["name"], str(row.get("description") or ""), whole)
