"""All databases that one server fronts, and the snapshot made of their schemas. It knows no MCP.

Methods block; they are called from worker threads.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence

from portico_servers.db.databases.database import Database
from portico_servers.db.databases.schema_snapshot import SchemaSnapshot
from portico_servers.db.errors import ArgumentError, DbError
from portico_servers.db.sources import DatabaseSource
from portico_servers.db.statements.worker_pool import WorkerPool

logger = logging.getLogger(__name__)


class Databases:
    """All of them, and the snapshot made of their schemas."""

    def __init__(self, sources: Sequence[DatabaseSource], lookups: Mapping[str, Sequence[str]] | None = None) -> None:
        self.all = tuple(Database(s, WorkerPool(s), lookups=tuple((lookups or {}).get(s.name, ()))) for s in sources)
        self.by_name: Mapping[str, Database] = {database.name: database for database in self.all}
        self._lock = threading.Lock()
        self._loaded = False
        self._snapshot = SchemaSnapshot(self.all)
        self.problems: dict[str, str] = {}  # by database: why its schema can't be read

    def snapshot(self) -> SchemaSnapshot:
        """The current snapshot; the first call reads the schemas."""
        with self._lock:
            if not self._loaded:
                self._load(self.all)
                self._loaded = True
            return self._snapshot

    def refresh(self) -> bool:
        """Look whether any schema changed, and read it if so. True where callers see something else now."""
        with self._lock:
            if not self._loaded:
                return False
            stale = [database for database in self.all if self._stale(database)]
            return self._load(stale) if stale else False

    def choose(self, name: str | None) -> Database:
        """By connection name; the only one where none is given."""
        if name is None and len(self.all) == 1:
            return self.all[0]
        if name in self.by_name:
            return self.by_name[str(name)]
        known = ", ".join(self.by_name)
        raise ArgumentError(
            f"connection: which of {known}?" if name is None else f"no connection {name!r} (there are: {known})"
        )

    def close(self) -> None:
        for database in self.all:
            database.pool.close()

    def _stale(self, database: Database) -> bool:
        try:
            return database.pool.version() != database.version
        except DbError:
            return True

    def _load(self, databases: Sequence[Database]) -> bool:
        changed = False
        for database in databases:
            try:
                changed |= database.load()
                self.problems.pop(database.name, None)
            except DbError as exc:
                changed |= self.problems.get(database.name) != str(exc)
                self.problems[database.name] = str(exc)
                logger.warning("%s can't be read: %s", database.name, exc)
        if changed:
            self._snapshot = SchemaSnapshot(self.all)
        return changed
