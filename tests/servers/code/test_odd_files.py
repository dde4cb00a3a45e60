"""Files and trees that are not as one expects: encodings, line ends, sizes, links, ignore rules, and a root that goes away."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from portico_servers.code.errors import BadFilter, GitError
from portico_servers.code.tools.changed_since import changed_since
from portico_servers.code.tools.find_references import find_references
from portico_servers.code.tools.read import outline, read
from portico_servers.code.tools.search import find_symbol, search, search_regex
from portico_servers.code.workspace import Workspace
from portico_servers.common.path_jail import NotFound

SOURCE = "def odd_name(a):\n    return a\n    # end\n"


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[], Workspace]]:
    """Indexes `tmp_path / "root"` as it is then."""
    found: list[Workspace] = []

    def start() -> Workspace:
        found.append(Workspace([tmp_path / "root"], tmp_path / "index"))
        found[-1].start()
        assert all(index.ready.wait(30) for index in found[-1].indexes.values())
        return found[-1]

    (tmp_path / "root").mkdir()
    yield start
    for workspace in found:
        workspace.close()


@pytest.mark.anyio
@pytest.mark.parametrize(
    "data",
    [
        SOURCE.encode(),
        SOURCE.replace("\n", "\r\n").encode(),
        SOURCE.encode("utf-8-sig"),
        SOURCE.encode("utf-16"),
        b"\xfe\xff" + SOURCE.encode("utf-16-be"),
        SOURCE.rstrip("\n").encode(),
        SOURCE.encode() + b"# caf\xe9 in latin-1\n",
    ],
    ids=["utf-8", "crlf", "marked", "utf-16-le", "utf-16-be", "no last newline", "bad bytes"],
)
async def test_text_is_the_same_text_in_every_encoding(tmp_path: Path, opened: Callable[[], Workspace], data: bytes) -> None:
    (tmp_path / "root" / "odd.py").write_bytes(data)
    workspace = opened()
    best = search(workspace, "odd name").hits[0]
    assert (best.start_line, best.symbol, best.kind) == (1, "odd_name", "function")
    assert best.text.startswith("def odd_name(a):\n    return a\n    # end")
    assert [(h.start_line, h.text) for h in (await search_regex(workspace, r"return a$")).hits] == [(2, "    return a")]
    assert [h.start_line for h in (await search_regex(workspace, "^def odd")).hits] == [1]
    assert [h.kind for h in (await find_references(workspace, "odd_name")).hits] == ["definition"]
    assert read(workspace, "odd.py", 1, 2).text == "def odd_name(a):\n    return a"
    assert [item.name for item in outline(workspace, "odd.py").symbols] == ["odd_name"]


@pytest.mark.anyio
async def test_an_empty_file_is_listed_read_and_outlined(tmp_path: Path, opened: Callable[[], Workspace]) -> None:
    (tmp_path / "root" / "empty.py").write_bytes(b"")
    workspace = opened()
    passage = read(workspace, "empty.py")
    assert (passage.text, passage.total_lines, passage.complete) == ("", 0, True)
    assert outline(workspace, "empty.py").symbols == []
    assert [item.name for item in outline(workspace, ".").symbols] == ["empty.py"]
    assert (await search_regex(workspace, ".*")).hits == []


@pytest.mark.anyio
async def test_a_very_long_line_is_cut_and_said_to_be(tmp_path: Path, opened: Callable[[], Workspace]) -> None:
    (tmp_path / "root" / "long.js").write_text("var odd = 1; " * 40_000)
    workspace = opened()
    passage = read(workspace, "long.js")
    assert (len(passage.text), passage.complete) == (12_000, False)
    assert passage.note == "line 1 has 508,000 characters more"
    (found,) = (await search_regex(workspace, "odd = 1")).hits
    assert len(found.text) < 500
    (use,) = (await find_references(workspace, "odd")).hits
    assert len(use.text) <= 240


def test_a_file_beyond_the_bound_is_read_to_the_bound_and_says_so(tmp_path: Path, opened: Callable[[], Workspace]) -> None:
    (tmp_path / "root" / "large.py").write_text(SOURCE * 30_000)
    workspace = opened()
    assert read(workspace, "large.py", 1, 3).complete
    last = read(workspace, "large.py", 74_900)
    assert last.note is not None
    assert last.note.startswith("the file is larger than 1,000,000 bytes: what comes after line 7")


@pytest.mark.anyio
async def test_links_in_a_circle_end_nothing(tmp_path: Path, opened: Callable[[], Workspace]) -> None:
    root = tmp_path / "root"
    (root / "src").mkdir()
    (root / "src" / "a.py").write_text(SOURCE)
    (root / "src" / "up").symlink_to(root)
    (root / "self").symlink_to("self")
    workspace = opened()
    assert [hit.path for hit in search(workspace, "odd name").hits] == ["src/a.py"]
    assert [hit.path for hit in (await search_regex(workspace, "odd_name")).hits] == ["src/a.py"]
    assert read(workspace, "src/up/src/a.py", 1, 1).path == "src/a.py"
    for path in ("self", "self/a.py"):
        with pytest.raises(NotFound):
            read(workspace, path)


@pytest.mark.anyio
async def test_a_nested_ignore_file_takes_back_what_an_outer_one_ignores(
    tmp_path: Path, opened: Callable[[], Workspace]
) -> None:
    root = tmp_path / "root"
    for folder in ("gen", "gen/keep", "other"):
        (root / folder).mkdir()
        (root / folder / "x.gen.py").write_text(SOURCE)
    (root / ".gitignore").write_text("*.gen.py\n")
    (root / "gen" / ".gitignore").write_text("!x.gen.py\n")
    (root / "gen" / "keep" / ".ignore").write_text("*.gen.py\n")
    workspace = opened()
    expected = ["gen/x.gen.py"]
    assert [file.path for index in workspace.indexes.values() for file in index.files()] == expected
    assert [hit.path for hit in (await search_regex(workspace, "odd_name")).hits] == expected
    assert [hit.path for hit in (await find_references(workspace, "odd_name")).hits] == expected


def test_a_directory_of_thousands_of_files_is_one_like_any_other(tmp_path: Path, opened: Callable[[], Workspace]) -> None:
    root = tmp_path / "root"
    (root / "many").mkdir()
    for number in range(3_000):
        (root / "many" / f"f{number}.txt").write_text(f"word{number}\n")
    workspace = opened()
    assert search(workspace, "word2999").hits[0].path == "many/f2999.txt"
    listing = outline(workspace, "many")
    assert (len(listing.symbols), listing.complete) == (200, False)


class Told:
    """Lets a test wait for what an index does on its thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()

    def __call__(self, _root: str, _paths: object) -> None:
        with self._changed:
            self._changed.notify_all()

    def until(self, true: Callable[[], bool]) -> None:
        with self._changed:
            for _ in range(300):
                if true():
                    return
                self._changed.wait(0.1)
        raise AssertionError("it didn't happen within 30 s")


