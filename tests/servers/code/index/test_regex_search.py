"""Searching by pattern: what ripgrep finds, filters, bounds, and hostile patterns."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from tests.servers.code.conftest import places

from portico_servers.code.errors import BadPattern
from portico_servers.code.external import ripgrep
from portico_servers.code.index import regex_search
from portico_servers.code.index.regex_search import matching_lines
from portico_servers.code.index.root_index import RootIndex
from portico_servers.code.tools.search import search_regex
from portico_servers.code.workspace import Workspace


def everything(_path: str) -> bool:
    return True


async def written(file: Path) -> str:
    """The text of a file that another process is about to write."""
    while not (file.exists() and file.read_text().endswith("\n")):  # noqa: ASYNC110  # another process has no event of ours
        await anyio.sleep(0.01)
    return file.read_text()


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
    monkeypatch.setattr(regex_search, "MAX_MATCHES", 5)
    result = await search_regex(workspace, ".")
    assert not result.complete
    assert result.note is not None
    assert "narrow" in result.note


@pytest.mark.anyio
async def test_many_matches_of_one_file_are_cut_and_marked(tmp_path: Path) -> None:
    root = tmp_path / "r"
    root.mkdir()
    (root / "a.py").write_text("x = 1\n" * 51)
    (root / "b.py").write_text("x = 1\n" * 50)
    found = RootIndex(root, "r", tmp_path / "index")
    result = await matching_lines(found, "x =", everything)
    assert not result.complete
    assert len(result.found) == 100
    result = await matching_lines(found, "x =", lambda path: path == "b.py")
    assert result.complete
    assert len(result.found) == 50


def pretend(monkeypatch: pytest.MonkeyPatch, script: Path, body: str) -> None:
    """A stand-in for rg."""
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)
    monkeypatch.setattr(ripgrep, "ripgrep_program", lambda: str(script))


@pytest.mark.anyio
async def test_cancelling_a_pattern_search_ends_its_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured is that cancelling kills a program that never ends."""
    pretend(monkeypatch, tmp_path / "rg", f"echo $$ > {tmp_path / 'pid'}\nexec sleep 600")
    found = RootIndex(tmp_path, "r", tmp_path / "index")
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(matching_lines, found, "x", everything)
            pid = int(await written(tmp_path / "pid"))
            tasks.cancel_scope.cancel()
        while Path(f"/proc/{pid}").exists():  # noqa: ASYNC110 - the kernel takes a moment to end it
            await anyio.sleep(0.01)


@pytest.mark.anyio
async def test_a_pattern_search_past_its_time_gives_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, tmp_path / "rg", "printf 'a.py\\0003:found it\\n'\nexec sleep 600")
    found = RootIndex(tmp_path, "r", tmp_path / "index")
    with anyio.fail_after(60):
        result = await matching_lines(found, "x", everything, seconds=0.5)
    assert not result.complete
    assert result.found == [ripgrep.MatchingLine("a.py", 3, "found it")]
