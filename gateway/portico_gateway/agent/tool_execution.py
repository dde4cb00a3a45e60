"""One tool call, made: its result as it is shown, its error, whether it was denied. And the sources of a question's results.

It decides neither which call is made nor whether it may be: that is the policy's, behind `ToolHost`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import mcp_types as types

from portico_gateway.agent.citations import Citation, ConfirmedCitation, confirm
from portico_gateway.agent.events import ToolCallFinished
from portico_gateway.agent.rendered_results import RenderedResult, render
from portico_gateway.agent.tool_host import ToolHost
from portico_gateway.errors import GatewayError, PolicyError


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """A call that was made, or tried."""

    finished: ToolCallFinished
    result: types.CallToolResult | None = None  # as the server gave it
    denied: PolicyError | None = None  # why the policy, or a person, did not allow it

    def text(self, limit: int, hits: int) -> str:
        """The result as text of at most `limit` characters; of a search's hits at most `hits`."""
        if self.result is None:
            return ""
        return render(self.finished.arguments, self.result, limit=limit, hits=hits).text


async def execute(host: ToolHost, tool: str, arguments: dict[str, Any]) -> ToolOutcome:
    """Call a tool. A failure is an outcome, never raised."""
    started = time.perf_counter()
    rendered, error = RenderedResult("", False), None
    result: types.CallToolResult | None = None
    denied: PolicyError | None = None
    try:
        result = await host.call_tool(tool, arguments)
        rendered = render(arguments, result)
        if result.is_error:
            error, rendered = rendered.text or "the tool failed without saying why", replace(rendered, found=False)
    except PolicyError as refusal:
        error, denied = str(refusal), refusal
    except GatewayError as failure:
        error = str(failure)
    seconds = time.perf_counter() - started
    return ToolOutcome(ToolCallFinished(tool, arguments, rendered, seconds, error, denied is not None), result, denied)


async def confirmed_citations(host: ToolHost, citations: Sequence[tuple[str, Citation]]) -> list[ConfirmedCitation]:
    """Those of (server, citation) that their server still has, server by server."""
    found: list[ConfirmedCitation] = []
    for server in dict.fromkeys(server for server, _ in citations):
        own = [citation for s, citation in citations if s == server]

        async def read(uri: str, server: str = server) -> str:
            return await host.read_text(server, uri)

        found += await confirm(server, own, host.templates(server), read)
    return found
