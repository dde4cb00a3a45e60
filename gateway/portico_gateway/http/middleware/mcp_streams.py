"""A stream of /mcp that a client wants to resume begins anew: no events are kept, and where it is asked for some
(`Last-Event-ID`) the SDK answers nothing at all.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

_RESUMES = b"last-event-id"


class McpStreamMiddleware:
    """Takes the header away, with which MCP's specification lets a server do as if it weren't there."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/mcp":
            scope["headers"] = [header for header in scope["headers"] if header[0] != _RESUMES]
        await self._app(scope, receive, send)
