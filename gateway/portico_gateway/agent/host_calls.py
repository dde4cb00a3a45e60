"""A call, made and told: its result as it is shown, its error, whether it was denied; and the citations that hold.

It knows tools through `ToolHost`; which call is made, and what comes of it, others decide.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import mcp_types as types

from portico_gateway.agent.citations import Citation, ConfirmedCitation, confirm
from portico_gateway.agent.empty_results import error_text
from portico_gateway.agent.events import ToolCallFinished, ToolCallStarted
from portico_gateway.agent.question_run import QuestionRun
from portico_gateway.agent.rendered_results import RenderedResult, render
from portico_gateway.agent.tool_host import ToolHost
from portico_gateway.errors import GatewayError, PolicyError
from portico_gateway.policy.tool_calls import CALL, DECISION


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """What became of a call."""

    finished: ToolCallFinished
    result: types.CallToolResult | None = None  # as the server gave it
    refusal: PolicyError | None = None  # why the policy, or a person, did not allow it

    def text(self, limit: int, hits: int) -> str:
        """The result as text of at most `limit` characters; of a search's hits at most `hits`."""
        return "" if self.result is None else render(self.finished.arguments, self.result, limit=limit, hits=hits).text


class HostCalls:
    """The calls of one host's tools."""

    def __init__(self, host: ToolHost) -> None:
        self._host = host

    async def call(self, run: QuestionRun, call: ToolCallStarted) -> ToolCallFinished:
        """Make the call, and keep it in the run. A failure is the result's."""
        finished = (await self.execute(call.tool, call.arguments)).finished
        run.tool_calls.append(finished)
        return finished

    async def execute(self, tool: str, arguments: dict[str, Any]) -> CallOutcome:
        """Make the call. A failure is an outcome, never raised."""
        started = time.perf_counter()
        rendered, error = RenderedResult("", False), None
        result: types.CallToolResult | None = None
        refusal: PolicyError | None = None
        try:
            result = await self._host.call_tool(tool, arguments)
            rendered = render(arguments, result)
            if result.is_error or error_text(rendered.text):
                error, rendered = rendered.text or "the tool failed without saying why", replace(rendered, found=False)
        except PolicyError as denied:
            error, refusal = str(denied), denied
        except GatewayError as failure:
            error = str(failure)
        seconds = time.perf_counter() - started
        said = (result.meta or {}) if result is not None else {}
        edited = (said.get(DECISION) or {}).get("arguments")  # a person's, where one has changed them
        finished = ToolCallFinished(
            tool, edited or arguments, rendered, seconds, error, refusal is not None, str(said.get(CALL) or "")
        )
        return CallOutcome(finished, result, refusal)

    async def confirmed(self, calls: Sequence[ToolCallFinished]) -> list[ConfirmedCitation]:
        """The citations of all results that were found, those alone that still hold."""
        found: list[ConfirmedCitation] = []
        cited = [(server, citation) for call in calls for server, citation in self._cited(call)]
        for server in dict.fromkeys(server for server, _ in cited):
            citations = [citation for s, citation in cited if s == server]

            async def read(uri: str, server: str = server) -> str:
                return await self._host.read_text(server, uri)

            found += await confirm(server, citations, self._host.templates(server), read)
        return found

    def _cited(self, call: ToolCallFinished) -> Iterator[tuple[str, Citation]]:
        """The citations of a call with their server; none where the tool is gone meanwhile."""
        if call.result.found and call.result.citations:
            try:
                server = self._host.server_of(call.tool)
            except GatewayError:
                return
            yield from ((server, citation) for citation in call.result.citations)
