"""The tools of one conversation where they are too many to be told: `find_tools`, and what it has revealed so far.

It stands between the loop and the host: the loop calls `find_tools` as any tool, and of the others those that were found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import anyio.to_thread
import mcp_types

from portico_engine import Tool
from portico_gateway.agent.free.turns import WrittenCall
from portico_gateway.agent.tool_host import ToolHost, ToolReading
from portico_gateway.agent.tool_search import (
    CALL_TOOL,
    FIND_TOOLS,
    CatalogSearches,
    call_tool,
    find_tool,
    found_result,
    read_call,
    read_query,
)
from portico_gateway.errors import GatewayError


class SearchedTools:
    """A `ToolHost` over another. `by_name`: the model's grammar lets it call what was found by its own name."""

    def __init__(self, host: ToolHost, searches: CatalogSearches, *, by_name: bool) -> None:
        self._host = host
        self._searches = searches
        self._by_name = by_name
        self._all = {tool.name: tool for tool in host.tools()}
        self._servers = {name: host.server_of(name) for name in self._all}
        self._find = find_tool(list(self._servers.values()), by_name=by_name)
        self._revealed: dict[str, Tool] = {}

    def is_over(self, tools: Sequence[Tool]) -> bool:
        """Whether these are the tools that it searches."""
        return list(self._all.values()) == list(tools)

    def told(self) -> Sequence[Tool]:
        """What the model is told of from the beginning, which never changes."""
        return [self._find] if self._by_name else [self._find, call_tool()]

    def callable(self) -> Sequence[Tool]:
        """What the model may call now."""
        return [*self.told(), *self._revealed.values()]

    def unwrapped(self, call: WrittenCall) -> WrittenCall:
        """The call that a call of `call_tool` means."""
        if call.name != CALL_TOOL or call.problem:
            return call
        try:
            name, arguments = read_call(call.arguments)
        except GatewayError as error:
            return WrittenCall(call.name, call.arguments, call.id, str(error))
        if name not in self._revealed and name != FIND_TOOLS:
            problem = f"{name!r} was not found yet; call {FIND_TOOLS} first"
            return WrittenCall(name, arguments, call.id, problem)
        return WrittenCall(name, arguments, call.id)

    # -- ToolHost

    def tools(self) -> Sequence[Tool]:
        return self.callable()

    def server_of(self, tool: str) -> str:
        return "portico" if tool == FIND_TOOLS else self._host.server_of(tool)

    def is_read_only(self, tool: str) -> bool:
        return tool == FIND_TOOLS or self._host.is_read_only(tool)

    def profiles(self) -> Mapping[str, Sequence[str]]:
        return self._host.profiles()

    def templates(self, server: str) -> Sequence[str]:
        return self._host.templates(server)

    def may_run_concurrently(self, tool: str) -> bool:
        return tool == FIND_TOOLS or self._host.may_run_concurrently(tool)

    async def call_tool(self, name: str, arguments: Mapping[str, Any]) -> mcp_types.CallToolResult:
        if name != FIND_TOOLS:
            return await self._host.call_tool(name, arguments)
        query, limit = read_query(arguments)
        tools = list(self._all.values())
        search = partial(self._searches.search, str(id(self._host)), tools, self._servers, query, limit)
        found = await anyio.to_thread.run_sync(search)
        shown = found_result(found, by_name=self._by_name, known=self._revealed.keys())
        self._revealed |= {tool.name: tool for tool in found}
        return shown

    async def read_question(self, tool: str, question: str) -> ToolReading | None:
        return None if tool == FIND_TOOLS else await self._host.read_question(tool, question)

    async def read_text(self, server: str, uri: str) -> str:
        return await self._host.read_text(server, uri)
