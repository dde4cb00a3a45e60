"""One keyword of a tool that can't be read costs that keyword: in the grammar, and in the check after the call alike."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.engine.grammar import oracle

from portico_engine import Tool
from portico_engine.grammar import check_arguments, compile_tool_calls

pytestmark = pytest.mark.attack("13 one bad keyword costs that keyword")

# What stands for the property `x`; values it takes, values it refuses, and whether the keyword is left out (or translated).
CASES: dict[str, tuple[Any, list[Any], list[Any], bool]] = {
    "type int": ({"type": "int"}, [1], ["a"], False),
    "type str": ({"type": "str"}, ["a"], [1], False),
    "type Float": ({"type": "Float"}, [1.5], ["a"], False),
    "an unknown type": ({"type": "banana", "maxLength": 3}, [1, "abc"], ["abcd"], True),
    "a type that is a number": ({"type": 5}, [1, "a"], [], True),
    "a list with an unknown type": ({"type": ["string", "banana"]}, [1, "a"], [], True),
    "a dead reference": ({"$ref": "#/$defs/nowhere", "type": "string"}, ["a"], [1], True),
    "a reference outside": ({"$ref": "https://example.com/x.json"}, [1, "a"], [], True),
    "a reference by the old name": ({"$ref": "#/definitions/known"}, [True], [1], False),
    "(?i)": ({"type": "string", "pattern": "(?i)^(asc|desc)$"}, ["asc", "DESC"], ["x"], False),
    "(?P<n>..)": ({"type": "string", "pattern": "^(?P<y>[0-9]{2})$"}, ["12"], ["1"], False),
    "\\A and \\Z": ({"type": "string", "pattern": r"\A[a-z]+\Z"}, ["ab"], ["A"], False),
    "flags with \\d": ({"type": "string", "pattern": r"(?i)^x\d+$"}, ["X1"], ["x"], False),
    "a POSIX class": ({"type": "string", "pattern": "^[[:alpha:]]+$"}, ["ab"], ["1"], False),
    "a possessive quantifier": ({"type": "string", "pattern": "^a++b$"}, ["aab"], ["b"], True),
    "an atomic group": ({"type": "string", "pattern": "^(?>a|ab)c$"}, ["ac"], ["c"], True),
    "a pattern that is none": ({"type": "string", "pattern": "(", "maxLength": 3}, ["abc"], ["abcd"], True),
    "a conditional pattern": ({"type": "string", "pattern": "^(?(1)a|b)$"}, ["x"], [1], True),
    "an enum that is no list": ({"type": "string", "enum": "a"}, ["b"], [1], True),
    "items that are an empty list": ({"type": "array", "items": []}, [[1, "a"]], [1], True),
    "items that are a type's name": ({"type": "array", "items": "string"}, [["a"]], [[1]], False),
    "a length in words": ({"type": "string", "maxLength": "two"}, ["abc"], [1], True),
    "a length as a string": ({"type": "string", "maxLength": "2"}, ["ab"], ["abc"], False),
    "a negative length": ({"type": "string", "minLength": -1}, ["a"], [1], True),
    "a multiple of zero": ({"type": "integer", "multipleOf": 0}, [3], ["a"], True),
    "a minimum that is none": ({"type": "integer", "minimum": [1]}, [3], ["a"], True),
    "an empty anyOf": ({"type": "integer", "anyOf": []}, [3], ["a"], True),
    "a format that is a number": ({"type": "string", "format": 5}, ["a"], [1], True),
    "a schema that is null": (None, [1, "a"], [], True),
    "a schema that is a name": ("integer", [1], ["a"], False),
    "properties that are a list": ({"type": "object", "properties": ["a"]}, [{}], [1], True),
    "names that are no pattern": ({"type": "object", "patternProperties": {"(": {}}}, [{}], [1], True),
}


@pytest.mark.parametrize("name", CASES)
def test_a_keyword_that_cannot_be_read_is_translated_or_left_out_alone(name: str) -> None:
    sub, takes, refuses, left_out = CASES[name]
    schema = {
        "type": "object",
        "properties": {"x": sub, "n": {"type": "integer"}},
        "required": ["x", "n"],
        "$defs": {"known": {"type": "boolean"}},
    }
    compiled = compile_tool_calls([Tool("t", "", schema)])
    assert compiled.report.failed == ()
    assert bool(compiled.report.loosened) is left_out, compiled.report.loosened
    for value, right in [*((value, True) for value in takes), *((value, False) for value in refuses)]:
        arguments = {"x": value, "n": 1}
        text = json.dumps({"name": "t", "arguments": arguments}, separators=(",", ":"))
        assert oracle.accepts(compiled.text, text) is right, value
        assert (not check_arguments(schema, arguments)) is right, value
    assert not oracle.accepts(compiled.text, '{"name":"t","arguments":{}}')
    assert check_arguments(schema, {})


def test_draft_3s_required_is_the_objects() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string", "required": True}, "b": {"type": "string", "required": False}},
    }
    compiled = compile_tool_calls([Tool("t", "", schema)])
    assert oracle.accepts(compiled.text, '{"name":"t","arguments":{"a":""}}')
    assert not oracle.accepts(compiled.text, '{"name":"t","arguments":{}}')
    assert check_arguments(schema, {})
    assert not check_arguments(schema, {"a": ""})


def test_a_list_of_names_that_slipped_into_the_properties_is_read_as_required() -> None:
    schema = {"type": "object", "properties": {"coin": {"type": "string"}, "required": ["coin"]}}
    compiled = compile_tool_calls([Tool("t", "", schema)])
    assert not oracle.accepts(compiled.text, '{"name":"t","arguments":{}}')
    assert oracle.accepts(compiled.text, '{"name":"t","arguments":{"coin":"x"}}')
    assert not check_arguments(schema, {"coin": "x"})
