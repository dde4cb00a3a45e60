"""The SQLite engine on databases as they are found: WAL, virtual tables, odd values, changing schemas, broken files."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from portico_servers.db.engines.sqlite import SQLiteEngine
from portico_servers.db.errors import DatabaseSourceError, DbError, ReadOnlyError, StatementError
from portico_servers.db.limits import StatementLimits


def database(folder: Path, script: str, name: str = "x.db") -> Path:
    path = folder / name
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()
    return path


def test_a_wal_database_in_a_folder_that_cannot_be_written_is_opened_as_it_stands_with_a_warning(tmp_path: Path) -> None:
    folder = tmp_path / "readonly"
    folder.mkdir()
    path = database(folder, "PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (5)")
    for beside in folder.glob("x.db-*"):
        beside.unlink()
    folder.chmod(0o555)
    for ancestor in folder.parents:
        if ancestor != Path(tempfile.gettempdir()) and ancestor.is_relative_to(tempfile.gettempdir()):
            ancestor.chmod(0o755)
    script = f"""
import os
if os.geteuid() == 0:
    os.setgid(65534); os.setuid(65534)
from pathlib import Path
from portico_servers.db.engines.sqlite import SQLiteEngine
from portico_servers.db.limits import StatementLimits
engine = SQLiteEngine(Path({str(path)!r}))
print(engine.run("SELECT a FROM t", [], StatementLimits()).rows, engine.warning)
"""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    # read before the rights are given up
    modules = "import portico_servers.db.engines.sqlite, portico_servers.db.limits\n"
    run = subprocess.run([sys.executable, "-c", modules + script], capture_output=True, text=True, timeout=30, env=environment)
    folder.chmod(0o755)
    assert "[[5]]" in run.stdout, run.stderr
    assert "WAL" in run.stdout


def test_reading_a_wal_database_sees_committed_changes_of_others(tmp_path: Path) -> None:
    path = database(tmp_path, "PRAGMA journal_mode = WAL; CREATE TABLE t (a)")
    engine = SQLiteEngine(path)
    assert engine.warning is None
    writer = sqlite3.connect(path)
    writer.execute("INSERT INTO t VALUES (1)")
    writer.commit()
    assert engine.run("SELECT COUNT(*) FROM t", [], StatementLimits()).rows == [[1]]
    writer.close()
    engine.close()


def test_full_text_and_r_tree_tables_can_be_read_also_after_the_schema_changed(tmp_path: Path) -> None:
    path = database(
        tmp_path,
        "CREATE VIRTUAL TABLE notes USING fts5(body); INSERT INTO notes VALUES ('hello world');"
        "CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1); INSERT INTO boxes VALUES (1, 0, 2);",
    )
    engine = SQLiteEngine(path)
    assert engine.run("SELECT body FROM notes WHERE notes MATCH 'hello'", [], StatementLimits()).rows == [["hello world"]]
    assert engine.run("SELECT id FROM boxes WHERE x0 < 1", [], StatementLimits()).rows == [[1]]
    database(tmp_path, "CREATE TABLE later (a); CREATE VIRTUAL TABLE more USING fts5(a);")
    assert engine.run("SELECT body FROM notes WHERE notes MATCH 'world'", [], StatementLimits()).rows == [["hello world"]]
    assert engine.run("SELECT COUNT(*) FROM more", [], StatementLimits()).rows == [[0]]
    names = [table.name for table in engine.schema().tables]
    assert names == ["notes", "boxes", "later", "more"]
    with pytest.raises(ReadOnlyError):
        engine.run("INSERT INTO notes VALUES ('x')", [], StatementLimits())
    engine.close()


def test_kinds_come_from_declared_types_and_where_these_say_nothing_from_what_is_there(tmp_path: Path) -> None:
    path = database(
        tmp_path,
        """CREATE TABLE t (i INTEGER, r DOUBLE PRECISION, n NUMERIC(9, 2), s VARCHAR(9), b BOOLEAN, d DATE, at TEXT,
           epoch TIMESTAMP, untyped, blob BLOB, gen INTEGER AS (i * 2));
           INSERT INTO t VALUES (1, 1.5, 2, 'x', 1, '2024-01-01', '2024-01-01T10:00:00', 1700000000, 'word', x'00');""",
    )
    engine = SQLiteEngine(path)
    kinds = {column.name: column.kind for column in engine.schema().tables[0].columns}
    assert kinds == {
        "i": "number", "r": "number", "n": "number", "s": "text", "b": "boolean", "d": "date", "at": "date", "epoch": "date",
        "untyped": "text", "blob": "other", "gen": "number",
    }  # fmt: skip
    engine.close()


def test_keys_are_read_whatever_way_they_are_written(tmp_path: Path) -> None:
    path = database(
        tmp_path,
        """CREATE TABLE "Parent Table" ("key one" INTEGER, two TEXT, PRIMARY KEY ("key one", two)) WITHOUT ROWID;
           CREATE TABLE child (a INTEGER, b TEXT, c INTEGER REFERENCES nowhere,
           FOREIGN KEY (a, b) REFERENCES "parent table");""",
    )
    engine = SQLiteEngine(path)
    parent, child = engine.schema().tables
    assert [(c.name, c.primary_key) for c in parent.columns] == [("key one", 1), ("two", 2)]
    assert [(k.columns, k.parent, k.parent_columns) for k in child.foreign_keys] == [
        (("a", "b"), "Parent Table", ("key one", "two"))
    ]
    engine.close()


def test_odd_values_become_json_values(tmp_path: Path) -> None:
    path = database(
        tmp_path, "CREATE TABLE t (a); INSERT INTO t VALUES (CAST(x'ff41' AS TEXT)), (9223372036854775807), (9e999)"
    )
    engine = SQLiteEngine(path)
    rows = engine.run("SELECT a FROM t", [], StatementLimits()).rows
    assert rows == [["\ufffdA"], [9223372036854775807], ["inf"]]
    engine.close()


def test_a_damaged_file_is_an_error_with_the_engines_words(tmp_path: Path) -> None:
    path = database(tmp_path, "CREATE TABLE t (a); INSERT INTO t SELECT 'x'")
    content = bytearray(path.read_bytes())
    content[100:2000] = b"\x5a" * 1900
    path.write_bytes(content)
    with pytest.raises(DbError, match=r"malformed|not a database|corrupt"):
        SQLiteEngine(path).schema()
    path.write_bytes(b"SQLite format 3\x00 and nothing more")
    with pytest.raises(DatabaseSourceError, match=r"not a database|expected"):
        SQLiteEngine(path)


def test_an_empty_file_is_a_database_without_tables(tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    path.touch()
    engine = SQLiteEngine(path)
    assert engine.schema().tables == ()
    assert path.stat().st_size == 0
    engine.close()


def test_a_folder_and_an_unreadable_name_are_source_errors(tmp_path: Path) -> None:
    with pytest.raises(DatabaseSourceError, match="directory"):
        SQLiteEngine(tmp_path)
    odd = database(tmp_path, "CREATE TABLE t (a)", "100% odd?#name;.db")
    assert [table.name for table in SQLiteEngine(odd).schema().tables] == ["t"]


def test_explaining_shows_the_plan_as_a_tree(tmp_path: Path) -> None:
    path = database(tmp_path, "CREATE TABLE t (a); CREATE TABLE u (a)")
    engine = SQLiteEngine(path)
    plan = engine.explain("SELECT * FROM t WHERE a IN (SELECT a FROM u)", [], StatementLimits())
    assert plan[0] == "SCAN t"
    assert any(line.startswith("  ") for line in plan)
    with pytest.raises(StatementError):
        engine.explain("SELECT nothing FROM nowhere", [], StatementLimits())
    engine.close()
