"""The index lives: it honours ignore files, survives restarts, takes in saves, and gives way to a second process."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from portico_servers.code.index import extractor
from portico_servers.code.index import root_index as index
from portico_servers.code.index.root_index import RootIndex
from portico_servers.code.index.store import IndexStore

WAIT = 10.0


def started(root: Path, cache: Path, changed: Callable[[str, Sequence[str]], None] | None = None) -> RootIndex:
    found = RootIndex(root, root.name, cache, changed=changed)
    found.start()
    assert found.ready.wait(30)
    return found


def found_paths(root: RootIndex, question: str) -> list[str]:
    return list(dict.fromkeys(file.path for file, _ in root.search(question)))


class SeenChanges:
    """Collects what the index tells, and lets a test wait for a path without sleeping."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._new = threading.Condition()

    def __call__(self, _root: str, paths: Sequence[str]) -> None:
        with self._new:
            self._seen.update(paths)
            self._new.notify_all()

    def wait_for(self, path: str) -> None:
        with self._new:
            assert self._new.wait_for(lambda: path in self._seen, WAIT), f"{path} was not taken in; seen {self._seen}"
            self._seen.discard(path)


def test_ignored_hidden_binary_and_minified_files_are_left_out(repository: Path, tmp_path: Path) -> None:
    root = started(repository, tmp_path / "index")
    paths = {file.path: file.skipped for file in root.files()}
    assert "build/generated.py" not in paths
    assert "debug.log" not in paths
    assert "web/vendor.js" not in paths  # a nested .gitignore
    assert ".env" not in paths
    assert paths["keep.log"] is None  # un-ignored again
    assert paths["image.bin"] == "binary"
    assert paths["app.min.js"] == "minified"
    for word in ("generatedthing", "vendoredthing", "hiddenthing", "binarything", "minifiedthing"):
        assert found_paths(root, word) == []
    assert found_paths(root, "keptthing") == ["keep.log"]
    root.close()


