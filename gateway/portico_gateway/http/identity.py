"""Who asks: the name that limits, stored responses and the engine know a request's maker by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import principal_components

LOCAL = "local"  # everybody, where there are no keys


def caller_name(scope: Mapping[str, Any]) -> str:
    """The key's name, or the client and subject of an access token; `middleware/auth.py` put it into the scope."""
    user = scope.get("user")
    if not isinstance(user, AuthenticatedUser):
        return LOCAL
    client, _, subject = principal_components(user.access_token)
    return f"{client}/{subject}" if subject else client
