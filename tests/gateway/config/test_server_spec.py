from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

import pytest

from portico_gateway.config.server_spec import default_specs, find_databases


def make_database(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    return path


def test_the_default_is_the_working_directory_with_its_databases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = make_database(tmp_path / "data" / "shop.sqlite")
    monkeypatch.chdir(tmp_path)
    code, docs, db = default_specs()
    assert (code.name, docs.name, db.name) == ("code", "docs", "db")
    assert code.args == ("-P", "-m", "portico_servers.code", str(tmp_path))
    assert docs.args[3:] == (str(tmp_path),)
    assert db.args[3:] == (str(database),)
    assert code.command == sys.executable


def test_paths_are_absolute_and_a_dsn_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _, docs, db = default_specs(Path("."), docs=[Path("d1"), Path("d2")], db=["shop.db", "postgresql://localhost/x"])
    assert docs.args[3:] == (str(tmp_path / "d1"), str(tmp_path / "d2"))
    assert db.args[3:] == (str(tmp_path / "shop.db"), "postgresql://localhost/x")


def test_without_a_database_there_is_no_db_server(tmp_path: Path) -> None:
    assert [spec.name for spec in default_specs(tmp_path)] == ["code", "docs"]


def test_databases_are_found_by_their_header_and_not_in_hidden_folders(tmp_path: Path) -> None:
    real = make_database(tmp_path / "a.db")
    make_database(tmp_path / ".venv" / "b.db")
    make_database(tmp_path / "1" / "2" / "3" / "4" / "deep.db")
    (tmp_path / "fake.db").write_text("not a database")
    assert list(find_databases(tmp_path)) == [real]
