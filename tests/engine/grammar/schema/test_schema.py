"""What each keyword accepts and refuses. Tables of (schema, accepted, refused); every row is also held against jsonschema."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from tests.engine.grammar import oracle
from tests.engine.grammar.schemas import checking, takes, written

from portico_engine.grammar import Bounds, CompiledGrammar, check_arguments, compile_schema

A = {"type": "string"}
N = {"type": "integer"}
TREE = {
    "$ref": "#/$defs/t",
    "$defs": {"t": {"type": "object", "properties": {"k": {"type": "array", "items": {"$ref": "#/$defs/t"}}}}},
}

TABLE: list[tuple[str, Any, list[Any], list[Any]]] = [
    ("any value", {}, [None, True, 1, 1.5, "x", [], {}, {"a": [1]}], []),
    ("true and false inside", {"properties": {"a": True, "b": False}}, [{"a": 1}, {}], [{"b": 1}]),
    ("one type", {"type": "boolean"}, [True, False], [None, 0, "true"]),
    ("types in a list", {"type": ["string", "null"]}, ["", None], [1, []]),
    ("integer is number", {"type": "number"}, [1, -2, 1.5, 0, 1e-05, 1e30], ["1"]),
    ("integer", {"type": "integer"}, [0, -7, 123456789012345678901234567890, 2.0], [1.5, None]),
    ("nullable", {"type": "string", "nullable": True}, ["a", None], [1]),
    ("enum of mixed types", {"enum": ["a", 1, None, {"k": [1]}, 2.5]}, ["a", 1, None, {"k": [1]}, 2.5], ["b", 2, {"k": []}]),
    ("const", {"const": {"a": "x"}}, [{"a": "x"}], [{"a": "y"}, {}]),
    ("enum filtered by type", {"type": "integer", "enum": ["a", 1, 2.0]}, [1], ["a"]),
    (
        "required",
        {"type": "object", "properties": {"a": A, "b": N}, "required": ["b"]},
        [{"b": 1}, {"a": "", "b": 1}],
        [{}, {"a": ""}],
    ),
    ("required but not declared", {"type": "object", "required": ["z"]}, [{"z": 1}], [{}, {"y": 1}]),
    (
        "all optional",
        {"type": "object", "properties": {"a": N, "b": N, "c": N, "d": N}},
        [{}, {"b": 1}, {"a": 1, "d": 2}],
        [{"a": ""}],
    ),
    ("closed", {"properties": {"a": N}, "additionalProperties": False}, [{"a": 1}, {}], [{"a": 1, "b": 2}, {"b": 2}]),
    ("additional of a type", {"properties": {"a": N}, "additionalProperties": A}, [{"a": 1, "x": "y"}], [{"x": 1}]),
    (
        "patternProperties",
        {"patternProperties": {"^x": N, "y$": A}},
        [{"x1": 1, "by": ""}, {"q": None}],
        [{"x1": ""}, {"xy": 1}],
    ),
    ("propertyNames", {"propertyNames": {"pattern": "^[a-z]+$"}}, [{"ab": 1}, {}], [{"A": 1}]),
    ("propertyNames in a list", {"propertyNames": {"enum": ["a", "b"]}}, [{"a": 1, "b": 2}], [{"c": 1}]),
    (
        "minProperties",
        {"properties": {"a": N, "b": N}, "minProperties": 1, "additionalProperties": False},
        [{"a": 1}, {"b": 1}],
        [{}],
    ),
    ("maxProperties", {"type": "object", "maxProperties": 2}, [{}, {"a": 1, "b": 2}], [{"a": 1, "b": 2, "c": 3}]),
    (
        "dependentRequired",
        {"properties": {"a": N, "b": N}, "dependentRequired": {"a": ["b"]}},
        [{"b": 1}, {"a": 1, "b": 2}],
        [{"a": 1}],
    ),
    ("dependentSchemas", {"dependentSchemas": {"a": {"required": ["b"]}}}, [{"b": 1}, {}], [{"a": 1}]),
    ("items", {"items": N, "type": "array"}, [[], [1, 2]], [["a"], [1, "a"]]),
    ("prefixItems", {"prefixItems": [N, A], "items": False}, [[], [1], [1, "a"]], [["a"], [1, "a", 1]]),
    (
        "minItems and maxItems",
        {"type": "array", "items": N, "minItems": 2, "maxItems": 3},
        [[1, 2], [1, 2, 3]],
        [[], [1], [1, 2, 3, 4]],
    ),
    ("contains", {"type": "array", "contains": {"const": "x"}}, [["x"], [1, "x", 2]], [[], [1, 2]]),
    (
        "contains, counted",
        {"contains": {"const": 1}, "minContains": 2, "maxContains": 2},
        [[1, 1], [1, 2, 1]],
        [[1], [1, 1, 1]],
    ),
    ("lengths in code points", {"type": "string", "minLength": 2, "maxLength": 3}, ["ab", "äöü", "😀😀"], ["a", "abcd"]),
    (
        "length and pattern",
        {"type": "string", "pattern": "a", "maxLength": 2, "minLength": 2},
        ["ab", "ba", "aa"],
        ["a", "bb", "abc"],
    ),
    ("lookahead", {"type": "string", "pattern": r"^(?=.*\d)(?=.*[a-z]).{3,}$"}, ["a1b"], ["abc", "a1", "123"]),
    ("integer range", {"type": "integer", "minimum": -12, "exclusiveMaximum": 105}, [-12, 0, 9, 104], [-13, 105, 1000]),
    ("multipleOf", {"type": "integer", "multipleOf": 7, "minimum": -100}, [0, -98, 7, 700], [1, -105, 8]),
    ("multipleOf a decimal", {"type": "number", "multipleOf": 0.01}, [0, 0.07, 1.5, -3.25], [0.001]),
    ("number range", {"type": "number", "minimum": 0.5, "exclusiveMaximum": 2}, [0.5, 1, 1.999, 0.51], [0.49, 2, 2.01, -1]),
    ("anyOf", {"anyOf": [N, {"type": "string", "maxLength": 1}]}, [1, "a"], ["ab", None]),
    ("oneOf that overlaps", {"oneOf": [{"type": "integer"}, {"minimum": 2}]}, [1, 2.5], [3, 1.5]),
    (
        "allOf merged",
        {"allOf": [{"properties": {"a": N}}, {"properties": {"a": {"minimum": 3}}, "required": ["a"]}]},
        [{"a": 3}],
        [{"a": 2}, {}],
    ),
    ("not over types", {"not": {"type": ["string", "object"]}}, [1, None, []], ["a", {}]),
    ("not over an enum", {"type": "string", "not": {"enum": ["a", "b"]}}, ["c", "ab", ""], ["a", "b"]),
    ("not over a pattern", {"type": "string", "not": {"pattern": "^a"}}, ["b", ""], ["a", "ab"]),
    (
        "not closed",
        {"not": {"properties": {"a": N}, "additionalProperties": False}, "type": "object"},
        [{"b": 1}, {"a": ""}],
        [{"a": 1}, {}],
    ),
    (
        "not by pattern",
        {"not": {"patternProperties": {"^a": N}}},
        [{"ab": ""}, {"b": 1, "a": None}],
        [{"b": 1}, {}, {"a": 1}, 3],
    ),
    (
        "not by two patterns",
        {"allOf": [{"not": {"patternProperties": {"^a": N}}}, {"not": {"patternProperties": {"b$": A}}}], "type": "object"},
        [{"a": "", "b": 1}, {"b": 1, "a": ""}, {"ab": None}, {"x": 1, "ab": [], "y": 2}, {"xb": 1, "y": 2, "ax": ""}],
        [{}, {"a": ""}, {"b": 1}, {"a": 1, "b": ""}, {"ab": 1}, {"ab": ""}],
    ),
    ("not required", {"not": {"required": ["a"]}, "type": "object"}, [{}, {"b": 1}], [{"a": 1}]),
    (
        "if, then, else",
        {
            "if": {"properties": {"k": {"const": "x"}}, "required": ["k"]},
            "then": {"required": ["v"]},
            "else": {"maxProperties": 1},
        },
        [{"k": "x", "v": 1}, {"k": "y"}, {}],
        [{"k": "x"}, {"k": "y", "v": 1}],
    ),
    ("a recursive reference", TREE, [{}, {"k": []}, {"k": [{"k": [{}]}]}], [{"k": [1]}]),
    ("an anchor", {"$defs": {"x": {"$anchor": "here", "type": "integer"}}, "$ref": "#here"}, [1], ["a"]),
    ("draft-07 items", {"items": [N, A], "additionalItems": False}, [[1, "a"]], [["a"], [1, "a", 2]]),
    ("draft-04 exclusive", {"minimum": 3, "exclusiveMinimum": True, "type": "integer"}, [4], [3]),
    ("definitions", {"definitions": {"d": N}, "properties": {"a": {"$ref": "#/definitions/d"}}}, [{"a": 1}], [{"a": "x"}]),
    ("escapes", {"const": 'a"b\\c\n\x01é\u2028'}, ['a"b\\c\n\x01é\u2028'], ["x"]),
    ("a NUL", {"type": "string"}, ["\x00", "\x7f"], []),
]


@pytest.mark.parametrize(("schema", "accepted", "refused"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_keyword_accepts_and_refuses_what_json_schema_says(schema: Any, accepted: list[Any], refused: list[Any]) -> None:
    grammar = checking(schema)
    assert [value for value in accepted if not oracle.accepts(grammar.text, written(value))] == []
    assert [value for value in refused if oracle.accepts(grammar.text, written(value))] == []
    assert [value for value in accepted if check_arguments(schema, value)] == []
    assert [value for value in refused if not check_arguments(schema, value)] == []
    assert grammar.report.exact


def test_properties_come_in_the_order_of_the_schema_and_without_spaces() -> None:
    schema = {"type": "object", "properties": {"b": N, "a": N}, "required": ["a", "b"]}
    assert takes(schema, '{"b":1,"a":2}', '{"a":2,"b":1}', '{"b": 1,"a":2}') == [True, False, False]


def test_what_only_one_text_can_follow_is_forced() -> None:
    schema = {"type": "object", "properties": {"location": A}, "required": ["location"], "additionalProperties": False}
    lark = compile_schema(schema).text
    assert oracle.forced(lark) == '{"location":"'
    assert oracle.forced(lark, '{"location":"x"') == "}"


def test_generation_closes_objects_that_declare_properties_and_checking_does_not() -> None:
    schema = {"type": "object", "properties": {"a": N}}
    bounded = compile_schema(schema)
    assert not oracle.accepts(bounded.text, '{"b":1}')
    assert [(b.bound, b.value) for b in bounded.report.bounds if b.bound == "object"] == [("object", 0)]
    assert takes(schema, '{"b":1}') == [True]
    assert oracle.accepts(compile_schema(schema, bounds=Bounds(open_objects=True)).text, '{"b":1}')


def test_open_ends_get_the_default_bounds_and_the_report_shows_them() -> None:
    schema = {"type": "object", "properties": {"s": A, "i": N, "l": {"type": "array", "items": N}}, "required": ["s", "i", "l"]}
    grammar = compile_schema(schema)

    def text(s: str = "", i: str = "1", n: int = 0) -> str:
        return f'{{"s":"{s}","i":{i},"l":[{",".join("1" * n)}]}}'

    inside = [text(), text("x" * 512), text(i="9" * 15), text(n=32)]
    outside = [text("x" * 513), text(i="9" * 16), text(n=33)]
    assert [oracle.accepts(grammar.text, t) for t in inside] == [True] * 4
    assert [oracle.accepts(grammar.text, t) for t in outside] == [False] * 3
    assert {(b.pointer, b.bound, b.value) for b in grammar.report.bounds} >= {
        ("/properties/s", "string", 512),
        ("/properties/i", "integer", 15),
        ("/properties/l", "array", 32),
    }


def test_a_recursive_schema_is_eight_levels_deep_when_generating() -> None:
    grammar = compile_schema(TREE)
    texts = ['{"k":[' * n + "{}" + "]}" * n for n in (8, 9)]
    assert [oracle.accepts(grammar.text, text) for text in texts] == [True, False]
    assert [b.value for b in grammar.report.bounds if b.bound == "depth"] == [8]


def test_a_schema_whose_only_values_are_deeper_than_the_bound_still_compiles() -> None:
    names = [f"n{i}" for i in range(12)]
    defs: dict[str, Any] = {
        name: {"type": "object", "properties": {"x": {"$ref": f"#/$defs/{after}"}}, "required": ["x"]}
        for name, after in pairwise(names)
    }
    defs[names[-1]] = {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/n0"}]}
    grammar = compile_schema({"$ref": "#/$defs/n0", "$defs": defs})
    assert oracle.accepts(grammar.text, '{"x":' * 11 + "null" + "}" * 11)


def test_a_schema_s_own_limits_win_over_the_bounds() -> None:
    grammar = compile_schema({"type": "string", "maxLength": 600})
    assert oracle.accepts(grammar.text, '"' + "x" * 600 + '"')
    assert grammar.report.bounds == ()


def test_huge_bounds_compile_small() -> None:
    grammar = compile_schema({"type": "string", "minLength": 10_000, "maxLength": 1_000_000})
    assert len(grammar.text) < 1_000


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        ({"type": "array", "items": A, "uniqueItems": True}, "/uniqueItems"),
        ({"type": "string", "pattern": r"(a)\1"}, "/pattern"),
        ({"type": "string", "format": "regex"}, "/format"),
        ({"not": {"propertyNames": {"pattern": "^a"}}}, "/not/propertyNames"),
    ],
)
def test_what_cannot_be_enforced_is_loosened_and_reported_by_its_pointer(schema: Any, pointer: str) -> None:
    report = checking(schema).report
    assert [(entry.pointer, bool(entry.what)) for entry in report.loosened] == [(pointer, True)]
    assert not report.exact


def test_rules_of_two_tools_can_be_joined() -> None:
    from portico_engine.grammar import schema_to_ir

    first, _ = schema_to_ir(TREE, prefix="a-")
    second, _ = schema_to_ir(TREE, prefix="b-")
    assert not first.rules.keys() & second.rules.keys()


def test_an_object_may_repeat_no_declared_property() -> None:
    schema = {"properties": {"a": N}}
    assert takes(schema, '{"a":1,"a":2}', '{"a":1,"b":2}') == [False, True]


def test_compiled_grammars_are_equal_where_their_texts_are() -> None:
    one, two = compile_schema({"type": "integer"}), compile_schema({"type": "integer"})
    assert isinstance(one, CompiledGrammar)
    assert one.digest == two.digest
