"""`/v1/feedback`: a person's word on a call or an answer, good or bad, into the log of tool calls.

It owns the API's shape; `policy/audit.py` owns the log.
"""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from portico_gateway.http.bodies.route import BodyRoute
from portico_gateway.http.errors import ApiError
from portico_gateway.http.identity import caller_name
from portico_gateway.policy.tool_calls import ToolCalls


class FeedbackRequest(BaseModel):
    """The body. `id`: of a call (`portico/call` in its result's `_meta`) or of an answer (`chatcmpl-...`, `resp_...`,
    `msg_...`)."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")
    rating: Literal["good", "bad"]
    comment: str = Field(default="", max_length=500)


def feedback_router(tool_calls: ToolCalls) -> APIRouter:
    """One endpoint, under both of its names. Later feedback on the same id counts instead of earlier."""
    router = APIRouter(route_class=BodyRoute)

    @router.post("/feedback", include_in_schema=False)
    @router.post("/v1/feedback")
    async def feedback(body: FeedbackRequest, request: Request) -> dict[str, Any]:
        if not tool_calls.note_feedback(body.id, body.rating, caller_name(request.scope), body.comment):
            raise ApiError(
                409, "feedback goes into the log of tool calls, which is switched off ([audit] enabled)", code="no_log"
            )
        return {"object": "feedback", "id": body.id, "rating": body.rating}

    return router
