"""References, names and numbers of a tool's schema that are none: the tool keeps what can be kept, and never a crash."""

from __future__ import annotations

import json
import math
import time
from contextlib import suppress
from typing import Any

import pytest

from portico_engine import Tool
from portico_engine.errors import EngineError
from portico_engine.grammar import compile_schema, compile_tool_calls
from portico_engine.grammar.check import check_arguments
from portico_engine.grammar.schema.mending import mend

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


X = {"properties": {"a": {"$ref": "#/$defs/x"}}, "required": ["a"]}
CIRCLES: list[tuple[dict[str, Any], dict[str, Any]]] = [  # with a call that satisfies all that still says something
    ({"$ref": "#"}, {}),
    ({"type": "object", "$ref": "#", "properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"a": 1}),
    ({"properties": {"a": {"$ref": "#/properties/a", "type": "integer"}}, "required": ["a"]}, {"a": 1}),
    (
        {**X, "$defs": {"x": {"$ref": "#/$defs/y"}, "y": {"$ref": "#/$defs/x"}}},
        {"a": []},
    ),
    (
        {**X, "$defs": {"x": {"allOf": [{"$ref": "#/$defs/x"}, {"const": "b"}]}}},
        {"a": "b"},
    ),
    (
        {**X, "$defs": {"x": {"anyOf": [{"$ref": "#/$defs/x"}, {"const": "b"}]}}},
        {"a": "b"},
    ),
    ({"properties": {"a": {"not": {"$ref": "#/properties/a"}, "type": "integer"}}, "required": ["a"]}, {"a": 1}),
    ({"properties": {"a": {"if": {"$ref": "#/properties/a"}, "then": {"const": 2}}}, "required": ["a"]}, {"a": 1}),
    ({"properties": {"a": {"propertyNames": {"$ref": "#/properties/a/propertyNames"}}}, "required": ["a"]}, {"a": {"b": 1}}),
    ({"properties": {"a": {"contains": {"$ref": "#/properties/a/contains"}, "type": "array"}}, "required": ["a"]}, {"a": [1]}),
    ({"dependentSchemas": {"a": {"$ref": "#"}}, "properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"a": 1}),
    ({"properties": {"a": {"type": "integer"}}, "required": ["a"], "allOf": [{"$ref": "#"}]}, {"a": 1}),
    ({"$anchor": "top", "properties": {"a": {"type": "integer"}}, "required": ["a"], "allOf": [{"$ref": "#top"}]}, {"a": 1}),
    ({"properties": {"a": {"$dynamicRef": "#x"}}, "required": ["a"]}, {"a": 1}),
    ({"$dynamicAnchor": "x", "$dynamicRef": "#x", "properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"a": 1}),
    ({"$id": "http://o/p", "properties": {"a": {"$ref": "http://o/q", "type": "integer"}}, "required": ["a"]}, {"a": 1}),
    ({"$id": "http://o/p", "$ref": "p#/$defs/x", "$defs": {"x": {"$ref": "http://o/p"}}, "required": ["a"]}, {"a": 1}),
    ({"properties": {"a": {"$ref": "#nowhere", "type": "integer"}}, "required": ["a"]}, {"a": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "right"), CIRCLES, ids=lambda value: ascii(value)[:60])
def test_a_reference_that_leads_back_to_itself_costs_itself(schema: dict[str, Any], right: dict[str, Any]) -> None:
    before = json.dumps(schema)
    report = compile_tool_calls([Tool("odd", "", schema)]).report
    assert not report.failed
    assert report.loosened
    assert check_arguments(schema, right) == []
    if schema.get("required"):
        assert check_arguments(schema, {}) != [], "what still says something is heeded"
    assert json.dumps(schema) == before


@pytest.mark.parametrize("root", [{}, {"type": ["object", "null"]}], ids=["no type", "null, too"])
def test_references_count_from_the_root_where_it_does_not_say_that_it_is_an_object(root: dict[str, Any]) -> None:
    schema = {**root, **X, "$defs": {"x": {"enum": ["north"]}}}
    compiled = compile_tool_calls([Tool("odd", "", schema)])
    assert not compiled.report.failed
    assert not compiled.report.loosened


def test_recursion_through_values_is_right_and_stays() -> None:
    tree = {
        "type": "object",
        "properties": {"not": {"$ref": "#"}, "if": {"$ref": "#"}, "n": {"type": "integer"}},
        "required": ["n"],
    }
    report = compile_tool_calls([Tool("tree", "", tree)]).report
    assert not report.failed
    assert not [entry for entry in report.loosened if entry.keyword == "$ref"]
    assert check_arguments(tree, {"n": 1, "not": {"n": 2}}) == []
    assert check_arguments(tree, {"n": 1, "not": {}}) != []


def test_ten_thousand_circles_take_linear_time() -> None:
    names = [f"d{number}" for number in range(10_000)]
    schema = {
        "$defs": {name: {"$ref": f"#/$defs/{following}"} for name, following in zip(names, [*names[1:], names[0]], strict=True)}
    }
    began = time.thread_time()
    assert len(mend({**schema, "$ref": "#/$defs/d0"}).loosened) == 1
    assert time.thread_time() - began < 2
