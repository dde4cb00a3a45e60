"""What the loop needs of the gateway's upstreams. It knows neither servers nor how they are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import mcp_types as types

from portico_engine import Tool
from portico_gateway.guidance.question_readings import Reading

ToolReading: TypeAlias = Reading  # how a tool's own server reads a question


class ToolHost(Protocol):
    """Tools under the gateway's names, their servers, and the servers' resources."""

    def tools(self) -> Sequence[Tool]: ...
    def server_of(self, tool: str) -> str: ...
    def is_read_only(self, tool: str) -> bool:
        """Does the policy take the tool as one that only reads?"""
        ...

    def profiles(self) -> Mapping[str, Sequence[str]]:
        """By server, names that it shows of itself."""
        ...

    def templates(self, server: str) -> Sequence[str]:
        """A server's resource templates."""
        ...

    def may_run_concurrently(self, tool: str) -> bool:
        """May calls of the tool run beside others? Those that only read, and that nobody has to be asked about."""
        ...

    async def call_tool(self, name: str, arguments: Mapping[str, Any]) -> types.CallToolResult: ...
    async def read_question(self, tool: str, question: str) -> ToolReading | None:
        """How the tool's own server reads a question; None where it doesn't, or can't now."""
        ...

    async def read_text(self, server: str, uri: str) -> str: ...
