"""A database that was found is somebody else's: its schema may be made to cost much, to lead out of the file, or to lie."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from portico_servers.db.engines import sqlite
from portico_servers.db.engines.sqlite import SQLiteEngine
from portico_servers.db.errors import DatabaseSourceError, StatementError
from portico_servers.db.limits import StatementLimits

pytestmark = pytest.mark.attack("24 a found database is data")

LIMITS = StatementLimits(seconds=2.0)
PATIENCE = 30.0  # seconds by the clock, of a busy machine, where two of the processor are allowed


def made(path: Path, statements: Iterable[str], crafted: Iterable[str] = ()) -> Path:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN")
    for statement in statements:
        connection.execute(statement)
    connection.execute("COMMIT")
    connection.execute("PRAGMA writable_schema = 1")
    for statement in crafted:
        connection.execute(statement)
    connection.close()
    return path


def doubling(levels: int) -> list[str]:
    views = [f"CREATE VIEW v{i} AS SELECT a.x FROM v{i + 1} a, v{i + 1} b" for i in range(levels)]
    return [*views, f"CREATE TABLE v{levels} (x)"]


def doubling_cte(levels: int) -> str:
    parts = [f"c{i} AS (SELECT a.x FROM c{i + 1} a, c{i + 1} b)" for i in range(levels)]
    return f"WITH {', '.join(parts)}, c{levels} AS (SELECT 1 x) SELECT * FROM c0"


ENDLESS = "WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c) SELECT count(*) n FROM c"
SCHEMAS = {
    "views that double": doubling(40),
    "a view of parts that double": ["CREATE TABLE t (x)", f"CREATE VIEW r AS {doubling_cte(40)}"],
    "views without an end": ["CREATE TABLE t (x)", *(f"CREATE VIEW r{i} AS {ENDLESS}" for i in range(5))],
    "views in a circle": ["CREATE VIEW a AS SELECT * FROM b", "CREATE VIEW b AS SELECT * FROM a", "CREATE TABLE t (x)"],
    "a union of unions": [
        "CREATE TABLE t (x)",
        "CREATE VIEW u0 AS " + " UNION ALL ".join(["SELECT x FROM t"] * 400),
        *(f"CREATE VIEW u{i} AS " + " UNION ALL ".join([f"SELECT * FROM u{i - 1}"] * 400) for i in range(1, 4)),
    ],
    "an index of itself": ["CREATE VIRTUAL TABLE f USING fts5(x, content='v')", "CREATE VIEW v AS SELECT x, rowid FROM f"],
    "a name of a million characters": [f'CREATE TABLE "{"n" * 900_000}" (x)', "CREATE TABLE t (x)"],
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_read_within_its_time(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_SCHEMA_SECONDS", 2.0)
    path = made(tmp_path / "found.db", SCHEMAS[name])
    began = time.monotonic()
    engine = SQLiteEngine(path)
    schema = engine.schema()
    assert time.monotonic() - began < PATIENCE
    assert len(schema.tables) >= 2
    for table in schema.tables[:2]:
        try:
            engine.run(f"SELECT * FROM {table.relation} LIMIT 1", (), LIMITS)
        except StatementError:
            pass
    assert time.monotonic() - began < 2 * PATIENCE
    engine.close()


@pytest.mark.parametrize("explained", [False, True])
def test_a_statement_whose_parts_double_is_ended(tmp_path: Path, explained: bool) -> None:
    engine = SQLiteEngine(made(tmp_path / "found.db", ["CREATE TABLE t (x)"]))
    began = time.monotonic()
    with pytest.raises(StatementError, match="more than 256 MB of memory"):
        (engine.explain if explained else engine.run)(doubling_cte(40), (), LIMITS)
    assert time.monotonic() - began < PATIENCE
    assert engine.run("SELECT 1", (), LIMITS).rows
    engine.close()


CRAFTED = {
    "a module that reads files": [
        "INSERT INTO sqlite_schema VALUES ('table', 'z', 'z', 0, 'CREATE VIRTUAL TABLE z USING csv(filename=''/etc/passwd'')')"
    ],
    "a virtual table of no module": [
        "INSERT INTO sqlite_schema VALUES ('table', 'z', 'z', 0, 'CREATE VIRTUAL TABLE z USING ')"
    ],
    "half a statement": ["UPDATE sqlite_schema SET sql = 'CREATE TABLE t (x, y'"],
    "bytes for a statement": ["UPDATE sqlite_schema SET sql = x'00ff00'"],
    "its own name": ["UPDATE sqlite_schema SET name = 'sqlite_schema', tbl_name = 'sqlite_schema'"],
    "a page that isn't there": ["UPDATE sqlite_schema SET rootpage = 999999"],
    "its own first page": ["UPDATE sqlite_schema SET rootpage = 1"],
    "a view that loads code": [
        "INSERT INTO sqlite_schema VALUES ('view', 'z', 'z', 0, 'CREATE VIEW z AS SELECT load_extension(1)')"
    ],
    "a view that writes files": [
        "INSERT INTO sqlite_schema VALUES ('view', 'z', 'z', 0, 'CREATE VIEW z AS SELECT writefile(''/tmp/owned-by-z'', 1)')"
    ],
    "statistics that lie": ["CREATE TABLE sqlite_stat1 (tbl, idx, stat)"],
}


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_schema_reads_and_runs_nothing_else(name: str, tmp_path: Path) -> None:
    try:
        path = made(tmp_path / "found.db", ["CREATE TABLE t (x)", "INSERT INTO t VALUES (7)"], CRAFTED[name])
    except sqlite3.Error:
        pytest.skip("this SQLite doesn't let it be crafted so")
    before = sorted(each.name for each in tmp_path.iterdir())
    try:
        engine = SQLiteEngine(path)
    except DatabaseSourceError:
        return
    try:
        for table in engine.schema().tables:
            try:
                found = str(engine.run(f'SELECT * FROM "{table.relation}" LIMIT 5', (), LIMITS).rows)
            except StatementError as error:
                found = str(error)
            assert "root:" not in found
    except StatementError:
        pass  # it says what is wrong
    engine.close()
    assert sorted(each.name for each in tmp_path.iterdir()) == before
    assert not Path("/tmp/owned-by-z").exists()


def test_what_keeps_a_virtual_tables_data_is_no_table_of_its_own(tmp_path: Path) -> None:
    path = made(
        tmp_path / "found.db",
        [
            "CREATE TABLE plain (x)", "CREATE VIRTUAL TABLE pages USING fts5(a)", "CREATE VIRTUAL TABLE old USING fts4(a)",
            "CREATE VIRTUAL TABLE boxes USING rtree(id, a, b)", "CREATE TABLE pages_of_a_book (x)",
            'CREATE VIRTUAL TABLE "odd name" using "fts5"(a)',
        ],
    )  # fmt: skip
    engine = SQLiteEngine(path)
    assert [table.name for table in engine.schema().tables] == ["plain", "pages", "old", "boxes", "pages_of_a_book", "odd name"]
    engine.close()
