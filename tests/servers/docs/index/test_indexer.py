"""The index follows its sources: across restarts, on change, with broken pages among good ones."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import pytest

from portico_servers.docs.config import DocsConfig
from portico_servers.docs.index.indexer import IndexListener
from portico_servers.docs.ingest import reader_pool as prepare
from portico_servers.docs.ingest.sources import scan_directory
from portico_servers.docs.service import Service


def _indexed(root: Path, cache: Path) -> Service:
    service = Service(DocsConfig((root,), cache, watch=False))
    service.indexer.update(service.library.library_versions())
    return service


def test_a_second_start_reads_only_what_changed(docs: Path, tmp_path: Path) -> None:
    with closing(_indexed(docs, tmp_path / "cache")):
        pass
    (docs / "guide.md").write_text("# New words\n\nabout zeppelins\n")
    (docs / "reference.rst").unlink()
    (docs / "extra.md").write_text("# Extra\n\nsubmarines\n")
    with closing(Service(DocsConfig((docs,), tmp_path / "cache", watch=False))) as service:
        library_version = service.library.library_versions()[0]
        assert sorted(service.indexer._update_library_version(library_version)) == ["extra.md", "guide.md", "reference.rst"]
        assert service.library.search("zeppelins").hits
        assert not [h for h in service.library.search("tape seal").hits if h.path == "reference.rst"]
        assert service.indexer._update_library_version(library_version) == []


def test_an_index_of_another_version_is_made_anew(docs: Path, tmp_path: Path) -> None:
    with closing(_indexed(docs, tmp_path / "cache")) as service:
        service.store._writer.execute("PRAGMA user_version = 999")
    with closing(_indexed(docs, tmp_path / "cache")) as service:
        assert service.library.search("glass").hits


def test_a_file_that_is_no_index_any_more_is_replaced(docs: Path, tmp_path: Path) -> None:
    with closing(_indexed(docs, tmp_path / "cache")) as service:
        path = service.store.path
    for extra in ("-wal", "-shm"):
        path.with_name(path.name + extra).unlink(missing_ok=True)
    path.write_bytes(b"no database at all" * 1000)
    with closing(_indexed(docs, tmp_path / "cache")) as service:
        assert service.library.search("glass").hits


def test_broken_pages_are_named_and_the_others_are_indexed(docs: Path, tmp_path: Path) -> None:
    (docs / "broken.pdf").write_bytes(b"%PDF-1.4 no more")
    (docs / "binary.md").write_bytes(b"\0\1\2\3")
    (docs / "broken.ipynb").write_text("{")
    with closing(_indexed(docs, tmp_path / "cache")) as service:
        failed = service.indexer.progress.failed
        assert {name.rpartition("/")[2] for name in failed} == {"broken.pdf", "binary.md", "broken.ipynb"}
        assert service.library.search("glass").hits
        assert service.indexer.progress.phase == "ready"


def test_a_saved_file_is_searchable_soon_and_listeners_hear_of_it(docs: Path, tmp_path: Path) -> None:
    heard = threading.Event()
    with closing(Service(DocsConfig((docs,), tmp_path / "cache"))) as service:
        listener = IndexListener(lambda library_version, paths: heard.set() if "late.md" in paths else None, lambda: None)
        service.start(listener)
        assert service.indexer.progress.wait(30)
        for attempt in range(40):  # the watcher needs a moment to take up its work
            (docs / "late.md").write_text(f"# Late\n\nThe platypus arrived {attempt}.\n")
            if heard.wait(1):
                break
        assert heard.is_set()
        assert service.library.search("platypus").hits[0].path == "late.md"
        service.stop(listener)


def test_stop_ends_the_thread_and_start_works_again(docs: Path, tmp_path: Path) -> None:
    with closing(Service(DocsConfig((docs,), tmp_path / "cache"))) as service:
        for _ in range(2):
            service.start()
            assert service.indexer.progress.wait(30)
            service.stop()
            assert service.indexer._thread is not None
            assert not service.indexer._thread.is_alive()


def test_ignored_hidden_vendored_and_linked_files_are_left_out(tmp_path: Path) -> None:
    root = tmp_path / "root"
    outside = tmp_path / "outside.md"
    outside.write_text("# Secret\n")
    for path in (
        "a.md",
        "drafts/b.md",
        "drafts/keep.md",
        ".hidden/c.md",
        "node_modules/d.md",
        "venv/e.md",
        "sub/f.md",
        "sub/g.log.md",
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("# T\n")
    (root / "venv" / "pyvenv.cfg").write_text("")
    (root / ".gitignore").write_text("drafts/*\n!drafts/keep.md\n")
    (root / "sub" / ".gitignore").write_text("*.log.md\n")
    (root / "link.md").symlink_to(outside)
    (root / "linked").symlink_to(tmp_path, target_is_directory=True)
    assert [found.path for found in scan_directory(root)] == ["a.md", "drafts/keep.md", "sub/f.md"]


def test_a_page_over_the_bound_is_named_and_never_read(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.md").write_text("# A\n")
    with (root / "huge.txt").open("wb") as file:
        file.truncate(65_000_000)  # a hole: no disk is used
    with closing(_indexed(root, tmp_path / "cache")) as service:
        assert [row[0] for row in service.store.page_list(1)] == ["a.md"]
        assert service.indexer.progress.failed == {
            "root@local/huge.txt": "huge.txt: 65,000,000 bytes; at most 64,000,000 are read of a page"
        }


def test_many_pages_are_read_in_worker_processes(tmp_path: Path) -> None:
    root = tmp_path / "many"
    root.mkdir()
    for number in range(70):
        (root / f"p{number:02}.md").write_text(f"# Page {number}\n\nnumber {number}\n")
    found = list(scan_directory(root))
    prepared = [item for batch in prepare.read_pages(root, found, threading.Event()) for item in batch]
    assert sorted(item.path for item in prepared) == [f.path for f in found]
    assert all(item.page is not None for item in prepared)

    stop = threading.Event()
    stop.set()
    assert list(prepare.read_pages(root, found, stop)) == []


def test_a_page_that_kills_its_reader_does_not_take_the_others_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.servers.docs import crashing

    for name in ("a.md", "b.md", "crash.md", "d.md"):
        (tmp_path / name).write_text("# Page\n")
    monkeypatch.setattr(prepare, "prepare", crashing.prepare)
    monkeypatch.setattr(prepare, "_FEW_PAGES", 0)
    monkeypatch.setattr(prepare, "_BATCH_PAGES", 2)
    found = list(scan_directory(tmp_path))
    results = {item.path: item for batch in prepare.read_pages(tmp_path, found, threading.Event()) for item in batch}
    assert {path for path, item in results.items() if item.page is not None} == {"a.md", "b.md", "d.md"}
    assert "crashed" in results["crash.md"].error
