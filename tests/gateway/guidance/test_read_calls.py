"""A guided call with readings: the server that knows is preferred, and its tool is told what the server proposes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from portico_engine import Tool, ToolCallPrior
from portico_engine.grammar import check_arguments
from portico_gateway.guidance.guided_call import GuidedCall
from portico_gateway.guidance.question_evidence import QuestionEvidence
from portico_gateway.guidance.question_readings import FoundPlace, FoundPlaces, QuestionReading, Readings
from portico_gateway.guidance.read_calls import with_readings
from portico_gateway.guidance.weights import DEFAULT_WEIGHTS

QUERY = {
    "type": "object",
    "properties": {"query": {"type": "string", "maxLength": 60}, "path": {"type": "string"}},
    "required": ["query"],
}
ASK = {"type": "object", "properties": {"ask": {"type": "object"}}, "required": ["ask"]}
TOOLS = (
    Tool("code__search", "Search code.", QUERY),
    Tool("code__outline", "Outline.", {"type": "object", "properties": {}}),
    Tool("docs__search", "Search pages.", QUERY),
    Tool("db__rows", "Rows.", ASK),
    Tool("files__read", "Read.", {"type": "object", "properties": {}}),
)
QUESTION = "which padding do fragile parcels get"
PLACE = FoundPlaces((FoundPlace("packing.md Fragile parcels", "Which padding they get: two sheets."),))
ELSEWHERE = FoundPlaces((FoundPlace("pool.py BlockPool", "free blocks"),))
CALL = {"ask": {"table": "parcel"}}
ROWS = QuestionReading(CALL, {**ASK, "properties": {"ask": {"const": CALL["ask"]}}}, ("fragile",), ("padding", "parcels"))


def alike(question: str) -> QuestionEvidence:
    """Before which each word says as much, and no two texts are alike."""
    return QuestionEvidence(
        question, lambda texts: np.zeros((len(texts), 2), np.float32), lambda words: np.full(len(words), 10.0, np.float32)
    )


def read(readings: Readings, question: str = QUESTION) -> GuidedCall:
    guided = GuidedCall(TOOLS, ToolCallPrior({tool.name: 0.0 for tool in TOOLS}, {}), {"db__rows": ("ask",)})
    return with_readings(guided, question, readings, alike(question), DEFAULT_WEIGHTS.readings)


def names(guided: GuidedCall) -> dict[str, float]:
    assert guided.prior is not None
    return dict(guided.prior.names)


def test_all_tools_of_the_server_that_knows_are_preferred_and_of_those_that_do_not_held_back() -> None:
    found = names(read({"code__search": ELSEWHERE, "docs__search": PLACE, "db__rows": ROWS}))
    assert found["docs__search"] == 0.0
    assert found["code__search"] == found["code__outline"] < found["files__read"] < 0.0, "nobody was asked about the files"
    assert found["code__search"] < found["db__rows"] < 0.0


def test_which_of_its_tools_is_called_the_words_say() -> None:
    guided = GuidedCall(TOOLS, ToolCallPrior({"code__search": -1.0, "code__outline": 0.0}, {}))
    found = with_readings(guided, QUESTION, {"code__search": PLACE}, alike(QUESTION), DEFAULT_WEIGHTS.readings)
    assert names(found) == {"code__search": -1.0, "code__outline": 0.0}


@pytest.mark.parametrize(
    ("tool", "right", "wrong"),
    [
        ("docs__search", {"query": QUESTION}, {"query": "padding"}),
        ("docs__search", {"query": QUESTION, "path": "a"}, {"path": "a"}),
        ("db__rows", CALL, {"ask": {"table": "customer"}}),
    ],
)
def test_a_tool_takes_what_was_read_alone(tool: str, right: dict[str, object], wrong: dict[str, object]) -> None:
    guided = read({"docs__search": PLACE, "db__rows": ROWS})
    schema = next(each.parameters for each in guided.tools if each.name == tool)
    assert not check_arguments(schema, right)
    assert check_arguments(schema, wrong)
    assert not guided.free, "a proposed call lacks nothing"


def test_a_search_that_can_not_be_told_the_whole_question_is_left_as_it_is() -> None:
    guided = read({"docs__search": PLACE}, QUESTION * 3)
    assert guided.tools == TOOLS


def test_nothing_read_changes_nothing() -> None:
    guided = GuidedCall(TOOLS, ToolCallPrior({"code__search": -1.0}, {}))
    assert with_readings(guided, "", {}, alike(""), DEFAULT_WEIGHTS.readings) is guided
    none = replace(guided, prior=None)
    assert with_readings(none, "", {"code__search": PLACE}, alike(""), DEFAULT_WEIGHTS.readings) is none
