from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import anyio

from portico_gateway.agent.guided.extraction.source_files import AROUND, MOST_FILES, MOST_LINES, source_files, source_hits
from portico_gateway.agent.guided.extraction.source_lines import SourceFile
from portico_gateway.agent.rendered_results import RenderedResult
from portico_gateway.agent.tool_host import ToolHost
from portico_gateway.errors import GatewayError


class Files:
    """The part of a host that files are read through."""

    def __init__(self, texts: dict[str, str], templates: Sequence[str] = ("code://{root}/{+path}",)) -> None:
        self._texts = texts
        self._templates = templates

    def templates(self, server: str) -> Sequence[str]:
        return self._templates

    async def read_text(self, server: str, uri: str) -> str:
        if uri not in self._texts:
            raise GatewayError(f"{uri} is not there")
        return self._texts[uri]


def hit(path: str, line: int, text: str = "") -> dict[str, Any]:
    return {"path": path, "root": "r", "start_line": line, "text": text}


def read(files: Files, hits: Sequence[dict[str, Any]]) -> list[SourceFile]:
    return anyio.run(source_files, cast(ToolHost, files), "code", hits)


def test_a_file_is_read_whole_and_once() -> None:
    found = read(Files({"code://r/a.py": "x = 1\ny = 2\n"}), [hit("a.py", 1), hit("a.py", 2)])
    assert [list(file.tree.lines) for file in found] == [["x = 1", "y = 2"]]


def test_where_a_file_cannot_be_read_the_hits_lines_serve_at_their_numbers() -> None:
    for files in (Files({}), Files({}, templates=())):
        [found] = read(files, [hit("a.py", 3, "def f():\n    pass")])
        assert list(found.tree.lines) == ["", "", "def f():", "    pass"]


def test_files_of_earlier_hits_are_nearer() -> None:
    found = read(Files({}), [hit("a.py", 1, "a"), hit("b.py", 1, "b")])
    assert found[0].nearness > found[1].nearness


def test_files_are_few() -> None:
    assert len(read(Files({}), [hit(f"{n}.py", 1, "a") for n in range(20)])) == MOST_FILES


def result(data: dict[str, Any] | None) -> RenderedResult:
    return RenderedResult("text", True, data=data)


def test_hits_and_outlines_stand_on_lines_and_documents_and_rows_do_not() -> None:
    assert source_hits(result({"hits": [hit("a.py", 1)]})) == [hit("a.py", 1)]
    assert source_hits(result({"path": "a.py", "symbols": []}))
    assert not source_hits(result({"hits": [{"path": "g.md", "anchor": "x", "line": 3}]}))
    assert not source_hits(result({"columns": [], "rows": []}))
    assert not source_hits(result(None))


def test_of_a_long_file_the_lines_around_its_hits_are_read() -> None:
    long = "\n".join(f"x{n} = 1" for n in range(1, 2 * MOST_LINES))
    [found] = read(Files({"code://r/a.py": long}), [hit("a.py", 7_000)])
    assert found.tree.lines[6_999] == "x7000 = 1"
    assert len(found.tree.statements) == 2 * AROUND + 1


def test_the_same_path_in_two_roots_is_two_files() -> None:
    found = read(Files({"code://r/a.py": "x = 1", "code://s/a.py": "y = 2"}), [hit("a.py", 1), {**hit("a.py", 1), "root": "s"}])
    assert [(file.tree.path, file.tree.lines[0], file.fields["root"]) for file in found] == [
        ("a.py", "x = 1", "r"),
        ("s/a.py", "y = 2", "s"),
    ]
