"""The index's file: one writer, readers lent from a pool, transactions, and the time that a reader may take.

Knows SQLite and its files, damaged ones too; no table. One writer at a time in this process (the indexer's thread), and a
`portico-docs add` beside it in another; any number of readers.
"""

from __future__ import annotations

import logging
import os
import queue
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from portico_servers.docs.errors import IndexUnwritable, TooSlow
from portico_servers.docs.index.schema import prepare

log = logging.getLogger(__name__)
_BUSY_MS = 15_000
_STEPS = 20_000  # of SQLite's virtual machine between looks at the clock: well under a millisecond


class ReadLimit:
    """How long a caller's reads may take: until `seconds` are over, or `cancel` is called from any thread."""

    def __init__(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True

    def over(self) -> bool:
        return self._cancelled or time.monotonic() > self._deadline


class IndexDatabase:
    """Opens or makes the index at `path`; an index of another `INDEX_VERSION` is emptied (its library versions stay listed).

    `path` None: it is kept in memory, and gone when it is closed.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._address = f"file:/portico-docs-{uuid.uuid4().hex}?vfs=memdb" if path is None else path.absolute().as_uri()
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._open: list[sqlite3.Connection] = []
        self._limits = threading.local()
        if path is None:
            self._open_writer()
        else:
            self._open_file(path)
        self._seen_version = self._writer.execute("PRAGMA data_version").fetchone()[0]

    def _open_file(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))  # SQLite's journals take its mode
        try:
            self._open_writer()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):  # locked, unwritable: the file itself may be sound
                raise
            log.warning("%s is no index any more (%s); it is kept as %s.damaged and a new one is made", path, error, path.name)
            for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
                path.with_name(name).unlink(missing_ok=True) if name != path.name else path.replace(f"{path}.damaged")
            os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._open_writer()

    def close(self) -> None:
        for connection in (self._writer, *self._open):
            connection.close()

    def _open_writer(self) -> None:
        self._writer = self._connect()
        if self.path is not None:
            _use_wal(self._writer)
        with self.write() as db:
            prepare(db)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._address, uri=True, timeout=_BUSY_MS / 1000, check_same_thread=False, isolation_level=None
        )
        if self.path is None:
            connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA cache_size = -32000")
        return connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction of the writer; rolled back if the block raises. Raises IndexUnwritable (a full disk, say)."""
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:  # on a full disk SQLite may have rolled back already
                    self._writer.execute("ROLLBACK")
                raise
        except sqlite3.OperationalError as error:
            raise IndexUnwritable(f"the index can't be written: {error} ({self.path or 'in memory'})") from error

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection for reading, lent for the block. Raises TooSlow once this thread's limit is over."""
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = self._connect()
            connection.execute("PRAGMA query_only = ON")
            self._open.append(connection)
        limit: ReadLimit | None = getattr(self._limits, "limit", None)
        if limit is not None:
            connection.set_progress_handler(limit.over, _STEPS)
        try:
            yield connection
        except sqlite3.OperationalError as error:
            if limit is not None and limit.over():
                raise TooSlow("the answer took too long; ask for something narrower") from None
            raise error
        finally:
            connection.set_progress_handler(None, 0)
            self._idle.put(connection)

    @contextmanager
    def within(self, limit: ReadLimit) -> Iterator[None]:
        """All reads of this thread in the block stop when `limit` is over, statements in mid-run too."""
        self._limits.limit = limit
        try:
            yield
        finally:
            self._limits.limit = None

    def written_by_others(self) -> bool:
        """Whether another process has written since the last call. For the writer's thread alone."""
        version = self._writer.execute("PRAGMA data_version").fetchone()[0]
        changed, self._seen_version = version != self._seen_version, version
        return bool(changed)


def _use_wal(connection: sqlite3.Connection) -> None:
    """The file's journal becomes a write-ahead log, for good. Of two processes that open a new file SQLite tells one "locked"
    at once, whatever its timeout is (waiting would be a deadlock if both hold what the other needs): that one tries again."""
    until = time.monotonic() + _BUSY_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(0.01)
