"""The `Caller` behind an MCP request: who it is, what its host can be asked, and asking it in its own era.

Through 2025-11-25 a question is a request to the host while its call runs; since 2026-07-28 it is the answer to the call, which
the host repeats with what was asked (`input_required.py`).
"""

from __future__ import annotations

import hashlib
import json
import uuid
import weakref
from collections.abc import Awaitable, Callable
from typing import Any, get_args

import mcp_types
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from mcp.shared.dispatcher import ProgressFnT
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from portico_gateway.caller import AskHost, Caller, TellHost, principal, supports_elicitation
from portico_gateway.mcp.input_required import PendingOperation, PendingOperations
from portico_gateway.policy.consent import consent_by_elicitation

Context = ServerRequestContext[Any, Any]
_LEVELS: tuple[mcp_types.LoggingLevel, ...] = get_args(mcp_types.LoggingLevel)  # the least first
_log_levels: weakref.WeakKeyDictionary[Connection, mcp_types.LoggingLevel] = weakref.WeakKeyDictionary()
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

    return await pending.start(_binding(ctx, params), progress, run, params.input_responses)


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
        tell=_tell(ctx),
        log_level=log_level_of(ctx),
        consent=consent_by_elicitation(ask) if ask is not None and can_elicit else None,
    )


def _tell(ctx: Context) -> TellHost:
    async def tell(notification: mcp_types.LoggingMessageNotification | mcp_types.ElicitCompleteNotification) -> None:
        if isinstance(notification, mcp_types.LoggingMessageNotification):
            level = log_level_of(ctx)
            if level is None or _LEVELS.index(notification.params.level) < _LEVELS.index(level):
                return
        # Related to the call, so that over HTTP it travels on the call's own stream.
        await ctx.session.send_notification(notification, ctx.request_id)

    return tell


def log_level_of(ctx: Context) -> mcp_types.LoggingLevel | None:
    """From which level on a host wants logs: since 2026-07-28 it says so with each request, and before once for its
    connection, which sees warnings where it never did."""
    if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
        level = (ctx.meta or {}).get(mcp_types.LOG_LEVEL_META_KEY)
        return level if level in _LEVELS else None
    return _log_levels.get(ctx.session._connection, "warning")


def note_log_level(ctx: Context, level: mcp_types.LoggingLevel) -> mcp_types.LoggingLevel:
    """What a host of a handshake era set; returns the most that any such host wants."""
    _log_levels[ctx.session._connection] = level
    return min(_log_levels.values(), key=_LEVELS.index)


def _principal(ctx: Context) -> str:
    return principal(ctx.request.scope if ctx.request is not None else None)


def _session(ctx: Context) -> str:
    """The handshake era's session over HTTP. A stdio gateway has one host; HTTP of 2026-07-28 has no sessions."""
    return ctx.request.headers.get("mcp-session-id", "") if ctx.request is not None else ""


def _ask_by_request(ctx: Context, answer_timeout: float) -> AskHost:
    async def ask(request: mcp_types.InputRequest, key: str = "") -> mcp_types.InputResponse:
        if isinstance(request, mcp_types.ElicitRequest):
            request = _with_page_id(request)
        # Related to the call, so that over HTTP the question travels on the call's own stream.
        metadata = ServerMessageMetadata(related_request_id=ctx.request_id)
        try:
            return await ctx.session.send_request(request, _result_type(request), answer_timeout, metadata)
        except ValidationError as error:
            wrong = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(map(str, wrong["loc"])) or "it"
            what = f"what the host answered is no answer to {request.method}: {where}: {wrong['msg']}"
            raise MCPError(mcp_types.INVALID_REQUEST, what) from error

    return ask


def _with_page_id(request: mcp_types.ElicitRequest) -> mcp_types.ElicitRequest:
    """A page that a user is sent to has an id in the handshake eras, which servers of 2026-07-28 do not give."""
    params = request.params
    if not isinstance(params, mcp_types.ElicitRequestURLParams) or params.elicitation_id:
        return request
    return request.model_copy(update={"params": params.model_copy(update={"elicitation_id": uuid.uuid4().hex})})


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
