"""A client's tools, which come with every request."""

from __future__ import annotations

import copy
from typing import Any

from portico_gateway.http.generation.request import function_tool

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"number": {"type": "integer", "minimum": 1}}}


def test_an_equal_tool_is_the_one_that_came_before() -> None:
    first = function_tool("read", "Read it.", SCHEMA)
    assert function_tool("read", "Read it.", copy.deepcopy(SCHEMA)) is first


def test_a_tool_that_differs_in_anything_is_another() -> None:
    one = function_tool("read", "Read it.", {"const": 1})
    others = [function_tool("read", "Read it.", {"const": value}) for value in (True, 1.0, "1", [1], None)]
    others.append(function_tool("read", "Read it", {"const": 1}))
    assert all(other is not one for other in others)
    assert [repr(other.parameters["const"]) for other in others] == ["True", "1.0", "'1'", "[1]", "None", "1"]
    turned = {"properties": {}, "type": "object"}
    assert list(function_tool("read", "", turned).parameters) == ["properties", "type"]
    assert list(function_tool("read", "", dict(reversed(turned.items()))).parameters) == ["type", "properties"]


def test_a_tool_that_nests_too_deeply_is_taken_as_it_is() -> None:
    deep: dict[str, Any] = {}
    for _ in range(5_000):
        deep = {"items": deep}
    assert function_tool("read", "", deep).parameters is deep
