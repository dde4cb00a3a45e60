"""The check after a call, where jsonschema alone would be wrong, and where it would raise."""

from __future__ import annotations

from typing import Any

import pytest

from portico_engine.grammar import ArgumentChecker, Violation, check, check_arguments


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"pattern": "^[0-9]+$"}, ["12"], ["12\n"]),
        ({"pattern": r"^\d$"}, ["3"], ["٣"]),
        ({"pattern": r"^\p{L}+$"}, ["é"], ["1"]),
        (
            {"patternProperties": {r"^\p{L}$": {"type": "integer"}}, "additionalProperties": False},
            [{"é": 1}],
            [{"é": ""}, {"1": 1}],
        ),
        ({"multipleOf": 0.01}, [0.07, 1.1, 4.35], [0.001]),
        ({"multipleOf": 1e-8}, [0.12345678], [0.123456785]),
        ({"type": "string", "nullable": True}, [None, "a"], [1]),
        ({"format": "date"}, ["2024-02-29", 5], ["2023-02-29"]),
        ({"format": "no-such-format"}, ["x"], []),
        ({"items": [{"type": "integer"}], "additionalItems": False}, [[1]], [["a"], [1, 2]]),
        ({"const": 1}, [1.0], [True]),
        (
            {"uniqueItems": True},
            [[], [1, True], [0, False], [{"a": 1}, {"a": True}], [[1], {"a": [1]}], [1, "1", None], "aa"],
            [[1, 1.0], [{"a": 1, "b": [2]}, {"b": [2.0], "a": 1}], [None, None], [[], []], [True, True]],
        ),
        ({"uniqueItems": False}, [[1, 1]], []),
    ],
)
def test_values_are_judged_as_json_schema_and_ecma_262_say(schema: Any, good: list[Any], bad: list[Any]) -> None:
    assert [value for value in good if check_arguments(schema, value)] == []
    assert [value for value in bad if not check_arguments(schema, value)] == []
    checker = ArgumentChecker(schema)  # one for all of them says the same
    assert [value for value in (*bad, *good, *bad) if not checker.violations(value)] == good


def test_a_violation_names_where_and_what() -> None:
    schema = {"properties": {"a/b": {"type": "array", "items": {"minimum": 3}}}}
    assert check_arguments(schema, {"a/b": [5, 1]}) == [Violation("/a~1b/1", "minimum", "1 is less than the minimum of 3")]


@pytest.mark.parametrize(
    "schema",
    [
        {"not": {"$id": "https://example.com/y"}, "$ref": "https://example.com/x"},
        {"not": {"$id": "https://example.com/y"}, "$ref": "#nowhere"},
    ],
)
def test_a_check_that_raises_is_a_failed_check_and_fetches_nothing(schema: Any) -> None:
    assert [v.message.startswith("the value could not be checked") for v in check_arguments(schema, "x")] == [True]
    checker = ArgumentChecker(schema)
    assert checker.violations("x") == checker.violations("x") == check_arguments(schema, "x")


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/nowhere"},
        {"$ref": "https://example.com/x"},
        {"pattern": "("},
        {"type": 5},
        {"$ref": "#"},
        {"$ref": "#nowhere"},
    ],
)
def test_a_keyword_that_cannot_be_read_is_not_checked(schema: Any) -> None:
    assert check_arguments(schema, "x") == []
    assert check_arguments({**schema, "maxLength": 0}, "x")


def test_a_value_that_nests_too_deeply_is_a_failed_check() -> None:
    value: Any = []
    for _ in range(5_000):
        value = [value]
    schema = {"$defs": {"t": {"type": "array", "items": {"$ref": "#/$defs/t"}}}, "$ref": "#/$defs/t"}
    assert check_arguments(schema, value)


def test_a_panic_of_native_code_within_is_a_failed_check(monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        pass

    def panics(*_: object) -> None:
        raise PanicException("__eq__ failed!")

    monkeypatch.setattr(check, "_validator", panics)
    (violation,) = check_arguments({"type": "string"}, "a")
    assert "could not be checked" in violation.message


def test_a_dialect_named_further_down_changes_nothing() -> None:
    inner = {"$schema": "http://json-schema.org/draft-04/schema#", "type": "string", "format": "date"}
    assert check_arguments({"properties": {"a": inner}}, {"a": "x"})
