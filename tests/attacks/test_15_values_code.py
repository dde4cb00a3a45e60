"""What portico-code's answers leave out is said, with the way to it."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from portico_servers.code import workspace as workspace_module
from portico_servers.code.tools.find_references import find_references
from portico_servers.code.tools.read import outline
from portico_servers.code.tools.results import Hits, hits_text, outline_text
from portico_servers.code.tools.search import find_symbol, search, search_regex
from portico_servers.code.workspace import Workspace

pytestmark = [pytest.mark.anyio, pytest.mark.attack("15 values as they are")]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@contextmanager
def served(root: Path, cache: Path) -> Iterator[Workspace]:
    found = Workspace([root], cache)
    found.start()
    for index in found.indexes.values():
        assert index.ready.wait(30)
    yield found
    found.close()


def write(root: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def track(root: Path) -> None:
    for command in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *command], cwd=root, check=True, capture_output=True)


CORE = {"core.py": "class W:\n    def spin(self): pass\n\ndef c():\n    return W().spin()\n"}
MINIFIED = "function m(){return q(1)};" * 60_000


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"app.min.js": MINIFIED}, "app.min.js, over 1 MB, was not looked into"),
        ({f"{n}.min.js": MINIFIED for n in "ab"}, "a.min.js, b.min.js, over 1 MB, were not looked into"),
        (
            {f"{n}.min.js": MINIFIED for n in "abcde"},
            "a.min.js, b.min.js, c.min.js and 2 more, over 1 MB, were not looked into",
        ),
    ],
)
async def test_a_file_too_large_to_read_is_named_and_stops_no_search_for_uses(
    tmp_path: Path, files: dict[str, str], said: str
) -> None:
    with served(write(tmp_path / "p", CORE | files), tmp_path / "cache") as workspace:
        found = await find_references(workspace, "spin")
        assert [(hit.start_line, hit.kind) for hit in found.hits] == [(2, "definition"), (5, "call")]
        assert found.note == f"2 uses; {said}"
        assert not found.complete
        assert found.next_cursor is None
        missing = await find_references(workspace, "nope")
        assert hits_text(missing, nothing="not found") == f"not found ({said})"


HIDDEN = {".github/workflows/ci.yml": "name: HiddenNeedle\n", "part/.storybook/main.js": "x = 'HiddenNeedle'\n"}


async def test_hidden_folders_that_git_tracks_are_searched(tmp_path: Path) -> None:
    root = write(tmp_path / "p", HIDDEN | CORE | {".venv/lib.py": "HiddenNeedle = 1\n", ".env": "HiddenNeedle=1\n"})
    write(root, {".gitignore": ".venv\n", ".github/.secret/key": "HiddenNeedle\n"})
    (root / ".github/.secret/.gitignore").write_text("*\n")
    track(root)
    outside = write(tmp_path / "outside", {"x.yml": "HiddenNeedle\n"})
    (root / ".linked").symlink_to(outside)
    track(root)
    with served(root, tmp_path / "cache") as workspace:
        found = await search_regex(workspace, "HiddenNeedle")
        assert {hit.path for hit in found.hits} == set(HIDDEN)
        assert {hit.path for hit in search(workspace, "HiddenNeedle").hits} == set(HIDDEN)
        assert {hit.path for hit in (await find_references(workspace, "HiddenNeedle", path=".github")).hits} <= set(HIDDEN)
        assert [hit.path for hit in (await search_regex(workspace, "HiddenNeedle", path="part")).hits] == [
            "part/.storybook/main.js"
        ]
        nothing = await search_regex(workspace, "nowhere_at_all")
        assert nothing.note == "hidden folders that git does not track are not searched: .venv"


async def test_a_hidden_folder_is_searched_as_soon_as_git_tracks_it(tmp_path: Path) -> None:
    root = write(tmp_path / "p", CORE)
    track(root)
    with served(root, tmp_path / "cache") as workspace:
        write(root, HIDDEN)
        assert (await search_regex(workspace, "HiddenNeedle")).hits == []
        track(root)
        assert len((await search_regex(workspace, "HiddenNeedle")).hits) == 2


async def test_hidden_folders_that_are_not_searched_are_named(tmp_path: Path) -> None:
    with served(write(tmp_path / "p", HIDDEN | CORE), tmp_path / "cache") as workspace:
        for found in (await search_regex(workspace, "HiddenNeedle"), await find_references(workspace, "HiddenNeedle")):
            assert found.note == "hidden folders that git does not track are not searched: .github"


MANY = {f"m{n}.py": f"def handle_request(a{n}):\n    return handle_request(a{n})\n" for n in range(30)}


def _places(found: Hits) -> list[tuple[str, int]]:
    return [(hit.path, hit.start_line) for hit in found.hits]


@pytest.mark.parametrize("tool", ["search", "regex", "symbol", "references"])
async def test_who_reads_the_text_alone_sees_every_hit_by_its_cursors(tmp_path: Path, tool: str) -> None:
    with served(write(tmp_path / "p", MANY), tmp_path / "cache") as workspace:

        async def ask(cursor: str) -> Hits:
            if tool == "search":
                return search(workspace, "handle request", cursor=cursor)
            if tool == "regex":
                return await search_regex(workspace, "handle_request", cursor=cursor)
            if tool == "symbol":
                return find_symbol(workspace, "handle_request", cursor=cursor)
            return await find_references(workspace, "handle_request", cursor=cursor)

        wanted: list[tuple[str, int]] = []
        cursor = ""
        while True:
            found = await ask(cursor)
            wanted += _places(found)
            cursor = found.next_cursor or ""
            if not cursor:
                break
        seen: list[tuple[str, int]] = []
        for _ in range(100):
            text = hits_text(await ask(cursor), nothing="not found")
            seen += [(path, int(line)) for path, line in re.findall(r"^(\S+):(\d+)\b", text, re.MULTILINE)]
            cursor = next(iter(re.findall(r"cursor (\S+)\)", text)), "")
            if not cursor:
                break
        assert sorted(seen) == sorted(wanted)  # meaning joins the ranking while this runs: the order may change in between
        assert len({path for path, _ in seen}) == 30


async def test_an_outline_of_any_length_is_read_to_its_end_by_its_text(tmp_path: Path) -> None:
    root = write(tmp_path / "p", {"long.py": "".join(f"def function_{n}():\n    pass\n" for n in range(450))})
    with served(root, tmp_path / "cache") as workspace:
        seen: list[int] = []
        cursor = ""
        for _ in range(100):
            page = outline(workspace, "long.py", cursor)
            text = outline_text(page)
            assert len(text) <= 1_200
            seen += [int(number) for number in re.findall(r"function_(\d+)", text)]
            cursor = next(iter(re.findall(r"cursor (\S+)\)", text)), "")
            if not cursor:
                break
        assert seen == list(range(450))
        first = outline(workspace, "long.py")
        assert (len(first.symbols), first.complete, first.note) == (200, False, "1 to 200 of 450")
        assert outline(workspace, "long.py", first.next_cursor).symbols[0].name == "function_200"


async def test_a_line_or_snippet_that_is_cut_ends_with_a_mark(tmp_path: Path) -> None:
    root = write(tmp_path / "p", {"wide.py": f"needle = '{'x' * 300}'\n"})
    with served(root, tmp_path / "cache") as workspace:
        assert hits_text(await search_regex(workspace, "needle"), nothing="").splitlines()[1].endswith("x…")


async def test_the_first_calls_of_a_fresh_index_wait_for_it_in_all_for_so_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert workspace_module.FIRST_SECONDS == 3.0
    monkeypatch.setattr(workspace_module, "FIRST_SECONDS", 0.3)
    never = Workspace([write(tmp_path / "p", CORE)], tmp_path / "cache")
    began = time.monotonic()
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(never.wait_indexed)
    await never.wait_indexed()
    assert 0.25 < time.monotonic() - began < 20
    assert never.progress_note() == "still indexing; ask again for more"
    never.start()
    assert next(iter(never.indexes.values())).ready.wait(30)
    assert never.progress_note() is None
    never.close()
