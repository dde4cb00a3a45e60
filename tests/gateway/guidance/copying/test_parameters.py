"""What is read in a tool's schema, and for how long."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from portico_engine import Tool
from portico_gateway.guidance.call_guide import CallGuide
from portico_gateway.guidance.copying.parameters import SchemaReading, read_schema

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "number": {"type": "integer", "minimum": 1, "maximum": 99, "description": "Of the parcel."},
        "day": {"$ref": "#/$defs/day"},
        "note": {"type": "string"},
    },
    "required": ["number"],
    "$defs": {"day": {"type": "string", "pattern": "^[a-z]+day$"}},
}


def read(schema: dict[str, Any]) -> SchemaReading:
    return read_schema(Tool("parcel", "", schema))


def test_the_same_schema_of_another_request_is_not_read_again() -> None:
    assert read(copy.deepcopy(SCHEMA)) is read(SCHEMA)


def test_a_very_long_schema_is_read_each_time_and_kept_by_nobody() -> None:
    long = {**SCHEMA, "properties": {**SCHEMA["properties"], "kind": {"enum": [f"kind {n}" for n in range(5_000)]}}}
    first, second = read(long), read(long)
    assert first is not second
    assert first.parameters == second.parameters


def test_a_schema_that_has_no_text_is_read_too() -> None:
    deep: dict[str, Any] = {}
    for _ in range(5_000):
        deep = {"items": deep}
    odd = {**SCHEMA, "properties": {**SCHEMA["properties"], "size": {"type": "integer", "maximum": 10**5_000}, "deep": deep}}
    assert [p.path for p in read(odd).parameters] == ["number", "day", "note", "size", "deep"]


def test_a_schema_whose_keys_stand_in_another_order_is_another() -> None:
    turned = {**SCHEMA, "properties": dict(reversed(SCHEMA["properties"].items()))}
    assert [p.path for p in read(turned).parameters] == ["note", "day", "number"]
    assert [p.path for p in read(SCHEMA).parameters] == ["number", "day", "note"]


def test_a_parameter_takes_what_its_own_schema_does_value_after_value() -> None:
    number, day, note = read(SCHEMA).parameters
    assert [number.takes(value) for value in (1, 99, 0, 100, "1")] == [True, True, False, False, False]
    assert [day.takes(value) for value in ("monday", "Monday", "friday")] == [True, False, True]
    assert note.takes("anything")


def test_a_second_question_embeds_only_what_is_its_own() -> None:
    embedded: list[str] = []

    def embed(texts: Sequence[str]) -> npt.NDArray[np.float32]:
        embedded.extend(texts)
        return np.ones((len(texts), 2), np.float32)

    guide = CallGuide(embed)
    tools = [Tool("move_parcel", "Move a parcel to another day.", SCHEMA), Tool("read_parcel", "Read a parcel.", SCHEMA)]
    guide.guide(tools, "Move number 17 to Monday")
    embedded.clear()
    guide.guide(copy.deepcopy(tools), "Move number 18 to Friday")
    assert embedded
    assert not [text for text in embedded if "parcel" in text.lower()]
    assert len(set(embedded)) == len(embedded) - embedded.count("Move number 18 to Friday") + 1
