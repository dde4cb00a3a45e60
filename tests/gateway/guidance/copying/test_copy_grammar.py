"""A tool narrowed to what a question says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portico_engine import Tool
from portico_engine.grammar import check_arguments, compile_tool_calls, sentences
from portico_gateway.agent.upstream_tool_host import embedder
from portico_gateway.guidance.call_guide import CallGuide
from portico_gateway.guidance.copying.copy_grammar import NarrowedTool


@pytest.fixture(scope="module")
def guide() -> CallGuide:
    return CallGuide(embedder().embed)


def narrowed(guide: CallGuide, question: str, required: tuple[str, ...] = (), /, **properties: Any) -> NarrowedTool:
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return guide.narrowed([Tool("t", "A tool.", schema)], question)["t"]


def offered(of: NarrowedTool) -> dict[str, Any]:
    """What each argument may be: the first is the best."""
    overlay = of.tool.parameters["allOf"][-1]["properties"]
    return {name: node["enum"] if isinstance(node, dict) and "enum" in node else node for name, node in overlay.items()}


def test_strings_and_numbers_are_spans_of_the_question(guide: CallGuide) -> None:
    number = {"type": "integer"}
    of = narrowed(guide, "area of a triangle with base 6 and height 10", ("base", "height"), base=number, height=number)
    values = offered(of)
    assert (values["base"][0], values["height"][0]) == (6, 10)
    assert {*values["base"], *values["height"]} == {6, 10}


@pytest.mark.parametrize(
    "question", ["What does TOMLFile.read return?", "How many streams does HTTP/2 have?", "what does take() do"]
)
def test_a_member_and_a_protocol_are_no_path(guide: CallGuide, question: str) -> None:
    path = {"type": "string", "description": "path of a file"}
    assert narrowed(guide, question, ("path",), path=path).free == ("path",)
    optional = narrowed(guide, question, ("query",), query={"type": "string"}, path=path)
    assert offered(optional)["path"] is False
    assert offered(narrowed(guide, "What does pool.py do?", ("path",), path=path))["path"] == ["pool.py"]


def test_an_optional_argument_that_nothing_speaks_for_can_not_be_written(guide: CallGuide) -> None:
    of = narrowed(guide, "What is in /tmp/x?", ("path",), path={"type": "string"}, encoding={"type": "string"})
    assert offered(of) == {"path": ["/tmp/x"], "encoding": False}


def test_a_list_is_whole(guide: CallGuide) -> None:
    strings = {"type": "array", "items": {"type": "string"}}
    of = narrowed(guide, "prices of Apple, Nokia and Ford", ("companies",), companies=strings)
    assert offered(of)["companies"] == [["Apple", "Nokia", "Ford"]]


def test_percent_is_what_the_description_says(guide: CallGuide) -> None:
    as_share = narrowed(guide, "at a rate of 20%", ("rate",), rate={"type": "number", "description": "The rate."})
    in_percent = narrowed(guide, "at a rate of 20%", ("rate",), rate={"type": "number", "description": "In percent."})
    assert (offered(as_share)["rate"][0], offered(in_percent)["rate"][0]) == (0.2, 20)


def test_indexed_parameters_are_filled_as_the_text_goes(guide: CallGuide) -> None:
    number = {"type": "integer"}
    of = narrowed(guide, "the common divisor of 36 and 24", ("number1", "number2"), number1=number, number2=number)
    assert [values[0] for values in offered(of).values()] == [36, 24]


def test_places_go_by_their_prepositions(guide: CallGuide) -> None:
    text = {"type": "string"}
    of = narrowed(guide, "a train to Oslo from Bergen", ("origin", "destination"), origin=text, destination=text)
    assert [values[0] for values in offered(of).values()] == ["Bergen", "Oslo"]


def test_a_value_that_its_schema_does_not_take_is_not_offered(guide: CallGuide) -> None:
    of = narrowed(guide, "the file notes.txt", ("code",), code={"type": "string", "pattern": "^[A-Z]{3}$"})
    assert of.free == ("code",)
    assert "allOf" not in of.tool.parameters


def test_a_boolean_is_said_or_denied(guide: CallGuide) -> None:
    hidden = {"type": "boolean", "description": "Also hidden files."}
    said = narrowed(guide, "list the files, also hidden ones", (), include_hidden=hidden)
    denied = narrowed(guide, "list the files without hidden ones", (), include_hidden=hidden)
    for of, word in ((said, "true"), (denied, "false")):
        weights = of.prior.bare["include_hidden"]
        assert max(weights, key=lambda name: weights[name]) == word
        assert of.prior.keys[""]["include_hidden"] > 0


SCALARS: list[dict[str, Any]] = [
    {"type": "string"},
    {"type": "string", "minLength": 4},
    {"type": "string", "pattern": "^[a-z]+$"},
    {"type": "integer", "minimum": 3},
    {"type": "number", "maximum": 10},
    {"type": "boolean"},
    {"enum": ["north", "south", 3]},
    {"anyOf": [{"type": "string"}, {"type": "null"}]},
    {"type": "array", "items": {"type": "string"}, "minItems": 2},
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
]


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["path", "city", "count", "rate", "names", "when"]), st.sampled_from(SCALARS), min_size=1),
    st.sampled_from(
        ["Move 5 boxes from Oslo to 'old store' at 20% on 2024-05-01", "", "red, green and blue", "is a@b.org north of /tmp/x?"]
    ),
    st.data(),
)
def test_every_call_of_the_narrowed_tool_is_valid_for_the_tool_itself(
    properties: dict[str, Any], question: str, data: st.DataObject
) -> None:
    required = data.draw(st.lists(st.sampled_from(sorted(properties)), unique=True))
    tool = Tool("t", "A tool.", {"type": "object", "properties": properties, "required": required})
    of = CallGuide(embedder().embed).narrowed([tool], question)["t"]
    compiled = compile_tool_calls([of.tool], choice="required")
    assert not compiled.report.failed
    for text in sentences(compiled.ir, 3, seed=1):
        assert not check_arguments(tool.parameters, json.loads(text)["arguments"])


def test_of_words_that_a_description_lists_one_is_taken_where_none_is_said(guide: CallGuide) -> None:
    kind = {"type": "string", "description": "Local branches ('local'), remote ones ('remote') or all ('all')."}
    example = {"type": "string", "description": "A city, e.g. 'paris' or 'rome'."}
    assert offered(narrowed(guide, "Show the branches", ("kind",), kind=kind))["kind"] == ["local", "remote", "all"]
    assert narrowed(guide, "Is it so?", ("city",), city=example).free == ("city",)


def test_what_one_argument_takes_is_not_offered_to_another(guide: CallGuide) -> None:
    zone = {"type": "string"}
    names = ("source_timezone", "target_timezone")
    of = offered(
        narrowed(guide, "What is 18:15 in Asia/Dubai for somebody in Asia/Kolkata?", names, **dict.fromkeys(names, zone))
    )
    assert (of["source_timezone"][0], of["target_timezone"]) == ("Asia/Dubai", ["Asia/Kolkata"])


def test_the_zone_of_the_time_is_where_a_conversion_starts(guide: CallGuide) -> None:
    names = ("source_timezone", "target_timezone")
    question = "What time is it in Asia/Tokyo when it is 08:00 in Asia/Dubai?"
    of = offered(narrowed(guide, question, names, **{key: {"type": "string"} for key in names}))
    assert (of["source_timezone"][0], of["target_timezone"][0]) == ("Asia/Dubai", "Asia/Tokyo")


def test_a_branch_is_no_folder(guide: CallGuide) -> None:
    string = {"type": "string"}
    of = narrowed(
        guide, "What changed on the branch feature/export of tally?", ("repo_path", "target"), repo_path=string, target=string
    )
    assert (offered(of)["repo_path"][0], offered(of)["target"][0]) == ("tally", "feature/export")
