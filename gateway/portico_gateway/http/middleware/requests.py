"""What every request has: an id, which its answer and the log name; a span; a line in the log; and whether it is still taken.

It owns those four. It is outermost, so that refusals have them, too.
"""

from __future__ import annotations

import logging
import os
import re
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portico_gateway.http.apis import error_body
from portico_gateway.http.draining import Drain, ending
from portico_gateway.http.identity import caller_name
from portico_gateway.http.json_text import StrictJsonResponse
from portico_gateway.tracing import current_request_id, request_span

log = logging.getLogger("portico.access")

HEADER = "x-request-id"
_HEADER = HEADER.encode()
_TAKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")  # a client's own id; any other gets a new one
_ALWAYS = ("/healthz", "/readyz", "/metrics")  # asked while the server ends, too


class RequestMiddleware:
    """Ids, spans, the log's lines, and the end."""

    def __init__(self, app: ASGIApp, drain: Drain) -> None:
        self._app = app
        self._drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(_HEADER, b"").decode("latin-1")
        identity = given if _TAKEN.fullmatch(given) else f"req_{os.urandom(16).hex()}"
        began, status = time.perf_counter(), 500
        token = current_request_id.set(identity)

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                said = identity.encode("latin-1")
                message["headers"] = [*message.get("headers", ()), (_HEADER, said), (b"request-id", said)]
            await send(message)

        attributes = {"http.request.method": scope["method"], "url.path": scope["path"], "portico.request_id": identity}
        try:
            with request_span(f"{scope['method']}", headers, attributes) as span:
                try:
                    await self._taken(scope, receive, sending)
                finally:
                    route = str(getattr(scope.get("route"), "path", "other"))
                    span.update_name(f"{scope['method']} {route}")
                    span.set_attributes({"http.response.status_code": status, "http.route": route})
                    seconds = time.perf_counter() - began
                    log.info(
                        "%s %s %d in %.3f s",
                        scope["method"],
                        route,
                        status,
                        seconds,
                        extra={
                            "fields": {
                                "method": scope["method"],
                                "route": route,
                                "status": status,
                                "seconds": round(seconds, 6),
                                "caller": caller_name(scope),
                            }
                        },
                    )
        finally:
            current_request_id.reset(token)

    async def _taken(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Whatever does something is waited for at the end, and refused from then on."""
        if scope["method"] != "POST" or scope["path"] in _ALWAYS:
            await self._app(scope, receive, send)
            return
        if self._drain.begun:
            error = ending()
            refusal = StrictJsonResponse(error_body(error, scope["path"]), error.status, headers=error.headers)
            await refusal(scope, receive, send)
            return
        with self._drain.request():
            await self._app(scope, receive, send)
