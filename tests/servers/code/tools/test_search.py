"""Words, patterns and names: what each gets, on a small repository in several languages."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.servers.code.conftest import places

from portico_servers.code.errors import BadFilter
from portico_servers.code.tools import search as searching
from portico_servers.code.tools.read import read
from portico_servers.code.tools.search import find_symbol, search
from portico_servers.code.workspace import Workspace
from portico_servers.common.cursors import BadCursor

# search


def test_a_question_finds_the_definition_with_its_lines_and_text(workspace: Workspace) -> None:
    result = search(workspace, "how is a block released to the pool")
    best = result.hits[0]
    assert (best.path, best.root, best.symbol, best.kind) == ("pool.py", "cache", "BlockPool.release_block", "method")
    assert (best.start_line, best.end_line, best.language) == (18, 20, "python")
    assert "self.free.append(block)" in best.text
    assert result.complete
    assert result.note is None


def test_a_search_says_how_many_pieces_hold_each_word_of_its_query(workspace: Workspace) -> None:
    words = search(workspace, "Where is a Block teleported?").words
    assert words["block"] > 0
    assert words["teleported"] == 0
    assert "where" not in words


def test_a_question_leads_to_whole_places_under_their_files(workspace: Workspace) -> None:
    best, *others = searching.places(workspace, "how is a block released to the pool")["places"]
    assert best["name"] == "pool.py BlockPool.release_block"
    assert best["text"].startswith("    def release_block")
    assert best["text"].endswith("self.free.append(block)")
    assert 0 < len(others) < 8
    assert searching.places(workspace, "zygote quincunx") == {"places": []}


def test_while_the_index_is_built_a_question_leads_nowhere_yet(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Workspace, "complete", False)
    assert searching.places(workspace, "how is a block released to the pool") == {}


def test_filters_narrow_by_path_and_language(workspace: Workspace) -> None:
    assert {hit.path for hit in search(workspace, "block pool", path="tests").hits} == {"tests/test_pool.py"}
    assert {hit.path for hit in search(workspace, "pool session", path="*.ts").hits} == {"web/session.ts"}
    assert {hit.language for hit in search(workspace, "session server pool", language="Go").hits} == {"go"}
    nothing = search(workspace, "block", path="no/such/dir")
    assert nothing.hits == []
    assert nothing.note == "no file matches path 'no/such/dir'"
    with pytest.raises(BadFilter, match="klingon"):
        search(workspace, "block", language="klingon")


def test_what_is_too_long_is_refused_at_once(workspace: Workspace) -> None:
    assert search(workspace, "pool " * 100_000).hits
    with pytest.raises(BadFilter, match="a path filter has at most 1000 characters; got 5,000"):
        search(workspace, "pool", path="x" * 5_000)
    with pytest.raises(BadFilter, match="not a name"):
        find_symbol(workspace, "x" * 1_000_000)


def test_pages_continue_without_gap_or_repetition(tmp_path: Path) -> None:
    root = tmp_path / "many"
    root.mkdir()
    for number in range(25):
        (root / f"m{number}.py").write_text(f"def shared_name_{number}():\n    return shared\n    # end\n")
    found = Workspace([root], tmp_path / "index")
    found.start()
    assert found.indexes["many"].ready.wait(30)
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(5):
        page = search(found, "shared", cursor=cursor)
        seen += [hit.path for hit in page.hits]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert sorted(seen) == sorted(f"m{number}.py" for number in range(25))
    with pytest.raises(BadCursor):
        search(found, "other", cursor="10.00000000")
    found.close()


# symbols


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("release_block", ["pool.py:18 method BlockPool.release_block"]),
        ("BlockPool.allocate", ["pool.py:15 method BlockPool.allocate"]),
        ("blockpool", ["pool.py:9 class BlockPool"]),
        ("`make_pool()`", ["pool.py:23 function make_pool"]),
        ("Server::Listen", ["server/main.go:9 method Server.Listen"]),
        ("expireSessions", ["web/session.ts:8 method SessionStore.expireSessions"]),
        ("MAX_BLOCKS", ["pool.py:6 constant MAX_BLOCKS"]),
    ],
)
def test_a_name_gives_its_definition_however_it_is_spelled(workspace: Workspace, name: str, expected: list[str]) -> None:
    assert places(find_symbol(workspace, name)) == expected


def test_a_part_of_a_name_gives_what_contains_it_and_says_so(workspace: Workspace) -> None:
    result = find_symbol(workspace, "eSessions")
    assert places(result) == ["web/session.ts:8 method SessionStore.expireSessions"]
    assert result.note == "no definition is called 'eSessions'; these contain it"
    assert find_symbol(workspace, "no_such_name_at_all").hits == []
    assert find_symbol(workspace, "").hits == []
    assert find_symbol(workspace, "%").hits == []


def test_a_kind_narrows_and_a_wrong_one_is_named(workspace: Workspace) -> None:
    assert find_symbol(workspace, "Server", kind="class").hits == []
    assert places(find_symbol(workspace, "Server", kind="struct")) == ["server/main.go:5 struct Server"]
    with pytest.raises(BadFilter, match="gizmo"):
        find_symbol(workspace, "Server", kind="gizmo")


# several roots, and an index that is not there yet


def test_several_roots_are_searched_together_and_told_apart(tmp_path: Path) -> None:
    for parent in ("one", "two"):
        (tmp_path / parent / "app").mkdir(parents=True)
        (tmp_path / parent / "app" / "main.py").write_text(f"def start_{parent}():\n    return launch\n    # end\n")
    found = Workspace([tmp_path / "one" / "app", tmp_path / "two" / "app"], tmp_path / "index")
    found.start()
    assert all(index.ready.wait(30) for index in found.indexes.values())
    assert {(hit.root, hit.symbol) for hit in search(found, "launch").hits} == {("app", "start_one"), ("app-2", "start_two")}
    assert [hit.root for hit in search(found, "launch", path="app-2").hits] == ["app-2"]
    assert read(found, "app-2/main.py").text.startswith("def start_two")
    assert places(find_symbol(found, "start_two")) == ["main.py:1 function start_two"]
    found.close()


def test_answers_before_the_index_is_there_are_marked_and_quick(repository: Path, tmp_path: Path) -> None:
    found = Workspace([repository], tmp_path / "index")
    began = time.monotonic()
    result = search(found, "block")
    assert time.monotonic() - began < 2.5
    assert (result.hits, result.complete) == ([], False)
    assert result.note == "still indexing; ask again for more"
