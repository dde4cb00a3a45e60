"""What each question gets, on a small repository in several languages."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Event

import anyio
import pytest

from portico_servers.code import references as references_module
from portico_servers.code import ripgrep
from portico_servers.code.errors import BadFilter, BadPattern, BadRange, GitError, NoSuchSymbol, ToolMissing
from portico_servers.code.filters import Filter
from portico_servers.code.finding import find_symbol, search, search_regex
from portico_servers.code.reading import outline, read
from portico_servers.code.references import references
from portico_servers.code.results import Hits, hits_text
from portico_servers.code.using import changed_since, find_references
from portico_servers.code.workspace import Workspace
from portico_servers.common.cursor import BadCursor
from portico_servers.common.jail import Jail, NotFound

from .conftest import git


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def places(result: Hits) -> list[str]:
    return [f"{hit.path}:{hit.start_line} {hit.kind} {hit.symbol}" for hit in result.hits]


async def written(file: Path) -> str:
    """The text of a file that another process is about to write."""
    while not (file.exists() and file.read_text().endswith("\n")):  # noqa: ASYNC110  # another process has no event of ours
        await anyio.sleep(0.01)
    return file.read_text()


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


@pytest.mark.anyio
async def test_a_pattern_gives_matching_lines_and_what_encloses_them(workspace: Workspace) -> None:
    result = await search_regex(workspace, r"self\.free\.\w+\(", language="python")
    assert places(result) == ["pool.py:16 method BlockPool.allocate", "pool.py:20 method BlockPool.release_block"]
    assert [hit.text for hit in result.hits] == ["        return self.free.popleft()", "        self.free.append(block)"]


@pytest.mark.anyio
async def test_a_pattern_obeys_the_ignore_files_and_the_filters(workspace: Workspace) -> None:
    assert (await search_regex(workspace, "generatedthing|vendoredthing|hiddenthing")).hits == []
    assert {hit.path for hit in (await search_regex(workspace, "pool", path="tests/")).hits} == {"tests/test_pool.py"}


@pytest.mark.anyio
@pytest.mark.parametrize("pattern", ["(", "[a", "a{2,1}", "x\0y", "a" * 5000, "\\p{Nope}"])
async def test_a_broken_pattern_is_said_to_be_one(workspace: Workspace, pattern: str) -> None:
    with pytest.raises(BadPattern, match="is not a regular expression"):
        await search_regex(workspace, pattern)


@pytest.mark.anyio
@pytest.mark.parametrize("pattern", ["--files", "-e", "--pre=touch owned", "$(touch owned)", "; touch owned"])
async def test_a_pattern_is_never_an_option_or_a_command(workspace: Workspace, shared_repository: Path, pattern: str) -> None:
    assert (await search_regex(workspace, pattern)).hits == []
    assert not (shared_repository / "owned").exists()


@pytest.mark.anyio
async def test_too_many_matches_stop_at_the_bound_and_say_so(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ripgrep, "MAX_MATCHES", 5)
    result = await search_regex(workspace, ".")
    assert not result.complete
    assert result.note is not None
    assert "narrow" in result.note


@pytest.mark.anyio
async def test_cancelling_a_pattern_search_ends_its_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for rg that never ends: what is measured is that cancelling kills it."""
    slow = tmp_path / "rg"
    slow.write_text("#!/bin/sh\necho $$ > " + str(tmp_path / "pid") + "\nexec sleep 600\n")
    slow.chmod(0o755)
    monkeypatch.setattr(ripgrep, "ripgrep", lambda: str(slow))
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ripgrep.grep, tmp_path, "x")
            pid = int(await written(tmp_path / "pid"))
            tasks.cancel_scope.cancel()
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.anyio
async def test_a_pattern_search_past_its_time_gives_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "rg"
    slow.write_text("#!/bin/sh\nprintf 'a.py\\0003:found it\\n'\nexec sleep 600\n")
    slow.chmod(0o755)
    monkeypatch.setattr(ripgrep, "ripgrep", lambda: str(slow))
    with anyio.fail_after(10):
        result = await ripgrep.grep(tmp_path, "x", seconds=0.5)
    assert not result.complete
    assert result.matches == [ripgrep.Match("a.py", 3, "found it")]


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