@pytest.mark.anyio
async def test_a_root_that_goes_away_is_said_to_be_gone_and_taken_up_again_when_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from portico_servers.code.index import root_index as index_module

    monkeypatch.setattr(index_module, "_POLL_SECONDS", 0.1)
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.py").write_text(SOURCE)
    told = Told()
    workspace = Workspace([root], tmp_path / "index", changed=told)
    workspace.start()
    try:
        (index,) = workspace.indexes.values()
        assert index.ready.wait(30)
        os.replace(root, tmp_path / "moved")
        told.until(lambda: index.failure is not None)
        gone = "the directory of root is gone; its index goes on when it's back"
        for result in (
            search(workspace, "odd name"),
            await search_regex(workspace, "odd_name"),
            find_symbol(workspace, "odd_name"),
            await find_references(workspace, "odd_name"),
        ):
            assert (result.hits, result.complete, result.note) == ([], False, gone)
        with pytest.raises(NotFound):
            read(workspace, "a.py")
        with pytest.raises(GitError, match="the directory of root is gone"):
            await changed_since(workspace, "HEAD")
        shutil.copytree(tmp_path / "moved", root)  # another directory under the same name
        (root / "b.py").write_text(SOURCE.replace("odd_name", "even_name"))
        told.until(lambda: index.failure is None and bool(find_symbol(workspace, "even_name").hits))
        told.until(lambda: [hit.path for hit in search(workspace, "odd name").hits][:1] == ["a.py"])
        (root / "b.py").write_text(SOURCE.replace("odd_name", "third_name"))
        told.until(lambda: [hit.symbol for hit in search(workspace, "third name").hits][:1] == ["third_name"])
    finally:
        workspace.close()


def test_a_file_that_becomes_a_directory_is_forgotten_and_its_files_are_found(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "thing.py").write_text(SOURCE)
    told = Told()
    workspace = Workspace([root], tmp_path / "index", changed=told)
    workspace.start()
    try:
        assert workspace.indexes["root"].ready.wait(30)
        (root / "thing.py").unlink()
        (root / "thing.py").mkdir()
        (root / "thing.py" / "inner.py").write_text(SOURCE)
        told.until(lambda: [hit.path for hit in search(workspace, "odd name").hits] == ["thing.py/inner.py"])
        assert [file.path for file in workspace.indexes["root"].files()] == ["thing.py/inner.py"]
    finally:
        workspace.close()


def test_an_empty_question_is_refused_with_what_would_be_right(tmp_path: Path, opened: Callable[[], Workspace]) -> None:
    with pytest.raises(BadFilter, match="an empty query finds nothing: give words"):
        search(opened(), "  ")
