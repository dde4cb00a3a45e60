"""All of guidance for one call: the tool, and what its arguments may be."""

from __future__ import annotations

import pytest

from portico_engine import CallPrior, Tool
from portico_engine.grammar import check_arguments
from portico_gateway.agent.upstream_tool_host import embedder
from portico_gateway.guidance.call_guide import CallGuide


def tool(name: str, description: str, required: tuple[str, ...] = (), **properties: object) -> Tool:
    return Tool(name, description, {"type": "object", "properties": properties, "required": list(required)})


UNIT = {"enum": ["celsius", "kelvin"]}
WEATHER = tool("get_weather", "The weather of a city.", ("city",), city={"type": "string"}, unit=UNIT)
DELETE = tool("delete_file", "Deletes a file.", ("path",), path={"type": "string"})
READ = tool("read_file", "Reads the contents of a file.", ("path",), path={"type": "string"})


@pytest.fixture(scope="module")
def guide() -> CallGuide:
    return CallGuide(embedder().embed)


def best(names: dict[str, float]) -> str:
    return max(names, key=lambda name: names[name])


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("How warm is it in Oslo?", "get_weather"),
        ("What is in notes.txt?", "read_file"),
        ("Delete notes.txt", "delete_file"),
        ("Which files were deleted in notes.txt?", "read_file"),
    ],
)
def test_the_tool_is_the_one_that_the_question_is_about_and_a_write_where_it_asks_for_one(
    guide: CallGuide, question: str, name: str
) -> None:
    prior = guide.guide([DELETE, READ, WEATHER], question).prior
    assert prior is not None
    assert best(dict(prior.names)) == name


def test_tools_keep_their_order_and_what_satisfies_them_satisfies_the_caller_s(guide: CallGuide) -> None:
    guided = guide.guide([DELETE, READ, WEATHER], "How warm is it in Oslo?")
    assert [t.name for t in guided.tools] == ["delete_file", "read_file", "get_weather"]
    narrowed = guided.tools[2].parameters
    assert narrowed["properties"] == WEATHER.parameters["properties"]
    assert narrowed["allOf"] == [{"properties": {"city": {"enum": ["Oslo"]}}}]


def test_where_several_calls_may_be_made_nothing_is_said_of_the_values_of_one(guide: CallGuide) -> None:
    guided = guide.guide([READ, WEATHER], "How warm is it in Oslo and in Rome?", several=True)
    assert guided.tools == (READ, WEATHER)
    assert guided.prior is not None
    assert not guided.prior.calls
    assert best(dict(guided.prior.names)) == "get_weather"


def test_a_model_that_has_learned_to_call_is_told_of_tools_and_weighed_whether_it_calls(guide: CallGuide) -> None:
    guided = guide.guide([READ, WEATHER], "How warm is it in Oslo?", tuned=True)
    assert guided.tools == (READ, WEATHER)
    assert guided.prior is not None
    assert (guided.prior.calls, guided.prior.own_values) == ({}, True)
    assert guided.prior.call == guide.weights.tuned.call < 0
    assert best(dict(guided.prior.names)) == "get_weather"


def test_either_half_can_be_switched_off(guide: CallGuide) -> None:
    names = CallGuide(embedder().embed, copies=False).guide([READ, WEATHER], "How warm is it in Oslo?")
    assert names.tools == (READ, WEATHER)
    assert names.prior is not None
    assert not names.prior.calls
    copies = CallGuide(embedder().embed, names=False).guide([READ, WEATHER], "How warm is it in Oslo?").prior
    assert copies is not None
    assert not copies.names


def test_what_nothing_said_fits_is_named(guide: CallGuide) -> None:
    assert guide.guide([READ, WEATHER], "?").free == {"read_file": ("path",), "get_weather": ("city",)}


def test_a_tool_without_parameters_is_left_as_it_is(guide: CallGuide) -> None:
    now = Tool("now", "The time.", {"type": "object", "properties": {}})
    assert guide.guide([now], "What time is it?").tools == (now,)


def test_a_tool_with_alternatives_is_left_to_whoever_weighs_those(guide: CallGuide) -> None:
    condition = {"type": "object", "properties": {"column": {"enum": ["city"]}, "value": {"type": "string"}}}
    rows = tool("rows", "Rows of a table.", (), filters={"type": "array", "items": condition})
    believed = CallPrior(values={"filters.column": {"city": 3.0}})
    of = guide.narrowed([rows], "customers in Oslo", {"rows": believed})["rows"]
    assert (of.tool, of.prior, of.in_words) == (rows, believed, True)


def test_what_was_found_earlier_may_be_copied_too(guide: CallGuide) -> None:
    earlier = "Found: the meeting is described in /srv/notes/meeting.md"
    narrowed = guide.narrowed([READ], "What was decided?", earlier=earlier)["read_file"]
    assert narrowed.tool.parameters["allOf"] == [{"properties": {"path": {"enum": ["/srv/notes/meeting.md"]}}}]
    assert guide.narrowed([READ], "What is in a.md?", earlier=earlier)["read_file"].prior.values["path"].keys() >= {"a.md"}


FILTERED = tool(
    "search",
    "Searches pages.",
    ("query",),
    query={"type": "string"},
    path={"type": "string", "default": ""},
    cursor={"type": "string"},
    language={"type": "string"},
)


def test_a_model_that_has_learned_to_call_is_kept_from_filters_that_nothing_speaks_for(guide: CallGuide) -> None:
    """A filter is the empty string where it isn't given; a cursor comes from an answer alone. Anything else is the model's."""
    searched = guide.guide([FILTERED, READ], "which option is on by default?", tuned=True).tools[0]
    assert searched.parameters["allOf"] == [{"properties": {"path": False, "cursor": False}}]
    assert check_arguments(searched.parameters, {"query": "option", "language": "en"}) == []
    assert check_arguments(searched.parameters, {"query": "option", "path": "default"})


def test_a_filter_that_the_question_spells_is_left_to_the_model(guide: CallGuide) -> None:
    searched = guide.guide([FILTERED, READ], "which option is on by default in the path docs/options.md?", tuned=True).tools[0]
    assert check_arguments(searched.parameters, {"query": "option", "path": "docs/options.md"}) == []


def test_what_was_found_may_give_a_cursor(guide: CallGuide) -> None:
    guided = guide.guide([FILTERED, READ], "which option is on by default?", "more with cursor c2VhcmNo", tuned=True)
    assert guided.tools == (FILTERED, READ)
