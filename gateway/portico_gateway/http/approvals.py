"""`/v1/approvals`: the calls that wait for a person's consent, and the decision on one.

It owns the API's shape; `policy/approvals.py` owns the records.
"""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict

from portico_gateway.errors import UnknownName
from portico_gateway.http.bodies.route import BodyRoute
from portico_gateway.http.errors import ApiError
from portico_gateway.http.identity import caller_name
from portico_gateway.policy.approvals import Approval, Approvals


class DecisionRequest(BaseModel):
    """The body of a decision."""

    model_config = ConfigDict(extra="forbid")

    decision: Literal["approve", "deny"]


def approvals_router(approvals: Approvals) -> APIRouter:
    """List, show and decide. A decision stays: deciding again changes nothing and shows what was decided."""
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
    async def decide(identity: str, body: DecisionRequest, request: Request) -> dict[str, Any]:
        approve, by = body.decision == "approve", caller_name(request.scope)
        try:
            return approval_object(approvals.decide(identity, approve=approve, channel="http", by=by))
        except UnknownName as error:
            raise _not_found(identity) from error

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
        "digest": record.digest,
        "reason": record.reason,
        "created": record.created,
        "expires": record.expires,
        "decided_by": record.channel,
    }


def _not_found(identity: str) -> ApiError:
    return ApiError(404, f"no call waits for consent under {identity!r}: it expired, was used, or never was", code="not_found")
