"""Schemas that are wrong, hostile or absurd: a typed error that names what is wrong, in bounded time, and never for another
tool."""

from __future__ import annotations

import time
from typing import Any

import pytest
from tests.engine.grammar import oracle

from portico_engine.errors import GrammarError, GrammarTooLarge, InvalidSchema, Unsatisfiable
from portico_engine.grammar import Limits, compile_schema, schema_to_ir, tool_to_ir
from portico_engine.grammar.backend import enforced_text


@pytest.mark.parametrize(
    ("schema", "pointer", "words"),
    [
        ({"$ref": "#"}, "", "no base case"),
        ({"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}, "/$defs/a", "no base case"),
        ({"$ref": "#/$defs/nowhere"}, "/$ref", "leads to nothing"),
        ({"properties": {"a": {"$ref": "https://example.com/x.json"}}}, "/properties/a/$ref", "never fetched"),
        ({"$ref": "#anchor"}, "/$ref", "anchor"),
        ({"type": "strin"}, "/type", "no type"),
        ({"properties": []}, "/properties", "must be an object"),
        ({"properties": {"a": 5}}, "/properties/a", "a schema is an object"),
        ({"required": "a"}, "/required", "list of property names"),
        ({"minLength": -1}, "/minLength", "0 or more"),
        ({"minimum": "3"}, "/minimum", "must be a number"),
        ({"multipleOf": 0}, "/multipleOf", "above 0"),
        ({"enum": "abc"}, "/enum", "list of values"),
        ({"anyOf": []}, "/anyOf", "non-empty list"),
        ({"type": "string", "pattern": "(?(1)x|y)"}, "/pattern", "ECMA-262"),
        ({"type": "string", "pattern": "["}, "/pattern", "ECMA-262"),
        ("string", "", "a schema is an object"),
    ],
)
def test_an_invalid_schema_is_refused_naming_the_pointer(schema: Any, pointer: str, words: str) -> None:
    with pytest.raises(InvalidSchema) as caught:
        compile_schema(schema)
    assert caught.value.pointer == pointer
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        (False, ""),
        ({"type": "integer", "minimum": 5, "maximum": 3}, ""),
        (
            {"type": "object", "properties": {"a": {"type": "string", "minLength": 3, "maxLength": 2}}, "required": ["a"]},
            "/properties/a",
        ),
        ({"type": "array", "minItems": 3, "maxItems": 2}, ""),
        ({"type": "string", "enum": [1, 2]}, "/enum"),
        ({"allOf": [{"type": "string"}, {"type": "integer"}]}, ""),
        ({"type": "object", "required": ["a"], "properties": {"a": False}}, "/properties/a"),
        ({"type": "string", "pattern": "^a$", "minLength": 2}, ""),
        ({"type": "string", "pattern": "^(?=b)a"}, ""),
        ({"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2}, ""),
        (
            {
                "$defs": {"n": {"type": "object", "properties": {"x": {"$ref": "#/$defs/n"}}, "required": ["x"]}},
                "$ref": "#/$defs/n",
            },
            "",
        ),
        ({"type": "object", "minProperties": 2, "properties": {"a": {}}, "additionalProperties": False}, ""),
    ],
)
def test_an_unsatisfiable_schema_is_an_error_at_compile_time(schema: Any, pointer: str) -> None:
    with pytest.raises(Unsatisfiable) as caught:
        compile_schema(schema)
    assert caught.value.pointer == pointer
    assert caught.value.reason


def test_an_optional_property_that_nothing_satisfies_is_left_out() -> None:
    grammar = compile_schema(
        {"type": "object", "properties": {"a": {"type": "string", "pattern": "^a$", "minLength": 2}, "b": {}}}
    )
    assert oracle.accepts(grammar.text, "{}")
    assert not oracle.accepts(grammar.text, '{"a":"a"}')


def test_ten_thousand_levels_of_nesting_meet_the_limit_on_nesting() -> None:
    schema: Any = {"type": "integer"}
    for _ in range(10_000):
        schema = {"type": "array", "items": schema}
    with pytest.raises(GrammarTooLarge, match="limit on nesting"):
        compile_schema(schema)


def test_ten_megabytes_of_schema_end_in_bounded_processor_time_with_the_bound_named() -> None:
    schema = {
        "type": "object",
        "properties": {
            f"property_{i}": {"type": "object", "properties": {f"p{i}": {"type": "string", "maxLength": i + 1}}}
            for i in range(90_000)
        },
    }
    began = time.thread_time()
    with pytest.raises(GrammarTooLarge, match=r"limit on (time|memory)"):
        compile_schema(schema)
    assert time.thread_time() - began < 30  # without a limit: minutes


def test_the_limit_on_memory_names_itself() -> None:
    schema = {"type": "object", "properties": {f"p{i}": {"type": "string", "maxLength": i} for i in range(2_000)}}
    with pytest.raises(GrammarTooLarge, match="limit on memory"):
        compile_schema(schema, limits=Limits(bytes=200_000, seconds=60))


def test_an_enum_of_fifty_thousand_values_compiles_and_is_exact() -> None:
    grammar = compile_schema({"enum": [f"value number {i}" for i in range(50_000)]}, limits=Limits(seconds=20))
    assert grammar.report.exact
    assert grammar.text.count("value number") == 50_000


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|aa)+$", "^(a*)*b$", "(x+x+)+y", "^(([a-z])+.)+[A-Z]([a-z])+$"])
def test_a_pattern_that_makes_backtracking_engines_explode_is_harmless(pattern: str) -> None:
    began = time.thread_time()
    grammar = compile_schema({"type": "string", "pattern": pattern})
    oracle.accepts(grammar.text, '"' + "a" * 200 + '!"')
    assert time.thread_time() - began < 20


def test_combinations_that_multiply_are_loosened_and_not_refused() -> None:
    branches = [{"anyOf": [{"required": [f"a{i}"]}, {"required": [f"b{i}"]}, {"required": [f"c{i}"]}]} for i in range(12)]
    grammar = compile_schema({"type": "object", "allOf": branches})
    assert [entry.keyword for entry in grammar.report.loosened]


def test_a_bad_tool_degrades_alone_and_says_how() -> None:
    bad, report = tool_to_ir({"type": "object", "properties": {"a": {"$id": "http://own/", "$ref": "#/nowhere"}}}, tool="bad")
    assert bad is not None
    assert [(f.tool, f.pointer, f.degraded) for f in report.failed] == [("bad", "/properties/a/$ref", True)]
    assert oracle.accepts(enforced_text(bad).text, '{"anything":[1,{}]}')
    assert not oracle.accepts(enforced_text(bad).text, "[]")


def test_a_tool_that_nothing_satisfies_is_left_out() -> None:
    nothing, report = tool_to_ir({"type": "object", "required": ["a"], "properties": {"a": False}}, tool="t")
    assert nothing is None
    assert [(f.tool, f.degraded) for f in report.failed] == [("t", False)]


def test_a_tool_s_arguments_are_an_object_whatever_its_schema_says() -> None:
    grammar, report = tool_to_ir({}, tool="t")
    assert grammar is not None
    assert not report.failed
    assert not oracle.accepts(enforced_text(grammar).text, "1")


def test_a_lone_surrogate_never_reaches_the_grammar() -> None:
    grammar = compile_schema({"enum": ["\ud800", "ok"]})
    assert oracle.accepts(grammar.text, '"ok"')
    with pytest.raises(GrammarError):
        schema_to_ir({"const": "\ud800"})


def test_a_reference_may_lead_to_a_schema_that_the_caller_brings() -> None:
    grammar = compile_schema({"$ref": "http://x/y.json"}, resources={"http://x/y.json": {"type": "integer"}})
    assert oracle.accepts(grammar.text, "3")
