"""Tells hosts in both eras that a list changed. It knows no tool and no resource."""

from __future__ import annotations

from typing import Any

import anyio
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.session import ServerSession
from mcp.server.subscriptions import ResourcesListChanged, SubscriptionBus, ToolsListChanged

_MAX_SESSIONS = 256


class ListChangedNotifier:
    """Sends list_changed to `subscriptions/listen` streams (2026-07-28) and to sessions that shook hands (2025-11-25)."""

    def __init__(self, bus: SubscriptionBus) -> None:
        self._bus = bus
        self._sessions: list[ServerSession] = []

    async def remember(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Middleware: keep the session of every host that says it is initialized."""
        if ctx.method == "notifications/initialized":
            self._sessions = [*self._sessions[-_MAX_SESSIONS + 1 :], ctx.session]
        return await call_next(ctx)

    async def changed(self, *, tools: bool = False, resources: bool = False) -> None:
        """The named lists are others now."""
        if tools:
            await self._bus.publish(ToolsListChanged())
        if resources:
            await self._bus.publish(ResourcesListChanged())
        for session in list(self._sessions):
            try:
                if tools:
                    await session.send_tool_list_changed()
                if resources:
                    await session.send_resource_list_changed()
            except (anyio.BrokenResourceError, anyio.ClosedResourceError, RuntimeError):
                self._sessions.remove(session)
