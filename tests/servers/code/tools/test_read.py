"""Outlines and lines of files: pages, ranges, symbols, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from portico_servers.code.errors import BadRange, NoSuchSymbol
from portico_servers.code.tools.read import outline, read
from portico_servers.code.workspace import Workspace
from portico_servers.common.path_jail import NotFound


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
