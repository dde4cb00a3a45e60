"""A call, made and told: its result as it is shown, its error, whether it was denied; and the citations that hold.

It knows tools through `ToolHost`; which call is made, and what comes of it, others decide.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from portico_gateway.agent.citations import ConfirmedCitation, confirm
from portico_gateway.agent.empty_results import error_text
from portico_gateway.agent.events import ToolCallFinished, ToolCallStarted
from portico_gateway.agent.question_run import QuestionRun
from portico_gateway.agent.rendered_results import RenderedResult, render
from portico_gateway.agent.tool_host import ToolHost
from portico_gateway.errors import GatewayError, PolicyError


class HostCalls:
    """The calls of one host's tools."""

    def __init__(self, host: ToolHost) -> None:
        self._host = host

    async def call(self, run: QuestionRun, call: ToolCallStarted) -> ToolCallFinished:
        """Make the call, and keep it in the run. A failure is the result's."""
        started = time.perf_counter()
        rendered, error, denied = RenderedResult("", False), None, False
        try:
            result = await self._host.call_tool(call.tool, call.arguments)
            rendered = render(call.arguments, result)
            if result.is_error or error_text(rendered.text):
                error, rendered = rendered.text or "the tool failed without saying why", replace(rendered, found=False)
        except GatewayError as failure:
            error, denied = str(failure), isinstance(failure, PolicyError)
        finished = ToolCallFinished(call.tool, call.arguments, rendered, time.perf_counter() - started, error, denied)
        run.tool_calls.append(finished)
        return finished

    async def confirmed(self, calls: Sequence[ToolCallFinished]) -> list[ConfirmedCitation]:
        """The citations of all results that were found, those alone that still hold."""
        found: list[ConfirmedCitation] = []
        cited = [(self._host.server_of(c.tool), citation) for c in calls if c.result.found for citation in c.result.citations]
        for server in dict.fromkeys(server for server, _ in cited):
            citations = [citation for s, citation in cited if s == server]

            async def read(uri: str, server: str = server) -> str:
                return await self._host.read_text(server, uri)

            found += await confirm(server, citations, self._host.templates(server), read)
        return found
