"""The SDK's client, whose tool calls go straight to the server's pipes where it has some.

It owns what such a call carries and how its result is read. Questions that a server of 2026-07-28 answers with, and servers
over HTTP, are the SDK's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import mcp_types
from mcp.client.client import Client
from mcp.shared.dispatcher import ProgressFnT
from mcp_types import (
    CLIENT_CAPABILITIES_META_KEY,
    CLIENT_INFO_META_KEY,
    PROTOCOL_VERSION_META_KEY,
    CallToolResult,
    ClientCapabilities,
    InputRequiredResult,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import BaseModel

from portico_gateway.tracing import carry_trace
from portico_gateway.upstreams.wire.connection import UpstreamConnection

# What the gateway can be asked, where nobody is named for whom it calls: as the SDK says of the callbacks that it has.
_EVERYTHING = ClientCapabilities(
    elicitation=mcp_types.ElicitationCapability(
        form=mcp_types.FormElicitationCapability(), url=mcp_types.UrlElicitationCapability()
    ),
    sampling=mcp_types.SamplingCapability(tools=mcp_types.SamplingToolsCapability()),
    roots=mcp_types.RootsCapability(list_changed=True),
)
_MODERN_FIELDS = frozenset(["resultType", "ttlMs", "cacheScope"])


@dataclass
class UpstreamClient(Client):
    """Of one connection. `declared` says what whoever makes a call can be asked."""

    connection: UpstreamConnection = field(default_factory=UpstreamConnection, kw_only=True)
    declared: Callable[[], ClientCapabilities | None] = field(default=lambda: None, kw_only=True)
    _written: dict[str, Any] = field(default_factory=dict, init=False)  # the capabilities that were declared last, as JSON
    _written_of: ClientCapabilities | None = field(default=None, init=False)

    async def call_tool_directly(
        self, name: str, arguments: dict[str, Any], *, progress: ProgressFnT | None = None, meta: Any = None
    ) -> CallToolResult:
        """Call a tool by the server's name. Raises as `call_tool`, and as `PipeRequests.request`."""
        pipe, mender = self.connection.requests, self.connection.mender
        if pipe is None or mender is None:
            return await self.call_tool(name, arguments, progress_callback=progress, meta=meta)
        mender.requests.grant()
        modern = self.protocol_version in MODERN_PROTOCOL_VERSIONS
        params = {"name": name, "arguments": arguments}
        if carried := self._meta(meta, modern=modern):
            params["_meta"] = carried
        said = mender.mended("tools/call", await pipe.request("tools/call", params, progress))
        if modern and said.get("resultType") == "input_required":
            return await self._answer_questions(InputRequiredResult.model_validate(said, by_name=False), params, progress, meta)
        if not modern:
            for name in _MODERN_FIELDS & said.keys():
                del said[name]
        result = CallToolResult.model_validate(said, by_name=False)
        if not result.is_error:
            await self.session.validate_tool_result(name, result)
        return result

    def _meta(self, given: Any, *, modern: bool) -> dict[str, Any]:
        """What a request carries beside its parameters: where it comes from, and its trace."""
        meta = dict(given or {})
        if modern:
            can = self.declared()
            meta[PROTOCOL_VERSION_META_KEY] = self.protocol_version
            meta[CLIENT_INFO_META_KEY] = self._own_info
            meta[CLIENT_CAPABILITIES_META_KEY] = self._as_json_of(can)
        carry_trace(meta)
        return meta

    def _as_json_of(self, can: ClientCapabilities | None) -> dict[str, Any]:
        if can is None:
            return _EVERYTHING_AS_JSON
        if can is not self._written_of:
            self._written, self._written_of = _as_json(can), can
        return self._written

    @cached_property
    def _own_info(self) -> dict[str, Any]:
        assert self.client_info is not None
        return _as_json(self.client_info)

    async def _answer_questions(
        self, questions: InputRequiredResult, params: dict[str, Any], progress: ProgressFnT | None, meta: Any
    ) -> CallToolResult:
        async def again(answers: mcp_types.InputResponses | None, state: str | None) -> Any:
            return await self.session.call_tool(
                params["name"],
                params["arguments"],
                progress_callback=progress,
                input_responses=answers,
                request_state=state,
                meta=meta,
                allow_input_required=True,
            )

        result = await self._drive_input_required(questions, again)
        assert isinstance(result, CallToolResult)
        return result


def _as_json(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(by_alias=True, mode="json", exclude_none=True)


_EVERYTHING_AS_JSON = _as_json(_EVERYTHING)
