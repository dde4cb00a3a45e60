"""What each question gets, on a small repository in several languages."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.servers.code.conftest import git

from portico_servers.code.errors import BadFilter, BadRange, GitError, NoSuchSymbol, ToolMissing
from portico_servers.code.tools.changed_since import changed_since
from portico_servers.code.tools.filters import Filter
from portico_servers.code.tools.read import outline, read
from portico_servers.code.tools.results import Hits, hits_text
from portico_servers.code.tools.search import find_symbol, search
from portico_servers.code.workspace import Workspace
from portico_servers.common.cursors import BadCursor
from portico_servers.common.path_jail import NotFound


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def places(result: Hits) -> list[str]:
    return [f"{hit.path}:{hit.start_line} {hit.kind} {hit.symbol}" for hit in result.hits]


# search


def test_a_question_finds_the_definition_with_its_lines_and_text(workspace: Workspace) -> None:
    result = search(workspace, "how is a block released to the pool")
    best = result.hits[0]
    assert (best.path, best.root, best.symbol, best.kind) == ("pool.py", "cache", "BlockPool.release_block", "method")
    assert (best.start_line, best.end_line, best.language) == (18, 20, "python")
    assert "self.free.append(block)" in best.text
    assert result.complete
    assert result.note is None


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


# files


def test_an_outline_has_definitions_in_order_with_depth_and_imports(workspace: Workspace) -> None:
    result = outline(workspace, "pool.py")
    assert [(item.name, item.kind, item.depth) for item in result.symbols] == [
        ("MAX_BLOCKS", "constant", 0),
        ("BlockPool", "class", 0),
        ("__init__", "method", 1),
        ("allocate", "method", 1),
        ("release_block", "method", 1),
        ("make_pool", "function", 0),
    ]
    assert result.imports == ["import collections", "from pathlib import Path"]


def test_an_outline_of_a_directory_lists_it(workspace: Workspace) -> None:
    result = outline(workspace, ".")
    assert {item.name for item in result.symbols} >= {"pool.py", "server/", "web/", "tests/", "README.md"}
    assert [item.name for item in outline(workspace, "web").symbols] == ["session.ts"]


def test_reading_gives_a_range_a_symbol_or_a_page(workspace: Workspace) -> None:
    assert (
        read(workspace, "pool.py", 18, 19).text
        == "    def release_block(self, block: int) -> None:\n        # give it back to the pool"
    )
    whole = read(workspace, "pool.py")
    assert (whole.start_line, whole.end_line, whole.total_lines, whole.complete) == (1, 26, 26, True)
    method = read(workspace, "pool.py", symbol="release_block")
    assert (method.start_line, method.end_line, method.symbol) == (18, 20, "BlockPool.release_block")
    assert read(workspace, "cache/pool.py", 1, 1).text == '"""Keeps the blocks of a cache."""'


def test_a_long_file_is_read_in_pages(tmp_path: Path) -> None:
    root = tmp_path / "r"
    root.mkdir()
    (root / "long.py").write_text("".join(f"line_{number} = {number}\n" for number in range(1, 451)))
    (root / "wide.txt").write_text(("x" * 5000 + "\n") * 10)
    found = Workspace([root], tmp_path / "index")
    lines: list[str] = []
    start = 1
    while True:
        page = read(found, "long.py", start)
        lines += page.text.split("\n")
        if page.complete:
            break
        assert page.note == f"cut at line {page.end_line}: read on from {page.end_line + 1}"
        start = page.end_line + 1
    assert len(lines) == 450
    assert len(read(found, "wide.txt").text) <= 12_000


@pytest.mark.parametrize(("start", "end"), [(100, 0), (-1, 0), (5, 2)])
def test_a_range_outside_the_file_is_refused_with_what_it_has(workspace: Workspace, start: int, end: int) -> None:
    with pytest.raises(BadRange, match=r"pool\.py has lines 1 to 26"):
        read(workspace, "pool.py", start, end)


def test_an_unknown_symbol_is_refused_with_those_there_are(workspace: Workspace) -> None:
    with pytest.raises(NoSuchSymbol, match="defines no 'nope'; it defines MAX_BLOCKS, BlockPool"):
        read(workspace, "pool.py", symbol="nope")


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "missing.py", "image.bin", "web", "a\0b", "..\\x"])
def test_what_is_outside_missing_or_binary_is_not_found(workspace: Workspace, path: str) -> None:
    with pytest.raises(NotFound) as refusal:
        read(workspace, path)
    assert str(refusal.value) == str(NotFound(path))


def test_an_outline_of_a_binary_file_is_refused_by_the_name_that_was_given(workspace: Workspace) -> None:
    with pytest.raises(NotFound) as refusal:
        outline(workspace, "image.bin")
    assert str(refusal.value) == "not found: image.bin"


# history


@pytest.mark.anyio
async def test_changes_since_a_commit_have_their_kind_lines_symbol_and_diff(git_repository: Path, tmp_path: Path) -> None:
    pool = git_repository / "pool.py"
    pool.write_text(pool.read_text().replace("self.free.append(block)", "self.free.appendleft(block)"))
    (git_repository / "new.py").write_text("x = 1\n")
    (git_repository / "README.md").unlink()
    git(git_repository, "mv", "server/main.go", "server/start.go")
    found = Workspace([git_repository], tmp_path / "index")
    found.start()
    assert found.indexes["cache"].ready.wait(30)
    result = await changed_since(found, "HEAD")
    kinds = {hit.path: hit.kind for hit in result.hits}
    assert kinds == {"pool.py": "modified", "new.py": "untracked", "README.md": "deleted", "server/start.go": "renamed"}
    change = next(hit for hit in result.hits if hit.path == "pool.py")
    assert change.symbol == "BlockPool.release_block"
    assert change.text.startswith("+1 -1\n")
    assert "+        self.free.appendleft(block)" in change.text
    assert [hit.path for hit in (await changed_since(found, "HEAD", path="*.md")).hits] == ["README.md"]
    found.close()


@pytest.mark.anyio
@pytest.mark.parametrize(
    "ref", ["", "nope", "--output=owned", "-p", "HEAD; touch owned", "HEAD\nx", "a" * 500, "HEAD:pool.py", "@{-1}"]
)
async def test_what_is_no_revision_is_refused(git_repository: Path, tmp_path: Path, ref: str) -> None:
    found = Workspace([git_repository], tmp_path / "index")
    with pytest.raises(GitError):
        await changed_since(found, ref)
    assert not (git_repository / "owned").exists()


@pytest.mark.anyio
async def test_a_repository_cannot_have_its_programs_run(git_repository: Path, tmp_path: Path) -> None:
    """Settings that make git run a program: none of them may be, however the repository came to have them."""
    marker = tmp_path / "owned"
    for key in ("core.fsmonitor", "diff.external", "core.pager", "diff.evil.textconv", "diff.evil.command"):
        git(git_repository, "config", key, f"touch {marker}")
    (git_repository / ".gitattributes").write_text("*.py diff=evil\n")
    (git_repository / "pool.py").write_text("changed = 1\n")
    found = Workspace([git_repository], tmp_path / "index")
    assert (await changed_since(found, "HEAD")).hits
    assert not marker.exists()


@pytest.mark.anyio
async def test_outside_a_repository_and_without_git_it_says_so(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Workspace([repository], tmp_path / "index")
    with pytest.raises(GitError, match="cache is not in a git repository"):
        await changed_since(found, "HEAD")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing, match="git was not found"):
        await changed_since(found, "HEAD")


# texts and several roots


def test_the_text_of_an_answer_keeps_to_its_budget(workspace: Workspace) -> None:
    result = search(workspace, "block pool session server listen")
    text = hits_text(result, nothing="not found")
    assert len(text) <= 1_200
    assert text.split("\n")[0] == "{0.path}:{0.start_line} {0.kind} {0.symbol}".format(result.hits[0])
    assert text.endswith("more)")
    assert hits_text(Hits(hits=[], note="no file matches"), nothing="not found: x") == "not found: x (no file matches)"


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


def test_a_header_is_found_as_c_and_as_cpp() -> None:
    assert [Filter.of("", language).accepts("r")("x.h") for language in ("c", "c++", "go")] == [True, True, False]
    assert Filter.of("", "text").accepts("r")("LICENSE")


@pytest.mark.parametrize(
    ("wanted", "path", "accepted"),
    [
        ("", "a/b.py", True),
        (".", "a/b.py", True),
        ("a/", "a/b.py", True),
        ("b.py", "a/b.py", True),
        ("*.py", "a/b.py", True),
        ("a/*.ts", "a/b.py", False),
        ("root/a", "a/b.py", True),
        ("root", "a/b.py", True),
        ("A/B", "a/b.py", True),
        ("c", "a/b.py", False),
    ],
)
def test_a_path_filter_takes_directories_parts_and_globs(wanted: str, path: str, accepted: bool) -> None:
    assert Filter.of(wanted, "").accepts("root")(path) is accepted


def test_answers_before_the_index_is_there_are_marked_and_quick(repository: Path, tmp_path: Path) -> None:
    found = Workspace([repository], tmp_path / "index")
    began = time.monotonic()
    result = search(found, "block")
    assert time.monotonic() - began < 0.5
    assert (result.hits, result.complete) == ([], False)
    assert result.note == "still indexing; ask again for more"
