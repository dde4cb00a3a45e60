"""The tables of the index, and how an index of another version becomes one of this.

Bump INDEX_VERSION whenever a reader, the cutting or the tables change: what was read is then read anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

INDEX_VERSION = 2
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


def prepare(db: sqlite3.Connection) -> None:
    """Inside a transaction: the tables, emptied if they are of another version (the library versions stay listed)."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version not in (0, INDEX_VERSION):
        for table in _TABLES:
            db.execute(f"DROP TABLE IF EXISTS {table}")
        db.execute("UPDATE shelf SET complete = 0")
    for statement in _statements(_SCHEMA):
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {INDEX_VERSION}")


def _statements(script: str) -> Iterator[str]:
    """Statement by statement: `executescript` would commit the transaction that it runs in."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
