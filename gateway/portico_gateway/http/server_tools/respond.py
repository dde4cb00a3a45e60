"""From a request with the gateway's own tools to its loop: who calls, who may consent, and which model answers."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from fastapi import Request
from fastapi.responses import Response

from portico_gateway.caller import Caller, ConsentRequest
from portico_gateway.errors import UnknownName
from portico_gateway.http.errors import ApiError
from portico_gateway.http.generation.request import GenerationRequest
from portico_gateway.http.generation.service import GenerationService, add_warnings
from portico_gateway.http.identity import caller_name
from portico_gateway.http.server_tools.loop import Decided, LoopEvents, ToolLoop, new_call_id
from portico_gateway.http.server_tools.toolset import open_toolset
from portico_gateway.http.server_tools.wanted import WantedServer
from portico_gateway.http.sse import EventStream
from portico_gateway.policy.approvals import Approval, Approvals, ApprovalState
from portico_gateway.policy.tool_calls import ToolCalls

if TYPE_CHECKING:
    from portico_engine import EngineClient

Make = Callable[[ToolLoop, LoopEvents], Awaitable[Response]]


async def respond_with_tools(
    service: GenerationService,
    generation: GenerationRequest,
    wanted: Sequence[WantedServer],
    request: Request,
    make: Make,
    *,
    waits: bool,
    decided: Sequence[Decided] = (),
    most_calls: int | None = None,
) -> Response:
    """What `make` makes of the loop and its events, as `GenerationService.respond` does for an answer. `waits`: a call that
    needs consent waits for the decision; else it ends the answer. Raises ApiError."""
    tool_calls = _tool_calls(service)
    name = caller_name(request.scope)
    caller = Caller(
        name=name,
        client="http",
        conversation=f"{name}/{uuid.uuid4().hex}",
        consent=partial(_consent, tool_calls.approvals) if waits else None,
        channel="http",
    )

    async def answer(meant: Sequence[GenerationRequest], engine: EngineClient) -> Response:
        here = engine.info.executor != "remote"
        loop = ToolLoop(
            meant[0],
            engine,
            partial(open_toolset, tool_calls, wanted, caller, live_schemas=here),
            name,
            guide=service.guide,
            look_for=service.look_for,
            decided=decided,
            most_calls=most_calls,
        )
        events = await loop.start()
        try:
            response = await make(loop, events)
        except BaseException:
            await events.aclose()
            raise
        if not isinstance(response, EventStream):  # a stream ends its events by itself
            await events.aclose()
        add_warnings(response, meant[0].warnings)
        return response

    return await service.with_meant([generation], request, answer)


async def _consent(approvals: Approvals, asked: ConsentRequest) -> bool:
    """By `/v1/approvals`, as long as a consent is waited for."""
    assert isinstance(asked, Approval)
    return await approvals.decided(asked) is ApprovalState.APPROVED


def may_approve(request: Request) -> bool:
    """Does the caller's own word count as a person's consent? With a key for everything, or where there are no keys."""
    credentials = request.scope.get("auth")
    return credentials is None or "admin" in credentials.scopes


def decide_approval(service: GenerationService, request: Request, approval: str, *, approve: bool) -> Decided:
    """The call that was asked about, decided: by the caller if its word counts, else as somebody else did. Raises ApiError."""
    approvals = _tool_calls(service).approvals
    try:
        record = approvals.get(approval)
    except UnknownName:
        record = None
    if record is None or record.caller != caller_name(request.scope):
        message = f"input: nothing waits for consent under {approval[:80]!r}: it expired, was used, or never was yours"
        raise ApiError(400, message, param="input", code="approval_not_found")
    if record.state is ApprovalState.PENDING:
        if not may_approve(request):
            message = (
                "this key can't approve calls, its own among them: a key with the scope admin decides, by "
                f'POST /v1/approvals/{approval} {{"decision": "approve"}}; then send this again'
            )
            raise ApiError(403, message, param="input", code="approval_needed")
        approvals.decide(approval, approve=approve, channel="http", by=caller_name(request.scope))
    return Decided(new_call_id(), record.tool, dict(record.arguments), approval)


def _tool_calls(service: GenerationService) -> ToolCalls:
    if service.tool_calls is None:
        raise ApiError(400, "tools of type 'mcp' need a gateway with servers; this one has none", param="tools")
    return service.tool_calls
