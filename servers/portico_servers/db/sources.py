"""What the command line names: files and DSNs, each a connection with a short name. Only a file's first bytes are read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from portico_servers.common.regular_files import open_regular
from portico_servers.common.sqlite_header import SQLITE_MAGIC
from portico_servers.db.errors import DatabaseSourceError

EngineName = Literal["sqlite", "duckdb", "postgres"]

_POSTGRES = re.compile(r"postgres(ql)?://", re.IGNORECASE)
_DUCKDB_MAGIC = b"DUCK"  # at byte 8
_EXPECTED = "expected a SQLite or DuckDB file, or a postgresql:// DSN"


@dataclass(frozen=True, slots=True)
class DatabaseSource:
    """One database: its name in tool arguments and URIs, its engine, and where it is (a path, or a DSN with its secrets)."""

    name: str
    engine: EngineName
    target: str
    writable: bool = False  # for the tool `write` alone
    allow_powerful_role: bool = False  # PostgreSQL: connect as a role that could leave the database

    @property
    def file(self) -> Path | None:
        return None if self.engine == "postgres" else Path(self.target)


def parse_sources(targets: Sequence[str]) -> tuple[DatabaseSource, ...]:
    """Sources in the order given; two of the same name get a number. DatabaseSourceError for what can't be one."""
    if not targets:
        raise DatabaseSourceError(f"no database given; {_EXPECTED}")
    found: list[DatabaseSource] = []
    for target in targets:
        engine = detect_engine(target)
        if engine == "postgres":
            _check_dsn(target)
        where = target if engine == "postgres" else str(Path(target).absolute())
        name = _unique(_name(target, engine), [source.name for source in found])
        found.append(DatabaseSource(name, engine, where))
    return tuple(found)


def detect_engine(target: str) -> EngineName:
    """The engine by DSN scheme or by the file's first bytes, never by its suffix."""
    if _POSTGRES.match(target):
        return "postgres"
    if re.match(r"[a-z][a-z0-9+.-]+://", target, re.IGNORECASE):
        raise DatabaseSourceError(f"{target.split('://')[0]}://…: unknown kind of database; {_EXPECTED}")
    path = Path(target)
    try:
        with open_regular(path) as file:
            head = file.read(16)
    except FileNotFoundError:
        raise DatabaseSourceError(f"{target}: no such file; {_EXPECTED}") from None
    except (OSError, ValueError) as exc:
        raise DatabaseSourceError(f"{target}: {getattr(exc, 'strerror', None) or exc}; {_EXPECTED}") from None
    if not head or head == SQLITE_MAGIC:
        return "sqlite"
    if head[8:12] == _DUCKDB_MAGIC:
        return "duckdb"
    raise DatabaseSourceError(f"{target}: not a database (it begins with {head!r}); {_EXPECTED}")


def _check_dsn(dsn: str) -> None:
    """Raises DatabaseSourceError where PostgreSQL's library can't read it. What it quotes of the DSN may be a password."""
    try:
        import psycopg
    except ImportError:
        return  # whoever connects says what has to be installed
    try:
        psycopg.conninfo.conninfo_to_dict(dsn)
    except psycopg.Error as exc:
        why = re.sub(r'(in URI)?: "[^"]*"$', "", str(exc).strip()).strip()
        raise DatabaseSourceError(
            f"postgresql://…: not a DSN: {why}; expected postgresql://USER@HOST:PORT/DATABASE, "
            "with other characters than letters and digits written as %XX"
        ) from None


def _name(target: str, engine: EngineName) -> str:
    if engine == "postgres":
        path = target.split("://", 1)[1].split("?", 1)[0].rpartition("/")
        stem = path[2] if path[1] else "postgres"
    else:
        stem = Path(target).stem
    return re.sub(r"[^A-Za-z0-9_]+", "_", stem).strip("_") or engine


def _unique(name: str, taken: Sequence[str]) -> str:
    candidate, n = name, 2
    while candidate in taken:
        candidate, n = f"{name}_{n}", n + 1
    return candidate
