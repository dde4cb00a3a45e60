"""Who uses a name: kinds of use, bounds, pages, and files that the index has not seen."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.servers.code.conftest import places

from portico_servers.code.errors import BadFilter
from portico_servers.code.syntax.references import references
from portico_servers.code.syntax.source_text import SourceText
from portico_servers.code.tools import find_references as references_tool
from portico_servers.code.tools.find_references import find_references
from portico_servers.code.workspace import Workspace


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
async def test_a_common_name_fills_a_page_and_the_cursor_goes_on_to_the_last_use(tmp_path: Path) -> None:
    root = tmp_path / "r"
    root.mkdir()
    for number in range(60):
        (root / f"f{number:02}.py").write_text(f"def f{number}(value):\n    x = value\n    return value + value\n")
    (root / "z.py").write_text("def value():\n    return 1\n    # end\n")
    found = Workspace([root], tmp_path / "index")
    found.start()
    assert found.indexes["r"].ready.wait(30)
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(40):
        page = await find_references(found, "value", cursor=cursor)
        seen += places(page)
        cursor = page.next_cursor
        if cursor is None:
            break
        assert page.note is not None
    assert seen[0] == "z.py:1 definition value"
    assert len(seen) == len(set(seen)) == 181
    assert page.complete
    assert page.note == "181 uses"
    found.close()


@pytest.mark.anyio
async def test_a_page_that_is_full_stops_the_search_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references_tool, "ENOUGH_SECONDS", 0.0)
    root = tmp_path / "r"
    root.mkdir()
    for number in range(60):
        (root / f"f{number:02}.py").write_text("value = value + value\n" * 20)
    found = Workspace([root], tmp_path / "index")
    found.start()
    assert found.indexes["r"].ready.wait(30)
    result = await find_references(found, "value")
    assert not result.complete
    assert result.note is not None
    assert result.note.startswith("20+ uses; stopped at a bound: more files are not looked into; go on with next_cursor")
    assert result.next_cursor is not None
    found.close()


def test_uses_of_one_file_are_bounded(tmp_path: Path) -> None:
    text = SourceText(b"value = value\n" * 400 + b"# value\n" * 10, cut=False)
    found = references("a.py", text, "value")
    assert (len(found.references), found.complete) == (300, False)
    assert [use.line for use in found.references] == list(range(1, 301))


@pytest.mark.anyio
async def test_uses_in_files_that_the_index_has_not_seen_yet_are_found(repository: Path, tmp_path: Path) -> None:
    found = Workspace([repository], tmp_path / "index")
    found.start()
    index = found.indexes["cache"]
    assert index.ready.wait(30)
    found.close()  # nothing is taken in from now on
    (repository / "late.py").write_text("from pool import make_pool\n")
    assert "late.py:1 import None" in places(await find_references(found, "make_pool"))


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["", "two words", "a\nb", "x" * 300, "\0"])
async def test_what_is_no_name_is_refused(workspace: Workspace, name: str) -> None:
    with pytest.raises(BadFilter, match="not a name"):
        await find_references(workspace, name)
