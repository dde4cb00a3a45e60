"""The `Caller` behind an MCP request: who it is, what its host can be asked, and asking it in its own era.

Through 2025-11-25 a question is a request to the host while its call runs; since 2026-07-28 it is the answer to the call, which
the host repeats with what was asked (`input_required.py`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import mcp_types
from mcp.server.context import ServerRequestContext
from mcp.shared.dispatcher import ProgressFnT
from mcp.shared.message import ServerMessageMetadata
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from portico_gateway.caller import AskHost, Caller, principal, supports_elicitation
from portico_gateway.mcp.input_required import PendingOperation, PendingOperations
from portico_gateway.policy.consent import consent_by_elicitation

Context = ServerRequestContext[Any, Any]
Operation = Callable[[Caller, ProgressFnT], Awaitable[mcp_types.Result]]


async def with_caller(
    ctx: Context,
    pending: PendingOperations,
    params: mcp_types.InputResponseRequestParams,
    answer_timeout: float,
    operation: Operation,
) -> Any:
    """Run `operation(caller, progress)`; its result, or an InputRequiredResult where it asks a host of 2026-07-28 something."""
    progress = ctx.session.report_progress  # does nothing where the caller did not ask for progress
    capabilities = ctx.session.client_capabilities or mcp_types.ClientCapabilities()
    can_answer = capabilities.elicitation or capabilities.sampling or capabilities.roots
    if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        ask = _ask_by_request(ctx, answer_timeout) if can_answer and ctx.session.can_send_request else None
        return await operation(_caller(ctx, capabilities, ask), progress)
    if params.request_state is not None:
        return await pending.resume(params.request_state, _binding(ctx, params), params.input_responses or {}, progress)
    if not can_answer:
        return await operation(_caller(ctx, capabilities, None), progress)

    async def run(suspended: PendingOperation) -> mcp_types.Result:
        return await operation(_caller(ctx, capabilities, suspended.ask), suspended.progress)

    return await pending.start(_binding(ctx, params), progress, run)


def caller_of(ctx: Context) -> Caller:
    """Who sent a request, where nothing is asked back."""
    return _caller(ctx, ctx.session.client_capabilities or mcp_types.ClientCapabilities(), None)


def _caller(ctx: Context, capabilities: mcp_types.ClientCapabilities, ask: AskHost | None) -> Caller:
    name = _principal(ctx)
    client = ctx.session.client_params.client_info.name if ctx.session.client_params else ""
    can_elicit = supports_elicitation(capabilities, "form")
    return Caller(
        name=name,
        client=client,
        conversation=f"{name}/{client}/{_session(ctx)}",
        capabilities=capabilities,
        ask=ask,
        consent=consent_by_elicitation(ask) if ask is not None and can_elicit else None,
    )


def _principal(ctx: Context) -> str:
    return principal(ctx.request.scope if ctx.request is not None else None)


def _session(ctx: Context) -> str:
    """The handshake era's session over HTTP. A stdio gateway has one host; HTTP of 2026-07-28 has no sessions."""
    return ctx.request.headers.get("mcp-session-id", "") if ctx.request is not None else ""


def _ask_by_request(ctx: Context, answer_timeout: float) -> AskHost:
    async def ask(request: mcp_types.InputRequest) -> mcp_types.InputResponse:
        # Related to the call, so that over HTTP the question travels on the call's own stream.
        metadata = ServerMessageMetadata(related_request_id=ctx.request_id)
        return await ctx.session.send_request(request, _result_type(request), answer_timeout, metadata)

    return ask


def _result_type(request: mcp_types.InputRequest) -> type[mcp_types.InputResponse]:
    if isinstance(request, mcp_types.ElicitRequest):
        return mcp_types.ElicitResult
    if isinstance(request, mcp_types.ListRootsRequest):
        return mcp_types.ListRootsResult
    return mcp_types.CreateMessageResultWithTools if request.params.tools else mcp_types.CreateMessageResult


def _binding(ctx: Context, params: mcp_types.InputResponseRequestParams) -> tuple[str, ...]:
    """What a request is, without the answers that it carries."""
    said = params.model_dump(mode="json", by_alias=True, exclude={"input_responses", "request_state", "meta"})
    whole = json.dumps(said, sort_keys=True).encode("utf-8", "surrogatepass")
    return _principal(ctx), ctx.method, hashlib.sha256(whole).hexdigest()
