"""Who asks: the name that limits, stored responses and the engine know a request's maker by, and whether it is an owner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from portico_gateway.caller import LOCAL
from portico_gateway.caller import principal as caller_name

__all__ = ["EVERYTHING", "LOCAL", "caller_name", "is_admin"]

EVERYTHING = "admin"  # the scope that opens all


def is_admin(scope: Mapping[str, Any]) -> bool:
    """Whether a request, by its ASGI scope, came with a key for everything; False where there are no keys."""
    credentials = scope.get("auth")
    return credentials is not None and EVERYTHING in credentials.scopes
