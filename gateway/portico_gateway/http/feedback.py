"""`/v1/feedback`: a person's word on a call or an answer, good or bad, into the log of tool calls.

It owns the API's shape and who may speak of what; `policy/audit.py` owns the log.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from portico_gateway.http.bodies.route import BodyRoute
from portico_gateway.http.errors import ApiError
from portico_gateway.http.identity import caller_name, is_admin
from portico_gateway.policy.tool_calls import ToolCalls

_ANSWERS = ("chatcmpl-", "cmpl-", "resp_", "msg_")


class FeedbackRequest(BaseModel):
    """The body. `id`: of a call (`portico/call` in its result's `_meta`) or of an answer (`chatcmpl-...`, `cmpl-...`,
    `resp_...`, `msg_...`)."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")
    rating: Literal["good", "bad"]
    comment: str = Field(default="", max_length=500)


def feedback_router(tool_calls: ToolCalls, answered: Callable[[str], str | None]) -> APIRouter:
    """One endpoint, under both of its names. Later feedback on the same id counts instead of earlier; an id of nothing that the
    caller had is a 404. `answered` names the caller that an answer of this bare id was given to."""
    router = APIRouter(route_class=BodyRoute)

    @router.post("/feedback", include_in_schema=False)
    @router.post("/v1/feedback")
    async def feedback(body: FeedbackRequest, request: Request) -> dict[str, Any]:
        if not tool_calls.is_logged:
            raise ApiError(
                409, "feedback goes into the log of tool calls, which is switched off ([audit] enabled)", code="no_log"
            )
        caller = caller_name(request.scope)
        owner = await _caller_of(body.id, tool_calls, answered)
        if owner is None or not (owner == caller or is_admin(request.scope)):
            raise _not_found(body.id)
        tool_calls.note_feedback(body.id, body.rating, caller, body.comment)
        return {"object": "feedback", "id": body.id, "rating": body.rating}

    return router


async def _caller_of(identity: str, tool_calls: ToolCalls, answered: Callable[[str], str | None]) -> str | None:
    """Who made the call or was given the answer of this id. Raises ApiError where the log can't be read."""
    for start in _ANSWERS:
        if identity.startswith(start):
            return answered(identity.removeprefix(start))
    try:
        return await tool_calls.caller_of(identity)
    except sqlite3.Error as error:
        message = f"the log of tool calls can't be read, so whose call this is isn't known: {error}"
        raise ApiError(503, message, kind="server_error", code="log_unreadable") from error


def _not_found(identity: str) -> ApiError:
    """The same for what is another's, which is nobody else's to know of."""
    message = (
        f"no call or answer of yours is known by the id {identity!r}: a call's is portico/call in its result's _meta, and "
        "known while the log keeps it; an answer's is known until this server ends, the last 256 of each key"
    )
    return ApiError(404, message, param="id", code="not_found")
