"""The index on disk: shelves (a library in one version), their pages, sections, passages and vectors, in one SQLite file.

Knows SQL and nothing of formats, files or ranking. One writer at a time (the indexer's thread, or a `portico-docs add`
beside it); any number of readers, each with a connection of its own from a small pool.
"""

from __future__ import annotations

import hashlib
import json
import logging
import queue
import re
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portico_servers.docs.chunks import Passage
from portico_servers.docs.errors import TooSlow
from portico_servers.docs.pages import Page

log = logging.getLogger(__name__)
INDEX_VERSION = 1
_BUSY_MS = 15_000
_STEPS = 20_000  # of SQLite's virtual machine between looks at the clock: well under a millisecond
_SCHEMA = """
CREATE TABLE IF NOT EXISTS shelf (
    id INTEGER PRIMARY KEY, library TEXT NOT NULL, version TEXT NOT NULL, kind TEXT NOT NULL, source TEXT NOT NULL,
    indexed_at TEXT, complete INTEGER NOT NULL DEFAULT 0, note TEXT NOT NULL DEFAULT '', UNIQUE (library, version)
);
CREATE TABLE IF NOT EXISTS page (
    id INTEGER PRIMARY KEY, shelf_id INTEGER NOT NULL REFERENCES shelf (id) ON DELETE CASCADE, path TEXT NOT NULL,
    title TEXT NOT NULL, kind TEXT NOT NULL, stamp TEXT NOT NULL, text TEXT NOT NULL, note TEXT NOT NULL,
    UNIQUE (shelf_id, path)
);
CREATE TABLE IF NOT EXISTS section (
    id INTEGER PRIMARY KEY, page_id INTEGER NOT NULL REFERENCES page (id) ON DELETE CASCADE, level INTEGER NOT NULL,
    title TEXT NOT NULL, anchor TEXT NOT NULL, aliases TEXT NOT NULL, trail TEXT NOT NULL,
    line INTEGER NOT NULL, end INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS section_page ON section (page_id, line);
CREATE TABLE IF NOT EXISTS passage (
    id INTEGER PRIMARY KEY, page_id INTEGER NOT NULL REFERENCES page (id) ON DELETE CASCADE,
    section_id INTEGER NOT NULL, line INTEGER NOT NULL, end INTEGER NOT NULL, digest BLOB NOT NULL, text TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS passage_page ON passage (page_id);
CREATE TABLE IF NOT EXISTS vector (
    passage_id INTEGER PRIMARY KEY REFERENCES passage (id) ON DELETE CASCADE, data BLOB NOT NULL
);
CREATE VIRTUAL TABLE IF NOT EXISTS lexical USING fts5 (
    title, trail, names, body, tokenize = "porter unicode61 remove_diacritics 2"
);
CREATE TRIGGER IF NOT EXISTS passage_gone AFTER DELETE ON passage BEGIN DELETE FROM lexical WHERE rowid = old.id; END;
"""
_TABLES = ("vector", "lexical", "passage", "section", "page")
_SPACES = re.compile(r"\s+")
_MARKUP = re.compile(r":[\w:.+-]+:(?=`)|^\s*\.\. [\w:+-]+::|[`*|]+", re.M)
_CAMEL = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_IDENTIFIER = re.compile(r"\b[A-Za-z][a-z0-9]*(?:[A-Z][A-Za-z0-9]*)+\b")


@dataclass(frozen=True, slots=True)
class Shelf:
    """A library in one version. `kind` says what `source` is: dir, file, package, url, man."""

    id: int
    library: str
    version: str
    kind: str
    source: str
    indexed_at: str | None
    complete: bool
    note: str
    pages: int = 0

    @property
    def name(self) -> str:
        return f"{self.library}@{self.version}"


@dataclass(frozen=True, slots=True)
class StoredPage:
    id: int
    shelf_id: int
    path: str
    title: str
    kind: str
    text: str
    note: str


@dataclass(frozen=True, slots=True)
class StoredSection:
    id: int
    level: int
    title: str
    anchor: str
    aliases: tuple[str, ...]
    trail: tuple[str, ...]
    line: int
    end: int


@dataclass(frozen=True, slots=True)
class StoredPassage:
    id: int
    shelf_id: int
    page_id: int
    section_id: int
    path: str
    anchor: str
    title: str
    trail: tuple[str, ...]
    line: int
    end: int
    digest: bytes
    text: str


