"""A database that is found, and not named by the user, is one that lies in the workspace: no link out of it is followed."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from portico_gateway.config.server_spec import default_specs, find_databases

pytestmark = pytest.mark.attack("11 a database that is found lies in the root")


def _database(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as connection:
        connection.execute("create table t (x)")
    connection.close()
    return path


def _link(root: Path, outside: Path) -> None:
    (root / "found.db").symlink_to(outside)


def _relative_link(root: Path, outside: Path) -> None:
    (root / "found.db").symlink_to(os.path.relpath(outside, root))


def _link_to_a_link(root: Path, outside: Path) -> None:
    (root / "one").symlink_to(outside)
    (root / "found.db").symlink_to(root / "one")


def _folder(root: Path, outside: Path) -> None:
    (root / "found").symlink_to(outside.parent)


def _pipe(root: Path, outside: Path) -> None:
    os.mkfifo(root / "found.db")


def _loop(root: Path, outside: Path) -> None:
    (root / "found.db").symlink_to("found.db")


@pytest.mark.parametrize("make", [_link, _relative_link, _link_to_a_link, _folder, _pipe, _loop])
def test_what_leads_out_of_the_root_is_left_out(tmp_path: Path, make: Callable[[Path, Path], None]) -> None:
    root = tmp_path / "root"
    own = _database(root / "own.db")
    make(root, _database(tmp_path / "outside" / "secret.db"))
    assert list(find_databases(root)) == [own]


def test_a_link_within_the_root_and_a_root_that_is_a_link_itself_are_found(tmp_path: Path) -> None:
    own = _database(tmp_path / "root" / "data" / "own.db")
    (tmp_path / "root" / "again.db").symlink_to(own)
    (tmp_path / "link").symlink_to(tmp_path / "root")
    names = [path.name for path in find_databases(tmp_path / "link")]
    assert sorted(names) == ["again.db", "own.db"]


def test_one_that_the_user_names_counts_wherever_it_leads(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    _link(root, _database(tmp_path / "outside" / "secret.db"))
    *_, db = default_specs(root, db=[root / "found.db"])
    assert db.args[-1] == str(root / "found.db")
