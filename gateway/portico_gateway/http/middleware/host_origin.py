"""Refuses requests whose Host or Origin is not ours, whatever their path: a web page must not reach a local server.

And bodies that announce too great a size; the SDK's RequestBodyLimitMiddleware counts those that announce none.
"""

from __future__ import annotations

from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from portico_gateway.http.apis import error_body
from portico_gateway.http.errors import ApiError
from portico_gateway.http.json_text import StrictJsonResponse

MAX_BODY = 32 << 20


class HostOriginMiddleware:
    """The check, as ASGI middleware; `settings` says which Host and Origin are answered."""

    def __init__(self, app: ASGIApp, settings: TransportSecuritySettings) -> None:
        self._app = app
        self._check = TransportSecurityMiddleware(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            refused = await self._refuse(Request(scope))
            if refused is not None:
                await StrictJsonResponse(error_body(refused, scope["path"]), refused.status)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _refuse(self, request: Request) -> ApiError | None:
        response = await self._check.validate_request(request)
        if response is not None:
            what = "Host" if response.status_code == 421 else "Origin"
            message = f"this {what} header is not answered here; start with --allow-host for other names of this machine"
            return ApiError(response.status_code, message, code=f"invalid_{what.lower()}")
        size = request.headers.get("content-length", "")
        if size.isdigit() and int(size) > MAX_BODY:
            return ApiError(413, f"the body has {size} bytes; at most {MAX_BODY} are taken")
        return None
