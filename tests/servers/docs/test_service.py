from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from portico_servers.docs import service as service_module
from portico_servers.docs.config import DocsConfig
from portico_servers.docs.errors import SourceError
from portico_servers.docs.service import Service


@pytest.fixture
def nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder that can't be, and no temporary one."""
    file = tmp_path / "file"
    file.write_text("")

    def refuse(*_: object, **__: object) -> str:
        raise OSError("read-only file system")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    monkeypatch.setattr(service_module, "default_cache_dir", lambda: file / "docs")
    return file / "docs"


@pytest.mark.usefixtures("nothing_can_be_written")
def test_where_no_file_can_be_written_documents_are_found_all_the_same(docs: Path) -> None:
    with closing(Service(DocsConfig((docs,), watch=False))) as service:
        service.indexer.update(service.library.library_versions())
        hits = service.library.search("In what do I wrap fragile glass?").hits
        assert any("Wrap glass in paper first" in hit.text for hit in hits)
        assert service.library.read("guide.md#fragile-goods").text.startswith("## Fragile goods")


@pytest.mark.usefixtures("nothing_can_be_written")
def test_two_indexes_in_memory_know_nothing_of_each_other(docs: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.md").write_text("# Kites\n\nKites need wind.\n")
    with closing(Service(DocsConfig((docs,), watch=False))) as one, closing(Service(DocsConfig((other,), watch=False))) as two:
        for service in (one, two):
            service.indexer.update(service.library.library_versions())
        assert [hit.path for hit in two.library.search("Fragile glass").hits if hit.path != "a.md"] == []
        assert [v.pages for v in two.library.library_versions()] == [1]


def test_a_cache_folder_that_was_asked_for_and_cannot_be_is_an_error(docs: Path, nothing_can_be_written: Path) -> None:
    with pytest.raises(SourceError, match="can't be kept"):
        Service(DocsConfig((docs,), nothing_can_be_written, watch=False))


@pytest.mark.usefixtures("nothing_can_be_written")
def test_what_was_added_is_never_looked_for_in_memory() -> None:
    with pytest.raises(SourceError, match="can't be kept"):
        Service(DocsConfig(watch=False))
