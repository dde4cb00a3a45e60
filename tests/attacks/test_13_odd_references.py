"""References, names and numbers of a tool's schema that are none: the tool keeps what can be kept, and never a crash."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import pytest

from portico_engine import Tool
from portico_engine.errors import EngineError
from portico_engine.grammar import compile_schema, compile_tool_calls
from portico_engine.grammar.check import check_arguments

pytestmark = pytest.mark.attack("13 bad keywords in a tool's schema")
ODD: list[dict[str, Any]] = [
    {"$ref": "http://[x"}, {"$id": "http://[x", "type": "object"}, {"properties": {"a": {"$id": "//[", "$ref": "#"}}},
    {"anyOf": [{"type": "object"}], "$ref": "#/anyOf/²"}, {"anyOf": [{"type": "object"}], "$ref": "#/anyOf/" + "9" * 5000},
    {"patternProperties": {"\ud83d": {"type": "string"}}}, {"properties": {"a": {"pattern": "\ud800"}}},
    {"minProperties": math.inf}, {"properties": {"a": {"maxLength": math.inf}, "b": {"minItems": -math.inf}}},
    {"properties": {"a": {"minLength": math.nan}}},
]  # fmt: skip


@pytest.mark.parametrize("schema", ODD, ids=lambda schema: ascii(schema)[:60])
def test_it_costs_its_tool_at_most(schema: dict[str, Any]) -> None:
    tools = [Tool("odd", "", schema), Tool("good", "", {"type": "object", "properties": {"a": {"const": 1}}})]
    report = compile_tool_calls(tools).report
    assert {entry.tool for entry in (*report.failed, *report.loosened)} <= {"odd"}
    assert isinstance(check_arguments(schema, {"a": "x"}), list)
    with suppress(EngineError):
        compile_schema(schema)
