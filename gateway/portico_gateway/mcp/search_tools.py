"""`find_tools` and `call_tool` for a host: a catalog of any size as two tools ([gateway] expose = "search").

It owns what a caller may find, which is what it may see; a call is the tool's own, under the same policy and in the same log.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio.to_thread
import mcp_types

from portico_engine import Tool
from portico_gateway.agent.tool_search import CatalogSearches, call_tool, find_tool, found_result, read_query
from portico_gateway.agent.upstream_tool_host import embedder
from portico_gateway.caller import Caller
from portico_gateway.policy.tool_calls import ToolCalls
from portico_gateway.upstreams.catalog import CatalogTool


class SearchTools:
    """Over the catalog behind `tool_calls`."""

    def __init__(self, tool_calls: ToolCalls) -> None:
        self._tool_calls = tool_calls
        self._searches = CatalogSearches(lambda: embedder().embed)

    def listed(self, caller: Caller) -> list[mcp_types.Tool]:
        """The two tools, as this caller sees them."""
        find = find_tool([entry.server for entry in self._visible(caller)], by_name=False)
        return [
            _as_mcp(find, mcp_types.ToolAnnotations(read_only_hint=True, open_world_hint=False)),
            _as_mcp(call_tool(), None),
        ]

    def find(self, caller: Caller) -> mcp_types.Tool:
        """`find_tools` alone."""
        return self.listed(caller)[0]

    async def found(self, arguments: dict[str, Any], caller: Caller) -> mcp_types.CallToolResult:
        """What fits. Raises GatewayError for arguments that say nothing."""
        query, limit = read_query(arguments)
        entries = self._visible(caller)
        shown = [self._tool_calls.shown(entry, caller) for entry in entries]
        tools = [
            Tool(entry.name, tool.description or tool.title or "", tool.input_schema)
            for entry, tool in zip(entries, shown, strict=True)
        ]
        servers = {entry.name: entry.server for entry in entries}
        held_back = [entry.name for entry, tool in zip(entries, shown, strict=True) if tool is not entry.tool]
        key = f"{self._tool_calls.upstreams.catalog.digest} {held_back}"
        search = partial(self._searches.search, key, tools, servers, query, limit)
        return found_result(await anyio.to_thread.run_sync(search), by_name=False)

    def _visible(self, caller: Caller) -> list[CatalogTool]:
        return [entry for entry in self._tool_calls.upstreams.catalog.tools if self._tool_calls.is_visible(entry, caller)]


def _as_mcp(tool: Tool, annotations: mcp_types.ToolAnnotations | None) -> mcp_types.Tool:
    return mcp_types.Tool(name=tool.name, description=tool.description, input_schema=tool.parameters, annotations=annotations)
