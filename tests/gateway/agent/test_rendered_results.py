from __future__ import annotations

from typing import Any

import mcp_types as types

from portico_gateway.agent.rendered_results import HITS_SHOWN, clip, show


def result(data: dict[str, Any] | None = None, text: str = "") -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)] if text else [], structured_content=data)


def test_hits_become_headed_snippets_with_places_to_cite() -> None:
    hit = {
        "root": "r",
        "path": "a/b.py",
        "start_line": 7,
        "symbol": "free",
        "kind": "function",
        "text": "    def free(self):\n        pass",
    }
    shown = show({}, result({"hits": [hit]}))
    assert shown.found
    assert shown.text.splitlines() == ["a/b.py:7  function free", "def free(self):", "    pass"]
    assert (shown.places[0].label, shown.places[0].line, shown.places[0].quote) == ("a/b.py:7", 7, "def free(self):")


def test_a_passage_is_cited_by_its_anchor() -> None:
    hit = {"path": "guide.md", "anchor": "install", "title_trail": ["Guide", "Install"], "line": 3, "text": "pip install it"}
    shown = show({}, result({"hits": [hit]}))
    assert shown.text.startswith("guide.md#install  Guide > Install")


def test_no_hits_is_not_found_and_not_an_error() -> None:
    shown = show({}, result({"hits": []}, text="nothing"))
    assert not shown.found


def test_many_hits_are_cut_to_the_first_and_said_to_be() -> None:
    hits = [{"path": f"{i}.py", "start_line": 1, "text": "x" * 500} for i in range(20)]
    shown = show({}, result({"hits": hits}), limit=900)
    assert len(shown.places) <= HITS_SHOWN
    assert shown.truncated
    assert len(shown.text) < 1200


def test_rows_without_values_are_not_found() -> None:
    assert not show({"table": "t"}, result({"columns": ["max"], "rows": [[None]]})).found
    shown = show({}, result({"columns": ["n"], "rows": [[0]], "sql": 'SELECT count(*) FROM "orders" JOIN items ON 1'}))
    assert shown.found
    assert [p.label for p in shown.places] == ["table orders", "table items"]


def test_the_text_of_any_other_tool_is_shown_clipped() -> None:
    shown = show({}, result(text="line\n" * 1000), limit=100)
    assert shown.truncated
    assert len(shown.text) <= 100
    assert clip("short", 100) == "short"
