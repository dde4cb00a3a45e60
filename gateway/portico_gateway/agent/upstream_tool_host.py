"""The gateway's upstreams as the agent's `ToolHost`: tools under their gateway names, results, and resources as text."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import mcp_types as types
from mcp.shared.exceptions import MCPError

from portico_engine import Tool
from portico_gateway.caller import Caller
from portico_gateway.errors import GatewayError, UnknownName, UpstreamFault
from portico_gateway.guidance.question_readings import Reading, question_reading
from portico_gateway.guidance.tool_retrieval import ToolRetriever
from portico_gateway.guidance.weights import DEFAULT_WEIGHTS, Weights
from portico_gateway.policy.rules import Verdict
from portico_gateway.policy.tool_calls import ToolCalls
from portico_gateway.upstreams.catalog import CatalogTool
from portico_gateway.upstreams.names import outward_uri
from portico_gateway.upstreams.upstreams import Upstreams

log = logging.getLogger(__name__)

_MAX_SAID = 100_000  # characters


class UpstreamToolHost:
    """See `ToolHost`. Tools are in the catalog's order, which is the configuration's."""

    def __init__(
        self,
        upstreams: Upstreams,
        order: Sequence[str] | None = None,
        *,
        tool_calls: ToolCalls | None = None,
        caller: Caller | None = None,
        read_only: bool = False,
    ) -> None:
        """`order` rearranges the tools by name, for experiments; what it doesn't name comes last.

        `caller` is who the model works for. Where that side can't be asked for consent, tools that need it are not offered;
        with `read_only`, none that the policy does not take as read-only.
        """
        self._upstreams = upstreams
        self._read_only = read_only
        self.tool_calls = tool_calls or ToolCalls(upstreams)
        self._caller = caller or Caller(client="portico ask")
        self.question = ""  # what is asked now: the log keeps it with the calls where the user wants that
        self._place = {name: i for i, name in enumerate(order or ())}

    def person_said(self, text: str) -> None:
        """What the person asked, who this model works for: what stands in it is theirs, wherever else the model reads it."""
        self._caller = replace(self._caller, said=f"{self._caller.said}\n{text}"[-_MAX_SAID:])

    def tools(self) -> Sequence[Tool]:
        entries = [
            Tool(
                entry.name,
                shown.description or shown.title or "",
                dict(shown.input_schema if shown is not entry.tool else entry.local_schema or shown.input_schema),
            )
            for entry in self._upstreams.catalog.tools
            if self._offers(entry)
            for shown in (self.tool_calls.shown(entry, self._caller),)
        ]
        return sorted(entries, key=lambda tool: self._place.get(tool.name, len(self._place)))

    def _offers(self, entry: CatalogTool) -> bool:
        if self._read_only and not self.tool_calls.is_read_only(entry, self._caller):
            return False
        verdict = self.tool_calls.ruling(entry, self._caller).verdict
        return verdict is Verdict.ALLOW or (verdict is Verdict.ASK and self._caller.consent is not None)

    def server_of(self, tool: str) -> str:
        return self._upstreams.catalog.tool(tool).server

    def is_read_only(self, tool: str) -> bool:
        try:
            return self.tool_calls.is_read_only(self._upstreams.catalog.tool(tool), self._caller)
        except UnknownName:  # its server has taken it away
            return False

    def profiles(self) -> Mapping[str, Sequence[str]]:
        found: dict[str, list[str]] = {entry.server: [] for entry in self._upstreams.catalog.tools}
        for entry in self._upstreams.catalog.resources:
            found.setdefault(entry.server, []).extend((entry.resource.name, entry.resource.title or ""))
        return found

    def templates(self, server: str) -> Sequence[str]:
        return [entry.template.uri_template for entry in self._upstreams.catalog.templates if entry.server == server]

    def may_run_concurrently(self, tool: str) -> bool:
        try:
            entry = self._upstreams.catalog.tool(tool)
        except UnknownName:
            return False
        allowed = self.tool_calls.ruling(entry, self._caller).verdict is Verdict.ALLOW
        return allowed and self.tool_calls.is_read_only(entry, self._caller)

    async def call_tool(self, name: str, arguments: Mapping[str, Any]) -> types.CallToolResult:
        try:
            return await self.tool_calls.call_tool(name, dict(arguments), replace(self._caller, question=self.question))
        except MCPError as error:
            raise UpstreamFault(self.server_of(name), f"answered with an error: {error}") from None

    async def read_question(self, tool: str, question: str) -> Reading | None:
        try:
            text = await self._upstreams.read_question(tool, question)
        except (MCPError, GatewayError) as error:
            log.warning("%s could not read the question: %s", tool, error)
            return None
        return question_reading(text) if text else None

    async def read_text(self, server: str, uri: str) -> str:
        try:
            result = await self.tool_calls.read_resource(outward_uri(server, uri), self._caller)
        except MCPError as error:
            raise GatewayError(f"{uri} can't be read: {error}") from None
        return "\n".join(block.text for block in result.contents if isinstance(block, types.TextResourceContents))


def retriever_of(host: UpstreamToolHost, weights: Weights = DEFAULT_WEIGHTS) -> ToolRetriever:
    """A retriever over all tools of `host`, with the process's embedder, which this loads where it isn't."""
    tools = host.tools()
    servers = {tool.name: host.server_of(tool.name) for tool in tools}
    return ToolRetriever(tools, servers, host.profiles(), embedder().embed, weights, embedder().information)


@lru_cache(maxsize=1)
def embedder() -> Any:
    """The process's one static embedder, loaded on first use."""
    from portico_servers.common.embeddings import Embedder

    return Embedder()
