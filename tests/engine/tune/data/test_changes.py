"""What is changed in an example stays true: the call answers the question, or nothing does."""

from __future__ import annotations

import random
from typing import Any

import pytest

from portico_engine import Tool
from portico_engine.tune.data.changes.explaining import explained
from portico_engine.tune.data.changes.near_misses import near_miss
from portico_engine.tune.data.changes.noise import noisy
from portico_engine.tune.data.changes.options import with_unsaid_options
from portico_engine.tune.data.changes.renaming import renamed
from portico_engine.tune.data.example import Call
from portico_engine.tune.data.spec_file import schema_of

SEEDS = range(300)


def tool(**types: str) -> Tool:
    properties = {name: schema_of(kind) for name, kind in types.items()}
    return Tool(
        "find_restaurants", "Find restaurants near a place.", {"type": "object", "properties": properties, "required": []}
    )


def ways(kind: str, value: Any) -> dict[str, Any]:
    """By description, how a value is written under it."""
    found = {}
    for seed in SEEDS:
        made, (arguments,) = explained(tool(it=kind), {"it": kind}, [{"it": value}], random.Random(seed))
        about = made.parameters["properties"]["it"].get("description", "").removeprefix("It. ")
        found[about.split(" Default")[0].split(" (default")[0].split(" Optional")[0].rstrip(".")] = arguments["it"]
    return found


@pytest.mark.parametrize(
    ("kind", "value", "about", "written"),
    [
        ("string@date", "2024-03-07", "The date in MM/DD/YYYY format", "03/07/2024"),
        ("string@date", "2024-03-07", "The day, as in 'May 17, 2024'", "March 7, 2024"),
        ("string@date", "2024-03-07", "The date, in YYYY-MM-DD format", "2024-03-07"),
        ("string@clock", "00:05", "Time, such as '7:30 PM'", "12:05 AM"),
        ("string@clock", "12:30", "Time, such as '7:30 PM'", "12:30 PM"),
        ("string@city", "Boston", "Location in the format 'City, State' (US) or 'City, Country'", "Boston, MA"),
        ("number@rate", 0.07, "In percent, e.g. 5 for 5%", 7),
        ("number@rate", 0.07, "As a decimal, e.g. 0.05 for 5%", 0.07),
        ("number@percent", 7, "As a decimal, e.g. 0.05 for 5%", 0.07),
        ("cheap|dear", "dear", "It: 1 = cheap, 2 = dear", None),
        ("[string@word]*1..3", ["a", "b"], "The it, separated by commas", "a,b"),
    ],
)
def test_a_value_is_written_as_its_description_says(kind: str, value: Any, about: str, written: Any) -> None:
    if written is None:
        coded = {text: code for text, code in ways(kind, value).items() if " = " in text}
        assert coded
        assert all(f"{code} = {value}" in text for text, code in coded.items())
        return
    assert ways(kind, value)[about] == written


def test_a_city_whose_region_is_not_known_is_not_asked_for_with_one() -> None:
    assert all(written == "Nowhere" for written in ways("string@city", "Nowhere").values())


def test_options_are_added_only_where_no_word_of_the_question_could_be_meant_for_them() -> None:
    for seed in SEEDS:
        more = with_unsaid_options(
            tool(city="string@city"), "Find three open places in English, sorted by price", random.Random(seed)
        )
        added = set(more.parameters["properties"]) - {"city"}
        assert not added & {"language", "lang", "status", "sort_by", "order", "region", "country"}
        assert not set(more.parameters["required"]) & added


def test_a_near_miss_is_named_and_described_as_something_else_and_takes_the_same() -> None:
    own = tool(city="string@city")
    for seed in SEEDS:
        almost = near_miss(own, random.Random(seed))
        assert almost is not None
        assert "restaurants" not in almost.name
        assert "restaurants" not in almost.description
        assert almost.parameters == own.parameters
    assert near_miss(Tool("frobnicate", "Frobnicates.", own.parameters), random.Random(1)) is None


def test_a_renamed_call_keeps_its_values_under_the_keys_of_its_tool() -> None:
    call = Call(tool(city="string@city", max_price="integer@1..9"), {"city": "Oslo", "max_price": 3})
    for seed in SEEDS:
        new = renamed(call, random.Random(seed))
        assert list(new.arguments.values()) == ["Oslo", 3]
        assert list(new.arguments) == list(new.tool.parameters["properties"])


def test_noise_leaves_what_a_call_copies() -> None:
    for seed in SEEDS:
        said = noisy(
            "Please remind me to Feed the Lemurs tomorrow morning.", [{"text": "Feed the Lemurs"}], random.Random(seed)
        )
        assert "Feed the Lemurs" in said