def test_a_restart_reads_only_what_changed(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started(repository, tmp_path / "index").close()
    (repository / "pool.py").write_text("def only_this_changed():\n    return 1\n    # end\n")
    (repository / "server" / "main.go").unlink()
    read: list[str] = []
    real = extractor.extract_one
    monkeypatch.setattr(index, "extract_one", lambda jail, job: read.append(job.path) or real(jail, job))
    root = started(repository, tmp_path / "index")
    assert read == ["pool.py"]
    assert found_paths(root, "only_this_changed")[0] == "pool.py"
    assert "server/main.go" not in found_paths(root, "listening on address")
    assert found_paths(root, "expire sessions")[0] == "web/session.ts"
    root.close()


def test_saved_new_and_deleted_files_are_taken_in_within_a_second(repository: Path, tmp_path: Path) -> None:
    changes = SeenChanges()
    root = started(repository, tmp_path / "index", changes)
    (repository / "added.py").write_text("def freshlyadded():\n    return 1\n    # end\n")
    changes.wait_for("added.py")  # watching has begun by now
    assert found_paths(root, "freshlyadded") == ["added.py"]
    began = time.monotonic()
    (repository / "added.py").write_text("def editedagain():\n    return 1\n    # end\n")
    changes.wait_for("added.py")
    took = time.monotonic() - began
    assert found_paths(root, "editedagain") == ["added.py"]
    assert found_paths(root, "freshlyadded") == []
    assert took < 5.0
    (repository / "added.py").unlink()
    changes.wait_for("added.py")
    assert found_paths(root, "editedagain") == []
    (repository / "build" / "more.py").write_text("def ignoredwhennew():\n    return 1\n")
    (repository / "last.py").write_text("def comes_last():\n    return 1\n    # end\n")
    changes.wait_for("last.py")
    assert found_paths(root, "ignoredwhennew") == []
    root.close()


def test_a_second_process_on_the_same_root_works_on_a_copy(repository: Path, tmp_path: Path) -> None:
    first = started(repository, tmp_path / "index")
    second = started(repository, tmp_path / "index")
    assert first.store is not None
    assert second.store is not None
    assert not first.store.file.private
    assert second.store.file.private
    assert found_paths(second, "release_block") == found_paths(first, "release_block") != []
    copy = second.store.file.path
    second.close()
    assert not copy.exists()
    first.close()


@pytest.mark.parametrize("damage", [b"this is no database", b""], ids=["garbage", "empty"])
def test_a_broken_cache_is_built_anew(repository: Path, tmp_path: Path, damage: bytes) -> None:
    root = started(repository, tmp_path / "index")
    assert root.store is not None
    path = root.store.file.path
    root.close()
    path.write_bytes(damage)
    again = started(repository, tmp_path / "index")
    assert found_paths(again, "release_block")[0] == "pool.py"
    again.close()


def test_a_cache_of_another_version_is_built_anew(repository: Path, tmp_path: Path) -> None:
    root = started(repository, tmp_path / "index")
    assert root.store is not None
    path = root.store.file.path
    root.close()
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE symbols")
        db.execute("PRAGMA user_version = 7")
    db.close()
    again = started(repository, tmp_path / "index")
    assert again.failure is None
    assert found_paths(again, "release_block")[0] == "pool.py"
    again.close()


def test_a_cache_that_is_damaged_inside_is_built_anew(repository: Path, tmp_path: Path) -> None:
    root = started(repository, tmp_path / "index")
    assert root.store is not None
    path = root.store.file.path
    root.close()
    with sqlite3.connect(path) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'terms'").fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    db.close()
    with path.open("r+b") as file:  # the file opens, and its first tables are read
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    again = started(repository, tmp_path / "index")
    assert again.failure is None
    assert found_paths(again, "release_block")[0] == "pool.py"
    again.close()


def test_the_copy_of_a_killed_process_is_removed_by_the_next_start(repository: Path, tmp_path: Path) -> None:
    first = started(repository, tmp_path / "index")
    second = started(repository, tmp_path / "index")
    assert first.store is not None
    assert second.store is not None
    live = second.store.file.path.parent
    left = live.with_name(f"{live.name}x")
    left.mkdir()
    (left / "lock").touch()
    third = started(repository, tmp_path / "index")
    assert not left.exists()
    assert live.exists()
    for root in (third, second, first):
        root.close()


def test_names_and_paths_are_there_before_the_vocabulary(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started(repository, tmp_path / "index").close()
    go_on = threading.Event()
    real = IndexStore.load_terms
    monkeypatch.setattr(IndexStore, "load_terms", lambda self: (go_on.wait(WAIT), real(self)))
    root = RootIndex(repository, "cache", tmp_path / "index")
    root.start()
    assert root.opened.wait(WAIT)
    assert root.store is not None
    assert root.store.paths_like("server/", 10) == ["server/main.go"]
    assert root.store.paths_like("SESSION", 10) == ["web/session.ts"]
    assert root.store.names_with_prefix("rel", 10) == ["release_block"]
    assert not root.ready.is_set()
    go_on.set()
    assert root.ready.wait(WAIT)
    root.close()


def test_a_cache_that_cannot_be_written_is_said_and_ends_the_wait(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "index").write_text("a file where the directory should be")
    root = RootIndex(repository, "cache", tmp_path / "index")
    root.start()
    assert root.ready.wait(60)
    assert root.failure is not None
    assert not root.progress.complete
    root.close()


def test_a_file_whose_parsing_kills_the_process_is_skipped_and_the_rest_goes_on(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        (repository / f"many{number}.py").write_text(f"def many_{number}():\n    return {number}\n    # end\n")
    (repository / "many7.py").write_text("KILLER = 1\n")
    real = extractor._Child.ask

    def ask(self: extractor._Child, batch: Sequence[extractor.Job]) -> object:
        if any(job.path == "many7.py" for job in batch):
            self._process.kill()
        return real(self, batch)

    monkeypatch.setattr(extractor._Child, "ask", ask)
    root = started(repository, tmp_path / "index")
    skipped = {file.path: file.skipped for file in root.files()}
    assert skipped["many7.py"] == "unparsable"
    assert all(skipped[f"many{number}.py"] is None for number in range(30) if number != 7)
    assert found_paths(root, "many_8")[0] == "many8.py"
    root.close()


def test_closing_in_the_middle_of_indexing_leaves_no_process_and_a_usable_cache(repository: Path, tmp_path: Path) -> None:
    import psutil

    for number in range(400):
        (repository / f"file{number}.py").write_text(f"def function_{number}():\n    return {number}\n    # end\n")
    root = RootIndex(repository, "cache", tmp_path / "index")
    root.start()
    root.close()
    assert not [child for child in psutil.Process().children(recursive=True) if "extractor" in " ".join(child.cmdline())]
    again = started(repository, tmp_path / "index")
    assert again.progress.complete
    assert found_paths(again, "function_399")[0] == "file399.py"
    again.close()
