"""Watches the schemas of all databases, and has hosts told when one changed. It knows no tool."""

from __future__ import annotations

import logging
import os

import anyio
import anyio.to_thread

from portico_servers.common.list_changed import ListChangedNotifier
from portico_servers.common.validation import validator
from portico_servers.db.databases.database import Database
from portico_servers.db.databases.databases import Databases

logger = logging.getLogger(__name__)

_FILE_SECONDS = 1.0
_SERVER_SECONDS = 10.0
_IDLE_SECONDS = 20.0  # after which a worker that keeps a DuckDB file locked is let go


async def watch_schemas(databases: Databases, notifier: ListChangedNotifier) -> None:
    """Read the schemas at once, then look for changes: each second where a file was touched, else every ten."""
    try:
        touched = _stamps(databases)  # before the first look: what changes during it is noticed after it
        await anyio.to_thread.run_sync(databases.snapshot, abandon_on_cancel=True)
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
                await notifier.changed(tools=True, resources=True)
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
