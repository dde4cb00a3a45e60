"""`/v1/approvals`: the calls that wait for a person's consent, and the decision on one.

It owns the API's shape; `policy/approvals.py` owns the records.
"""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator

from portico_gateway.caller import ConsentAnswer, Remember
from portico_gateway.errors import InvalidEdit, UnknownName
from portico_gateway.http.bodies.route import BodyRoute
from portico_gateway.http.errors import ApiError
from portico_gateway.http.identity import caller_name
from portico_gateway.policy.approvals import Approval
from portico_gateway.policy.remembered import MAX_SECONDS
from portico_gateway.policy.tool_calls import ToolCalls


class RememberRequest(BaseModel):
    """For how long a decision is to count, and for which calls of the tool: with these arguments, or with any."""

    model_config = ConfigDict(extra="forbid")

    seconds: float = Field(gt=0, le=MAX_SECONDS)
    arguments: Literal["exact", "any"] = "exact"


class ApprovalDecision(BaseModel):
    """The body of a decision."""

    model_config = ConfigDict(extra="forbid")

    decision: Literal["approve", "deny"]
    arguments: dict[str, Any] | None = Field(default=None, description="what the call is to be made with, instead of its own")
    remember: RememberRequest | None = None

    @model_validator(mode="after")
    def _edits_approve(self) -> ApprovalDecision:
        if self.decision == "deny" and self.arguments is not None:
            raise ValueError("arguments go with the decision approve alone: a denied call is not made")
        return self


def approvals_router(tool_calls: ToolCalls) -> APIRouter:
    """List, show and decide. A decision stays: deciding again changes nothing and shows what was decided."""
    approvals = tool_calls.approvals
    router = APIRouter(prefix="/v1/approvals", route_class=BodyRoute)

    @router.get("")
    async def pending() -> dict[str, Any]:
        return {"object": "list", "data": [approval_object(record) for record in approvals.all()]}

    @router.get("/{identity}")
    async def one(identity: str) -> dict[str, Any]:
        try:
            return approval_object(approvals.get(identity))
        except UnknownName as error:
            raise _not_found(identity) from error

    @router.post("/{identity}")
    async def decide(identity: str, body: ApprovalDecision, request: Request) -> dict[str, Any]:
        wanted = body.remember
        remember = None if wanted is None else Remember(wanted.seconds, wanted.arguments)
        answer = ConsentAnswer(body.decision == "approve", body.arguments, remember)
        try:
            return approval_object(tool_calls.decide(identity, answer, channel="http", by=caller_name(request.scope)))
        except UnknownName as error:
            raise _not_found(identity) from error
        except InvalidEdit as error:
            raise ApiError(400, f"the tool can't take these arguments: {error}", param="arguments") from None

    return router


def approval_object(record: Approval) -> dict[str, Any]:
    """A record as the API shows it. Times are seconds since the epoch."""
    return {
        "id": record.id,
        "object": "approval",
        "status": record.state,
        "caller": record.caller,
        "tool": record.tool,
        "arguments": record.arguments,
        "edited_arguments": record.edited,
        "notes": list(record.marks),
        "may_remember": record.may_remember,
        "digest": record.digest,
        "reason": record.reason,
        "created": record.created,
        "expires": record.expires,
        "decided_by": record.channel,
    }


def _not_found(identity: str) -> ApiError:
    return ApiError(404, f"no call waits for consent under {identity!r}: it expired, was used, or never was", code="not_found")
