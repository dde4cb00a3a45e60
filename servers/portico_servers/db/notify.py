"""Tells hosts that tools and resources changed, in both eras, and watches the schemas for it. It knows no tool."""

from __future__ import annotations

import logging
import os
from typing import Any

import anyio
import anyio.to_thread
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.session import ServerSession
from mcp.server.subscriptions import ResourcesListChanged, SubscriptionBus, ToolsListChanged

from portico_servers.common.validation import validator
from portico_servers.db.database import Database, Databases

logger = logging.getLogger(__name__)

_FILE_SECONDS = 1.0
_SERVER_SECONDS = 10.0
_IDLE_SECONDS = 20.0  # after which a worker that keeps a DuckDB file locked is let go
_MAX_SESSIONS = 256


class Notifier:
    """Sends list_changed to `subscriptions/listen` streams (2026-07-28) and to sessions that shook hands (2025-11-25)."""

    def __init__(self, bus: SubscriptionBus) -> None:
        self._bus = bus
        self._sessions: list[ServerSession] = []

    async def remember(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Middleware: keep the session of every host that says it is initialized."""
        if ctx.method == "notifications/initialized":
            self._sessions = [*self._sessions[-_MAX_SESSIONS + 1 :], ctx.session]
        return await call_next(ctx)

    async def changed(self) -> None:
        """Tools and resources are others now."""
        await self._bus.publish(ToolsListChanged())
        await self._bus.publish(ResourcesListChanged())
        for session in list(self._sessions):
            try:
                await session.send_tool_list_changed()
                await session.send_resource_list_changed()
            except (anyio.BrokenResourceError, anyio.ClosedResourceError, RuntimeError):
                self._sessions.remove(session)


async def watch(databases: Databases, notifier: Notifier) -> None:
    """Read the schemas at once, then look for changes: each second where a file was touched, else every ten."""
    try:
        touched = _stamps(databases)  # before the first look: what changes during it is noticed after it
        await anyio.to_thread.run_sync(databases.view, abandon_on_cancel=True)
        # The first call would pay for this import.
        await anyio.to_thread.run_sync(validator, {}, abandon_on_cancel=True)
        last = anyio.current_time()
        while True:
            await anyio.sleep(_FILE_SECONDS)
            for database in databases.all:
                database.pool.release_idle(_IDLE_SECONDS)
            now, stamps = anyio.current_time(), _stamps(databases)
            has_server = any(database.source.file is None for database in databases.all)
            if stamps == touched and not (has_server and now - last > _SERVER_SECONDS):
                continue
            touched, last = stamps, now
            if await anyio.to_thread.run_sync(databases.refresh, abandon_on_cancel=True):
                await notifier.changed()
    except OSError as exc:
        logger.warning("no longer watching for schema changes: %s", exc)


def _stamps(databases: Databases) -> list[tuple[int, int]]:
    return [stamp for database in databases.all for stamp in _stamp(database)]


def _stamp(database: Database) -> list[tuple[int, int]]:
    file = database.source.file
    found = []
    for name in [str(file), f"{file}-wal"] if file else []:
        try:
            stat = os.stat(name)
            found.append((stat.st_mtime_ns, stat.st_size))
        except OSError:
            found.append((0, 0))
    return found
