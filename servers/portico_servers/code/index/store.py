"""The index on disk: one SQLite file a root, under the user's cache directory. It stores what is extracted and answers
look-ups by name; it does not rank, and reads none of the files it describes.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from portico_servers.code.index.cache_file import CacheFile
from portico_servers.code.index.extraction import EXTRACTION_VERSION, ExtractedFile
from portico_servers.code.syntax.symbols import Symbol

_SCHEMA = """
CREATE TABLE files (id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
  language TEXT NOT NULL, lines INTEGER NOT NULL, skipped TEXT, chunks BLOB NOT NULL, postings BLOB NOT NULL,
  imports TEXT NOT NULL, trigrams BLOB);
CREATE TABLE symbols (file_id INTEGER NOT NULL, ordinal INTEGER NOT NULL, name TEXT NOT NULL, folded TEXT NOT NULL,
  kind TEXT NOT NULL, start INTEGER NOT NULL, stop INTEGER NOT NULL, parent TEXT NOT NULL, signature TEXT NOT NULL,
  PRIMARY KEY (file_id, ordinal)) WITHOUT ROWID;
CREATE INDEX symbols_by_name ON symbols(folded);
CREATE TABLE terms (id INTEGER PRIMARY KEY, term TEXT NOT NULL UNIQUE, surface TEXT NOT NULL);
"""
# Changes with the tables and with what extraction puts in them: an older file is rebuilt, not migrated.
_VERSION = zlib.crc32(_SCHEMA.encode(), EXTRACTION_VERSION) & 0x7FFF_FFFF


class StoredFile(NamedTuple):
    """`chunks` int32 [n, 4] and `postings` int32 [m, 3] as in `ExtractedFile`, but terms by their ids in the store."""

    id: int
    path: str
    size: int
    mtime_ns: int
    language: str
    lines: int
    skipped: str | None
    chunks: np.ndarray
    postings: np.ndarray
    trigrams: bytes | None


class IndexedSymbol(NamedTuple):
    path: str
    language: str
    symbol: Symbol


class IndexStore:
    """Thread-safe: one connection writes, another reads, each behind its lock, so that a look-up never waits for a commit."""

    def __init__(self, root: Path, cache_dir: Path) -> None:
        """Opens the file, or makes it; `load_terms` comes before the first `put`."""
        self._lock = threading.Lock()
        self._read_lock = threading.Lock()
        self.file = CacheFile(cache_dir, hashlib.blake2b(os.fsencode(root), digest_size=12).hexdigest())
        self._db = self._open()
        self._reader = self._connect()
        self._reader.execute("PRAGMA query_only = ON")
        # Ids are given out from 1 in order, so that both can be read up to a length while they grow.
        self.term_ids: dict[str, int] = {}
        self.surfaces: list[str] = [""]

    def load_terms(self) -> None:
        """Takes a while for a large vocabulary; look-ups by name and path don't need it."""
        with self._lock:
            rows = self._db.execute("SELECT id, term, surface FROM terms ORDER BY id").fetchall()
        self.term_ids.update((term, number) for number, term, _ in rows)
        self.surfaces.extend(surface for _, _, surface in rows)

    def close(self) -> None:
        with self._lock, self._read_lock:
            self._reader.close()
            self._db.close()
            self.file.release()

    def discard(self) -> None:
        """Close, and leave nothing of what was stored: it's damaged."""
        self.close()
        self.file.remove()

    def files(self) -> Iterator[StoredFile]:
        with self._lock:
            rows = self._db.execute(
                "SELECT id, path, size, mtime_ns, language, lines, skipped, chunks, postings, trigrams FROM files"
            ).fetchall()
        for number, path, size, mtime_ns, language, lines, skipped, chunks, postings, trigrams in rows:
            tables = _table(chunks, 4), _table(postings, 3)
            yield StoredFile(number, path, size, mtime_ns, language, lines, skipped, *tables, trigrams)

    def put(self, batch: Sequence[ExtractedFile]) -> list[StoredFile]:
        """Replace what is known of these files, in one transaction."""
        stored: list[StoredFile] = []
        with self._lock, self._db:
            self._delete([file.path for file in batch])
            self._add_terms(batch)
            for file in batch:
                stored.append(self._insert(file))
        return stored

    def _add_terms(self, batch: Sequence[ExtractedFile]) -> None:
        fresh: dict[str, str] = {}
        for file in batch:
            for term, surface in zip(file.terms, file.surfaces, strict=True):
                if term not in self.term_ids:
                    fresh.setdefault(term, surface)
        first = len(self.term_ids) + 1
        self._db.executemany("INSERT INTO terms VALUES (?,?,?)", ((first + i, t, s) for i, (t, s) in enumerate(fresh.items())))
        self.surfaces.extend(fresh.values())
        self.term_ids.update((term, first + i) for i, term in enumerate(fresh))

    def _insert(self, file: ExtractedFile) -> StoredFile:
        postings = _table(file.postings, 3).copy()
        if len(postings):
            ids = np.fromiter((self.term_ids[term] for term in file.terms), np.int32, len(file.terms))
            postings[:, 1] = ids[postings[:, 1]]
        imports = ",".join(f"{start}-{end}" for start, end in file.imports)
        row = (file.path, file.size, file.mtime_ns, file.language, file.lines, file.skipped)
        cursor = self._db.execute(
            "INSERT INTO files(path, size, mtime_ns, language, lines, skipped, chunks, postings, imports, "
            "trigrams) VALUES (?,?,?,?,?,?,?,?,?,?)",
            (*row, file.chunks, postings.tobytes(), imports, file.trigrams),
        )
        assert cursor.lastrowid is not None
        self._db.executemany(
            "INSERT INTO symbols VALUES (?,?,?,?,?,?,?,?,?)",
            (
                (cursor.lastrowid, i, s.name, s.name.lower(), s.kind, s.start, s.end, s.parent, s.signature)
                for i, s in enumerate(file.symbols)
            ),
        )
        return StoredFile(cursor.lastrowid, *row, _table(file.chunks, 4), postings, file.trigrams)

    def remove(self, paths: Iterable[str]) -> None:
        with self._lock, self._db:
            self._delete(paths)

    def _delete(self, paths: Iterable[str]) -> None:
        for path in paths:
            row = self._db.execute("SELECT id FROM files WHERE path = ?", (path,)).fetchone()
            if row is not None:
                self._db.execute("DELETE FROM symbols WHERE file_id = ?", row)
                self._db.execute("DELETE FROM files WHERE id = ?", row)

    def symbol(self, file_id: int, ordinal: int) -> Symbol | None:
        with self._read_lock:
            row = self._reader.execute(
                "SELECT name, kind, start, stop, parent, signature FROM symbols WHERE file_id = ? AND ordinal = ?",
                (file_id, ordinal),
            ).fetchone()
        return None if row is None else Symbol(*row)

    def symbols_in(self, path: str) -> list[Symbol]:
        with self._read_lock:
            rows = self._reader.execute(
                "SELECT name, kind, start, stop, parent, signature FROM symbols "
                "WHERE file_id = (SELECT id FROM files WHERE path = ?) ORDER BY ordinal",
                (path,),
            ).fetchall()
        return [Symbol(*row) for row in rows]

    def symbols_named(self, name: str, *, kind: str | None = None, limit: int = 500) -> list[IndexedSymbol]:
        """Definitions called `name`, whatever the case; exact case first. At most `limit`."""
        return self._find("s.folded = ?", (name.lower(),), kind, limit, name)

    def symbols_like(self, part: str, *, kind: str | None = None, limit: int = 500) -> list[IndexedSymbol]:
        """Definitions whose name contains `part`, whatever the case; those that begin with it first, shorter ones first."""
        folded = part.lower()
        with self._read_lock:  # the names alone are in an index a tenth of the table's size
            rows = self._reader.execute("SELECT DISTINCT folded FROM symbols WHERE instr(folded, ?)", (folded,)).fetchall()
        names = sorted((row[0] for row in rows), key=lambda name: (not name.startswith(folded), len(name), name))[:limit]
        marks = ",".join("?" * len(names))
        return self._find(f"s.folded IN ({marks})", tuple(names), kind, limit, part) if names else []

    def paths_like(self, part: str, limit: int) -> list[str]:
        """Files whose path begins with `part`, in order; if there are none, those whose path contains it, whatever the case."""
        with self._read_lock:
            for where, value in (("substr(path, 1, length(?1)) = ?1", part), ("instr(lower(path), ?1)", part.lower())):
                rows = self._reader.execute(f"SELECT path FROM files WHERE {where} ORDER BY path LIMIT ?2", (value, limit))
                found = [row[0] for row in rows]
                if found:
                    return found
        return []

    def names_with_prefix(self, prefix: str, limit: int) -> list[str]:
        folded = prefix.lower()
        with self._read_lock:
            rows = self._reader.execute(
                "SELECT DISTINCT name FROM symbols WHERE folded >= ? AND folded < ? ORDER BY folded LIMIT ?",
                (folded, folded + "\U0010ffff", limit),
            ).fetchall()
        return [row[0] for row in rows]

    def _find(self, where: str, values: tuple[str, ...], kind: str | None, limit: int, wanted: str) -> list[IndexedSymbol]:
        if kind is not None:
            where, values = f"{where} AND s.kind = ?", (*values, kind)
        with self._read_lock:
            rows = self._reader.execute(
                "SELECT f.path, f.language, s.name, s.kind, s.start, s.stop, s.parent, s.signature "
                f"FROM symbols s JOIN files f ON f.id = s.file_id WHERE {where} "
                "ORDER BY s.name <> ?, substr(s.folded, 1, ?) <> ?, length(s.name), length(f.path), f.path, s.start LIMIT ?",
                (*values, wanted, len(wanted), wanted.lower(), limit),
            ).fetchall()
        return [IndexedSymbol(row[0], row[1], Symbol(*row[2:])) for row in rows]

    def _open(self) -> sqlite3.Connection:
        try:
            db = self._connect()
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version == _VERSION:
                db.execute("SELECT count(*) FROM files").fetchone()
                return db
            db.close()
        except sqlite3.DatabaseError:  # not a database any more: it's a cache, so begin again
            pass
        self.file.remove()
        db = self._connect()
        db.executescript(_SCHEMA)
        db.execute(f"PRAGMA user_version = {_VERSION}")
        db.commit()
        return db

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.file.path, check_same_thread=False)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = OFF" if self.file.private else "PRAGMA synchronous = NORMAL")
        return db


def _table(data: bytes, columns: int) -> np.ndarray:
    return np.frombuffer(data, np.int32).reshape(-1, columns)