@pytest.mark.anyio
async def test_references_tell_definition_import_call_and_use_and_leave_text_out(workspace: Workspace) -> None:
    result = await find_references(workspace, "release_block")
    assert places(result) == ["pool.py:18 definition BlockPool.release_block", "pool.py:25 call make_pool"]
    found = await find_references(workspace, "make_pool")
    kinds = {(hit.path, hit.kind) for hit in found.hits}
    assert kinds == {("pool.py", "definition"), ("tests/test_pool.py", "import"), ("tests/test_pool.py", "call")}


@pytest.mark.anyio
async def test_references_in_comments_and_strings_are_counted_not_listed(tmp_path: Path) -> None:
    root = tmp_path / "r"
    root.mkdir()
    (root / "a.py").write_text("# target here\nx = 'target'\ny = f'{target}'\ndef target():\n    pass\n")
    (root / "b.js").write_text("// target\nconst s = `${target()}`;\n")
    found = Workspace([root], tmp_path / "index")
    found.start()
    assert found.indexes["r"].ready.wait(30)
    result = await find_references(found, "target")
    assert places(result) == ["a.py:4 definition target", "a.py:3 use y", "b.js:2 call s"]
    assert result.note == "3 uses; 3 more in comments and strings"
    found.close()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("a.py", "@deco\n@other(1)\ndef target(x):\n    return target(x - 1)\n", ["3 definition", "4 call"]),
        (
            "A.java",
            "class A {\n  @Override\n  @Deprecated\n  public\n  int target() { return this.target(); }\n}\n",
            ["5 definition"],
        ),
        (
            "a.c",
            "int target(void);\nint\ntarget(void) {\n  return 1;\n}\nint b = target;\n",
            ["1 definition", "3 definition", "6 use"],
        ),
        ("a.go", "package p\nfunc (s *S) target() {}\nfunc f(s *S) { s.target() }\n", ["2 definition", "3 call"]),
        ("a.rs", "fn target() {}\nfn f() { target(); let x = target; }\n", ["1 definition", "2 call"]),
        ("a.rb", "def target\nend\ntarget\nobj.target(1)\n", ["1 definition", "3 use", "4 call"]),
        (
            "a.ts",
            "import { target } from './x';\nclass A { target() {} }\nnew A().target();\n",
            ["2 definition", "1 import", "3 call"],
        ),
        ("a.php", "<?php\nfunction target() {}\ntarget();\n$o->target();\n", ["2 definition", "3 call", "4 call"]),
        ("a.sh", "target() { echo; }\ntarget\n", ["1 definition", "2 call"]),
    ],
)
async def test_uses_are_told_apart_in_each_language(tmp_path: Path, path: str, source: str, expected: list[str]) -> None:
    root = tmp_path / "r"
    root.mkdir()
    (root / path).write_text(source)
    found = await find_references(Workspace([root], tmp_path / "index"), "target")
    assert [f"{hit.start_line} {hit.kind}" for hit in found.hits] == expected


@pytest.mark.anyio
async def test_a_common_name_is_bounded_and_says_what_was_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "r"
    root.mkdir()
    for number in range(60):
        (root / f"f{number:02}.py").write_text("value = value + value\n" * 20)
    monkeypatch.setattr(references_module, "MAX_HITS", 50)
    found = Workspace([root], tmp_path / "index")
    result = await find_references(found, "value")
    assert not result.complete
    assert result.note is not None
    assert "files unread; narrow with path" in result.note
    assert result.next_cursor is not None


def test_references_stop_when_told_and_when_time_is_up(shared_repository: Path) -> None:
    jail, root = Jail([shared_repository]), str(shared_repository)
    stop = Event()
    stop.set()
    told = references(jail, root, ["pool.py"], "pool", stop=stop)
    assert (told.found, told.complete, told.unread) == ([], False, 1)
    late = references(jail, root, ["pool.py", "pool.py"], "pool", stop=Event(), seconds=-1)
    assert not late.complete


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["", "two words", "a\nb", "x" * 300, "\0"])
async def test_what_is_no_name_is_refused(workspace: Workspace, name: str) -> None:
    with pytest.raises(BadFilter, match="not a name"):
        await find_references(workspace, name)


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
