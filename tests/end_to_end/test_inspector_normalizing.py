"""What is taken out of the Inspector's answers before they are compared, and what must stay in."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest
from fixture_workspace import make_workspace
from inspector_cli import InspectorMissingError, Reply, find_inspector

HOME = Path("/somewhere/else")


def _normalized(result: object) -> object:
    return Reply(0, json.dumps({"result": result}), "").normalized(HOME)["answer"]["result"]


def test_paths_scores_times_cursors_and_versions_do_not_count() -> None:
    result = {
        "hits": [{"path": "/somewhere/else/a.py", "score": 0.25}],
        "next_cursor": "abc",
        "ttlMs": 5,
        "text": "took 12.5 ms",
    }
    expected = {"hits": [{"path": "<home>/a.py", "score": "<score>"}], "next_cursor": "<cursor>", "text": "took <time>"}
    assert _normalized(result) == expected
    assert _normalized({"a": 1, "_meta": {"portico/call": "7f"}}) == {"a": 1}
    assert _normalized({"_meta": {"portico/call": "7f", "x": 1}}) == {"_meta": {"x": 1}}
    assert _normalized({"serverInfo": {"version": version("portico-mcp")}}) == {"serverInfo": {"version": "<version>"}}


@pytest.mark.parametrize(
    "kept",
    [
        {"properties": {"score": {"type": "number"}}},
        {"next_cursor": None},
        {"version": "local"},
        {"rows": [["paid", 4]], "complete": True},
        {"text": "30 days"},
    ],
)
def test_everything_else_does(kept: dict[str, object]) -> None:
    assert _normalized(kept) == kept


def test_exit_code_and_unreadable_output_are_part_of_the_answer() -> None:
    assert Reply(5, "", "").normalized(HOME) == {"exit": 5, "answer": None}
    assert Reply(0, "not JSON", "").normalized(HOME) == {"exit": 0, "answer": "not JSON"}


def test_a_missing_inspector_is_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    with pytest.raises(InspectorMissingError, match="make setup-dev"):
        find_inspector()


def test_the_workspace_is_the_same_each_time(tmp_path: Path) -> None:
    first, second = (make_workspace(tmp_path / name) for name in ("a", "b"))
    for place in ("orders.sqlite", "code/.git/refs/heads/main", "code/.git/refs/tags/first"):
        assert (first / place).read_bytes() == (second / place).read_bytes()
