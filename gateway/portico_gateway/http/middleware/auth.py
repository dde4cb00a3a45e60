"""Who may use which part of the HTTP side: bearer tokens with scopes, refused in the shape of the API that was called.

It owns what a scope opens and the refusals; `keys.py` knows what a token stands for. Without keys and OAuth it isn't there.
"""

from __future__ import annotations

from collections.abc import Mapping

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser, BearerAuthBackend
from mcp.server.auth.routes import build_resource_metadata_url, create_protected_resource_routes
from pydantic import AnyHttpUrl
from starlette.authentication import AuthCredentials
from starlette.requests import HTTPConnection
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from portico_gateway.config.loopback import is_loopback
from portico_gateway.config.sections import KeyConfig, OAuthConfig
from portico_gateway.http.apis import api_of, error_body
from portico_gateway.http.errors import ApiError
from portico_gateway.http.identity import EVERYTHING
from portico_gateway.http.json_text import StrictJsonResponse
from portico_gateway.http.middleware.keys import BearerTokenVerifier

_SCOPES = {"/mcp": "mcp", "/metrics": "metrics", "/v1/approvals": EVERYTHING}
_ALSO = {"/v1/feedback": {"mcp"}, "/feedback": {"mcp"}}  # further scopes: calls over MCP are their callers' to speak of, too
_HEALTH = "/healthz"
_OPEN = (_HEALTH, "/readyz", "/.well-known/")
_DETAILS = {"metrics", EVERYTHING}  # scopes that see on /healthz what /metrics tells anyway


def scope_of(path: str) -> str | None:
    """The scope that opens `path`; None where everybody may."""
    if path == "/" or path.startswith(_OPEN):
        return None
    return next((scope for start, scope in _SCOPES.items() if path == start or path.startswith(start + "/")), "chat")


def may_see_details(scope: Scope, *, keys_needed: bool) -> bool:
    """Whether /healthz tells more than its status: to a key for metrics, or to this machine where there are no keys."""
    if keys_needed:
        credentials = scope.get("auth")
        return credentials is not None and bool(_DETAILS & set(credentials.scopes))
    server = scope.get("server")
    if server is not None and server[1] is None:
        return True  # a Unix socket, which has a path and no port
    host = (scope.get("client") or ("",))[0]
    return is_loopback(host)


def metadata_routes(oauth: OAuthConfig) -> list[Route]:
    """RFC 9728's document, where OAuth is configured: it tells clients which server issues tokens for this one."""
    if not oauth.issuer:
        return []
    servers = [AnyHttpUrl(oauth.issuer)]
    return create_protected_resource_routes(AnyHttpUrl(oauth.resource), servers, ["mcp"], resource_name="Portico")


class AuthMiddleware:
    """The check, as ASGI middleware. It names the holder in `scope["user"]`, to which the SDK also binds MCP sessions."""

    def __init__(
        self, app: ASGIApp, keys: Mapping[str, KeyConfig], oauth: OAuthConfig, tokens: BearerTokenVerifier | None = None
    ) -> None:
        self._app = app
        resource = AnyHttpUrl(oauth.resource) if oauth.issuer else None
        # With `resource_server_url` the SDK takes only tokens that were issued for this very server.
        self._backend = BearerAuthBackend(BearerTokenVerifier(keys, oauth), resource_server_url=resource)
        self._metadata_url = build_resource_metadata_url(resource) if resource else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        needed = scope_of(scope["path"]) if scope["type"] == "http" else None
        if needed is None:
            if scope["type"] == "http" and scope["path"] == _HEALTH and (found := await self._found(scope)):
                scope["auth"], scope["user"] = found
            await self._app(scope, receive, send)
            return
        found = await self._found(scope)
        if found is None:
            await self._refuse(scope, receive, send, 401, needed)
            return
        credentials, user = found
        if not ({needed, EVERYTHING} | _ALSO.get(scope["path"], set())) & set(credentials.scopes):
            await self._refuse(scope, receive, send, 403, needed)
            return
        scope.update({"auth": credentials, "user": user})  # the scope itself: metrics, outside of this, read its route
        await self._app(scope, receive, send)

    async def _found(self, scope: Scope) -> tuple[AuthCredentials, AuthenticatedUser] | None:
        found: tuple[AuthCredentials, AuthenticatedUser] | None = await self._backend.authenticate(_with_api_key(scope))
        return found

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, status: int, needed: str) -> None:
        if status == 401:
            kind, code = "invalid_token", "invalid_api_key"
            text = "a valid key is needed: send the header Authorization: Bearer KEY (make one with portico key new NAME)"
        else:
            kind, code = "insufficient_scope", "insufficient_scope"
            text = f"this key does not open this path: it lacks the scope {needed!r}"
        challenge = f'Bearer error="{kind}", scope="{needed}"'
        if self._metadata_url is not None:
            challenge += f', resource_metadata="{self._metadata_url}"'
        if scope["path"].startswith("/mcp"):
            body = {"error": kind, "error_description": text}
        else:
            body = error_body(ApiError(status, text, code=code), scope["path"])
        await StrictJsonResponse(body, status, headers={"WWW-Authenticate": challenge})(scope, receive, send)


def _with_api_key(scope: Scope) -> HTTPConnection:
    """The request for the check of its token: some APIs' clients send theirs in a header of their own."""
    names = dict(scope["headers"])
    api = api_of(scope["path"])
    if api is not None and api.key_header in names and b"authorization" not in names:
        return HTTPConnection({**scope, "headers": [(b"authorization", b"Bearer " + names[api.key_header])]})
    return HTTPConnection(scope)