class Limit:
    """How long a caller's reads may take: until `seconds` are over, or `cancel` is called from any thread."""

    def __init__(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True

    def over(self) -> bool:
        return self._cancelled or time.monotonic() > self._deadline


class Store:
    """Opens or makes the index at `path`; an index of another `INDEX_VERSION` is emptied (its shelves stay listed)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._open: list[sqlite3.Connection] = []
        self._limits = threading.local()
        try:
            self._writer = self._connect()
            self._prepare()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):  # locked, unwritable: the file itself may be sound
                raise
            log.warning("%s is no index any more (%s); it is kept as %s.damaged and a new one is made", path, error, path.name)
            for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
                path.with_name(name).unlink(missing_ok=True) if name != path.name else path.replace(f"{path}.damaged")
            self._writer = self._connect()
            self._prepare()
        self._seen_version = self._writer.execute("PRAGMA data_version").fetchone()[0]

    def close(self) -> None:
        for connection in (self._writer, *self._open):
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=_BUSY_MS / 1000, check_same_thread=False, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA cache_size = -32000")
        return connection

    def _prepare(self) -> None:
        version = self._writer.execute("PRAGMA user_version").fetchone()[0]
        with self.write() as db:
            if version not in (0, INDEX_VERSION):
                for table in _TABLES:
                    db.execute(f"DROP TABLE IF EXISTS {table}")
                db.execute("UPDATE shelf SET complete = 0")
            for statement in _statements(_SCHEMA):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {INDEX_VERSION}")

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction of the writer; rolled back if the block raises."""
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            yield self._writer
        except BaseException:
            self._writer.execute("ROLLBACK")
            raise
        self._writer.execute("COMMIT")

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection for reading, lent for the block. Raises TooSlow once this thread's limit is over."""
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = self._connect()
            connection.execute("PRAGMA query_only = ON")
            self._open.append(connection)
        limit: Limit | None = getattr(self._limits, "limit", None)
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
    def within(self, limit: Limit) -> Iterator[None]:
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

    # Shelves

    def add_shelf(self, library: str, version: str, kind: str, source: str) -> Shelf:
        """The shelf of that name, made if it's new; another source than before empties it."""
        with self.write() as db:
            row = db.execute(
                "SELECT id, source, kind FROM shelf WHERE library = ? AND version = ?", (library, version)
            ).fetchone()
            if row is None:
                db.execute(
                    "INSERT INTO shelf (library, version, kind, source) VALUES (?, ?, ?, ?)", (library, version, kind, source)
                )
            elif (row[1], row[2]) != (source, kind):
                db.execute("DELETE FROM page WHERE shelf_id = ?", (row[0],))
                db.execute("UPDATE shelf SET source = ?, kind = ?, complete = 0 WHERE id = ?", (source, kind, row[0]))
        return next(s for s in self.shelves() if (s.library, s.version) == (library, version))

    def shelves(self) -> list[Shelf]:
        with self.read() as db:
            rows = db.execute(
                "SELECT s.id, library, version, s.kind, source, indexed_at, complete, s.note,"
                " (SELECT count(*) FROM page WHERE shelf_id = s.id) FROM shelf s ORDER BY s.id"
            ).fetchall()
        return [Shelf(row[0], row[1], row[2], row[3], row[4], row[5], bool(row[6]), row[7], row[8]) for row in rows]

    def shelf_count(self) -> int:
        with self.read() as db:
            return int(db.execute("SELECT count(*) FROM shelf").fetchone()[0])

    def remove_shelf(self, shelf_id: int) -> None:
        with self.write() as db:
            db.execute("DELETE FROM shelf WHERE id = ?", (shelf_id,))

    def mark_shelf(self, shelf_id: int, *, complete: bool, note: str = "") -> None:
        with self.write() as db:
            db.execute(
                "UPDATE shelf SET complete = ?, note = ?, indexed_at = strftime('%Y-%m-%dT%H:%M:%SZ', 'now') WHERE id = ?",
                (complete, note, shelf_id),
            )

    # Pages

    def stamps(self, shelf_id: int) -> dict[str, tuple[int, str]]:
        """path -> (page id, stamp): what the source said of the page when it was read."""
        with self.read() as db:
            rows = db.execute("SELECT path, id, stamp FROM page WHERE shelf_id = ?", (shelf_id,)).fetchall()
        return {path: (page_id, stamp) for path, page_id, stamp in rows}

    def put_pages(self, shelf_id: int, pages: Sequence[tuple[str, str, Page, Sequence[Passage]]]) -> None:
        """(path, stamp, page, passages) each: replaces what was there, in one transaction."""
        with self.write() as db:
            for path, stamp, page, passages in pages:
                db.execute("DELETE FROM page WHERE shelf_id = ? AND path = ?", (shelf_id, path))
                page_id = db.execute(
                    "INSERT INTO page (shelf_id, path, title, kind, stamp, text, note) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (shelf_id, path, page.title, page.kind, stamp, page.text, page.note),
                ).lastrowid
                sections = [
                    db.execute(
                        "INSERT INTO section (page_id, level, title, anchor, aliases, trail, line, end)"
                        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                        (page_id, s.level, s.title, s.anchor, _json(s.aliases), _json(s.trail), s.line, s.end),
                    ).lastrowid
                    for s in page.sections
                ]
                for passage in passages:
                    section = page.sections[passage.section]
                    passage_id = db.execute(
                        "INSERT INTO passage (page_id, section_id, line, end, digest, text) VALUES (?, ?, ?, ?, ?, ?)",
                        (page_id, sections[passage.section], passage.line, passage.end, digest(passage.text), passage.text),
                    ).lastrowid
                    db.execute(
                        "INSERT INTO lexical (rowid, title, trail, names, body) VALUES (?, ?, ?, ?, ?)",
                        (passage_id, *lexical_row(path, section.title, section.anchor, section.trail, passage.text)),
                    )

    def restamp(self, page_id: int, stamp: str) -> None:
        """The source changed its mark but not the page."""
        with self.write() as db:
            db.execute("UPDATE page SET stamp = ? WHERE id = ?", (stamp, page_id))

    def drop_pages(self, page_ids: Iterable[int]) -> None:
        with self.write() as db:
            db.executemany("DELETE FROM page WHERE id = ?", [(i,) for i in page_ids])

    def page(self, shelf_id: int, path: str) -> StoredPage | None:
        with self.read() as db:
            row = db.execute(
                "SELECT id, shelf_id, path, title, kind, text, note FROM page WHERE shelf_id = ? AND path = ?", (shelf_id, path)
            ).fetchone()
        return StoredPage(*row) if row else None

    def sections(self, page_id: int) -> list[StoredSection]:
        with self.read() as db:
            rows = db.execute(
                "SELECT id, level, title, anchor, aliases, trail, line, end FROM section WHERE page_id = ? ORDER BY id",
                (page_id,),
            ).fetchall()
        return [
            StoredSection(r[0], r[1], r[2], r[3], tuple(json.loads(r[4])), tuple(json.loads(r[5])), r[6], r[7]) for r in rows
        ]

    def page_list(
        self, shelf_id: int, *, prefix: str = "", limit: int = -1, offset: int = 0
    ) -> list[tuple[str, str, str, int]]:
        """(path, title, kind, sections) in order of path."""
        with self.read() as db:
            return db.execute(
                "SELECT path, title, kind, (SELECT count(*) FROM section WHERE page_id = page.id AND anchor != '') FROM page"
                " WHERE shelf_id = ? AND substr(path, 1, ?) = ? ORDER BY path LIMIT ? OFFSET ?",
                (shelf_id, len(prefix), prefix, limit, offset),
            ).fetchall()

    def passages(self, ids: Sequence[int]) -> dict[int, StoredPassage]:
        with self.read() as db:
            rows = db.execute(
                "SELECT p.id, g.shelf_id, p.page_id, p.section_id, g.path, s.anchor, s.title, s.trail, p.line, p.end, p.digest,"
                " p.text FROM passage p JOIN section s ON s.id = p.section_id JOIN page g ON g.id = p.page_id"
                " WHERE p.id IN (SELECT value FROM json_each(?))",
                (_json(ids),),
            ).fetchall()
        return {row[0]: _passage(row) for row in rows}

    # Vectors

    def without_vector(self, limit: int) -> list[tuple[int, str]]:
        """(passage id, trail and text) of passages that have no vector yet."""
        with self.read() as db:
            rows = db.execute(
                "SELECT p.id, s.trail, p.text FROM passage p JOIN section s ON s.id = p.section_id"
                " WHERE NOT EXISTS (SELECT 1 FROM vector v WHERE v.passage_id = p.id) ORDER BY p.id LIMIT ?",
                (limit,),
            ).fetchall()
        return [(i, " ".join((*json.loads(trail), _plain(text)))) for i, trail, text in rows]

    def put_vectors(self, rows: Iterable[tuple[int, bytes]]) -> None:
        """A passage that vanished meanwhile is passed over."""
        with self.write() as db:
            db.executemany(
                "INSERT OR REPLACE INTO vector (passage_id, data) SELECT id, ?2 FROM passage WHERE id = ?1", list(rows)
            )


def _passage(row: tuple[Any, ...]) -> StoredPassage:
    return StoredPassage(*row[:7], tuple(json.loads(row[7])), *row[8:])  # type: ignore[call-arg]


def digest(text: str) -> bytes:
    """The same for passages that differ only in white space and case."""
    return hashlib.blake2b(_SPACES.sub(" ", text).strip().lower().encode("utf-8", "surrogatepass"), digest_size=12).digest()


def lexical_row(path: str, title: str, anchor: str, trail: Sequence[str], text: str) -> tuple[str, str, str, str]:
    """What the full-text index sees of a passage: title, trail, names, body.

    `names` holds the path's and anchor's parts and the words inside CamelCase names, so that "thread pool" finds
    `ThreadPoolExecutor`; the tokenizer itself parts `snake_case` and `dotted.names`.
    """
    body = _plain(text)
    camel = [" ".join(_CAMEL.findall(name)) for name in dict.fromkeys(_IDENTIFIER.findall(f"{title} {anchor} {body}"))]
    return _plain(title), _plain(" ".join(trail[:-1])), " ".join((path, anchor, *camel)), body


def _plain(text: str) -> str:
    return _MARKUP.sub(" ", text)


def _json(value: Sequence[object]) -> str:
    return json.dumps(list(value), ensure_ascii=False, separators=(",", ":"))


def _statements(script: str) -> Iterator[str]:
    """Statement by statement: `executescript` would commit the transaction that it runs in."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
