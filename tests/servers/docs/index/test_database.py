"""The index's file: full disks, damaged files, two processes at once."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from portico_servers.docs.config import DocsConfig
from portico_servers.docs.errors import IndexUnwritable, SourceError
from portico_servers.docs.index.database import IndexDatabase
from portico_servers.docs.index.store import DocsIndex
from portico_servers.docs.ingest.chunks import cut
from portico_servers.docs.ingest.readers import read_page
from portico_servers.docs.service import Service


def test_a_full_disk_is_one_error_and_leaves_the_index_as_it_was(tmp_path: Path) -> None:
    with closing(DocsIndex(tmp_path / "x.sqlite3")) as store:
        library_version = store.add_library_version("a", "1", "dir", "/a")
        page = read_page("p.md", ("# Title\n\n" + "words and more words. " * 2000).encode())
        limit = store._writer.execute("PRAGMA page_count").fetchone()[0]
        store._writer.execute(f"PRAGMA max_page_count = {limit}")
        with pytest.raises(IndexUnwritable, match=r"can't be written: database or disk is full .*x\.sqlite3"):
            store.put_pages(library_version.id, [("p.md", "s", page, cut(page))])
        assert store.stamps(library_version.id) == {}
        store._writer.execute("PRAGMA max_page_count = 100000")
        store.put_pages(library_version.id, [("p.md", "s", page, cut(page))])
        assert set(store.stamps(library_version.id)) == {"p.md"}


def test_what_is_raised_in_a_transaction_undoes_it(tmp_path: Path) -> None:
    with closing(IndexDatabase(tmp_path / "x.sqlite3")) as database:
        row = ("a", "1", "dir", "/a")
        with pytest.raises(sqlite3.IntegrityError), database.write() as db:
            db.executemany("INSERT INTO shelf (library, version, kind, source) VALUES (?, ?, ?, ?)", [row, row])
        with database.read() as db:
            assert db.execute("SELECT count(*) FROM shelf").fetchone() == (0,)


def test_a_place_where_no_index_can_be_kept_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(SourceError, match=r"the index can't be kept in .*file"):
        Service(DocsConfig((), tmp_path / "file"))


def test_new_indexes_are_opened_by_many_at_once(tmp_path: Path) -> None:
    opens = """
import sys
from pathlib import Path
from portico_servers.docs.index.database import IndexDatabase
for number in range(60):
    print("ready", flush=True)
    input()
    IndexDatabase(Path(sys.argv[1]) / str(number)).close()
"""
    command = [sys.executable, "-c", opens, str(tmp_path)]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1)
        for _ in range(4)
    ]
    for _ in range(60):
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", process.communicate()[1]
        for process in running:
            assert process.stdin is not None
            process.stdin.write("\n")
    for process in running:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err


def test_two_processes_fill_one_index_side_by_side(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "portico_servers.docs", "add", "--cache-dir", str(tmp_path / "cache")]
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for number in range(30):
            (tmp_path / name / f"{number}.md").write_text(f"# {name} {number}\n\nPage {number} of {name}.\n")
    running = [subprocess.Popen([*command, str(tmp_path / name)], stderr=subprocess.PIPE, text=True) for name in ("one", "two")]
    for process in running:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    with closing(Service(DocsConfig((), tmp_path / "cache", watch=False))) as service:
        assert sorted((s.library, s.pages, s.complete) for s in service.library.library_versions()) == [
            ("one", 30, True),
            ("two", 30, True),
        ]
        assert service.store.missing_vectors() == 0
        assert {hit.library for hit in service.library.search("page 7").hits[:2]} == {"one", "two"}


def test_the_index_is_its_owners_alone(tmp_path: Path) -> None:
    with closing(IndexDatabase(tmp_path / "cache" / "x.sqlite3")) as database:
        with database.write() as db:
            db.execute("SELECT 1")
        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "cache", *(tmp_path / "cache").iterdir())}
    assert modes.pop("cache") == 0o700
    assert set(modes.values()) == {0o600}, modes
