from __future__ import annotations

from typing import Any

import mcp_types as types

from portico_gateway.agent.rendered_results import MAX_HITS, clip, render


def result(data: dict[str, Any] | None = None, text: str = "") -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)] if text else [], structured_content=data)


def test_hits_become_headed_snippets_with_citations() -> None:
    hit = {
        "root": "r",
        "path": "a/b.py",
        "start_line": 7,
        "symbol": "free",
        "kind": "function",
        "text": "    def free(self):\n        pass",
    }
    rendered = render({}, result({"hits": [hit]}))
    assert rendered.found
    assert rendered.text.splitlines() == ["a/b.py:7  function free", "def free(self):", "    pass"]
    assert (rendered.citations[0].label, rendered.citations[0].line, rendered.citations[0].quote) == (
        "a/b.py:7",
        7,
        "def free(self):",
    )


def test_a_passage_is_cited_by_its_anchor() -> None:
    hit = {"path": "guide.md", "anchor": "install", "title_trail": ["Guide", "Install"], "line": 3, "text": "pip install it"}
    rendered = render({}, result({"hits": [hit]}))
    assert rendered.text.startswith("guide.md#install  Guide > Install")


def test_no_hits_is_not_found_and_not_an_error() -> None:
    rendered = render({}, result({"hits": []}, text="nothing"))
    assert not rendered.found


def test_many_hits_are_cut_to_the_first_and_said_to_be() -> None:
    hits = [{"path": f"{i}.py", "start_line": 1, "text": "x" * 500} for i in range(20)]
    rendered = render({}, result({"hits": hits}), limit=900)
    assert len(rendered.citations) <= MAX_HITS
    assert rendered.truncated
    assert len(rendered.text) < 1200


def test_rows_without_values_are_not_found() -> None:
    assert not render({"table": "t"}, result({"columns": ["max"], "rows": [[None]]})).found
    rendered = render({}, result({"columns": ["n"], "rows": [[0]], "sql": 'SELECT count(*) FROM "orders" JOIN items ON 1'}))
    assert rendered.found
    assert [p.label for p in rendered.citations] == ["table orders", "table items"]


def test_the_text_of_any_other_tool_is_shown_clipped() -> None:
    rendered = render({}, result(text="line\n" * 1000), limit=100)
    assert rendered.truncated
    assert len(rendered.text) <= 100
    assert clip("short", 100) == "short"
