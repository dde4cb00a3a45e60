from __future__ import annotations

from typing import Any

import mcp_types as types
import pytest

from portico_gateway.agent.empty_results import error_text, says_nothing
from portico_gateway.agent.rendered_results import render


@pytest.mark.parametrize(
    "text",
    [
        "Error: no such table: parts",
        "notes: Error - EISDIR: illegal operation on a directory, read",
        ": Error - EISDIR: illegal operation on a directory, read",
        "ENOENT: no such file or directory, open 'a.txt'",
        "Error executing tool get_time: Invalid timezone",
        "sqlite3.OperationalError: near 'x': syntax error",
        "fatal: not a git repository",
        "a.txt: Error - ENOENT: no such file\n---\nb.txt: Error - ENOENT: no such file",
    ],
)
def test_a_text_that_only_reports_an_error_is_one(text: str) -> None:
    assert error_text(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "The error rate was 3%.",
        "Errors are logged to stderr.",
        "a.txt: Error - ENOENT: no such file\n\nb.txt:\nmilk and eggs",
        "Raises ValueError: where the name is not known.",
        "391",
        "Employees: count = 11",
    ],
)
def test_a_text_that_speaks_of_errors_is_none(text: str) -> None:
    assert error_text(text) is None


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", None),
        ("[]", None),
        ('{"entities": [], "relations": []}', None),
        ("No matches found", None),
        ("0 results", None),
        ("None", None),
        ("Page 'x' not found.", None),
        ("3 tables", {"tables": [], "next": None, "complete": True}),
    ],
)
def test_an_empty_list_or_a_text_that_says_so_has_nothing_to_say(text: str, data: Any) -> None:
    assert says_nothing(text, data)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("0", None),
        ("False", None),
        ('{"count": 0}', None),
        ("No. 5 Baker Street", None),
        ('[{"name": "parts"}]', None),
        ("Nobody was absent.", {"result": "Nobody was absent."}),
        ("0", {"result": 0}),
    ],
)
def test_a_zero_is_an_answer(text: str, data: Any) -> None:
    assert not says_nothing(text, data)


def test_a_result_that_says_nothing_is_not_found() -> None:
    empty = types.CallToolResult(content=[types.TextContent(type="text", text='{"entities": []}')])
    assert not render({}, empty).found
