from __future__ import annotations

from typing import Any

import pytest

from portico_engine import Tool
from portico_gateway.agent.conversation import KeptCall
from portico_gateway.agent.events import ToolCallStarted
from portico_gateway.agent.guided.calls.reused_call import of_same_tool, reused_call
from portico_gateway.agent.guided.questions.elliptical_question import Change, CompletedQuestion
from portico_gateway.guidance.tool_retrieval import RankedTool

ROWS = Tool(
    "db__rows",
    "",
    {
        "type": "object",
        "properties": {
            "country": {"type": "string"},
            "status": {"enum": ["cancelled", "shipped"]},
            "total": {"type": "number"},
            "dates": {"type": "array", "items": {"type": "string"}},
            "query": {"type": "string"},
        },
    },
)
OTHER = Tool("docs__search", "", {"type": "object"})


def again(arguments: dict[str, Any], *changes: Change) -> dict[str, Any] | None:
    call = reused_call(CompletedQuestion("q", KeptCall("db__rows", arguments), changes), [OTHER, ROWS])
    assert call is None or isinstance(call, ToolCallStarted)
    return None if call is None else call.arguments


@pytest.mark.parametrize(
    ("arguments", "change", "changed"),
    [
        ({"country": "France"}, Change("France", "Germany"), {"country": "Germany"}),
        ({"country": "france", "status": "shipped"}, Change("France", "Germany"), {"country": "Germany", "status": "shipped"}),
        ({"status": "cancelled"}, Change("cancelled", "shipped"), {"status": "shipped"}),
        ({"total": 100}, Change("100", "1,200"), {"total": 1200}),
        ({"query": "price in France"}, Change("France", "Germany"), {"query": "price in Germany"}),
        ({"query": "free_block"}, Change("`free_block`", "`allocate`"), {"query": "allocate"}),
    ],
)
def test_a_value_that_is_in_the_call_is_changed_there(
    arguments: dict[str, Any], change: Change, changed: dict[str, Any]
) -> None:
    assert again(arguments, change) == changed


@pytest.mark.parametrize(
    ("arguments", "change"),
    [
        ({"country": "FR"}, Change("France", "Germany")),  # meant by another name
        ({"dates": ["2023-01-01", "2024-01-01"]}, Change("2023", "2024")),  # a year as two dates
        ({"status": "cancelled"}, Change("cancelled", "returned")),  # its schema does not take it
        ({"total": 2023}, Change("in", "since")),
        ({"query": "Franceville"}, Change("France", "Germany")),
    ],
)
def test_a_call_that_meant_it_otherwise_is_written_anew(arguments: dict[str, Any], change: Change) -> None:
    assert again(arguments, change) is None


def test_all_changes_must_find_their_place() -> None:
    both = (Change("France", "Germany"), Change("2023", "2024"))
    assert again({"country": "France"}, *both) is None
    assert again({"country": "France", "query": "year 2023"}, *both) == {"country": "Germany", "query": "year 2024"}


def test_the_kept_call_stays_as_it_was() -> None:
    kept = KeptCall("db__rows", {"dates": ["France"]})
    assert reused_call(CompletedQuestion("q", kept, (Change("France", "Germany"),)), [ROWS]) is not None
    assert kept.arguments == {"dates": ["France"]}


@pytest.mark.parametrize(
    "completed", [None, CompletedQuestion("q", None, ()), CompletedQuestion("q", KeptCall("db__rows", {}), None)]
)
def test_without_a_call_and_what_changed_there_is_nothing_to_reuse(completed: CompletedQuestion | None) -> None:
    ranked = [RankedTool(OTHER, 1.0), RankedTool(ROWS, 0.0)]
    assert reused_call(completed, [ROWS]) is None
    assert of_same_tool(ranked, completed) == ranked


def test_a_tool_that_is_gone_is_not_called_and_one_that_is_there_is_offered_alone() -> None:
    completed = CompletedQuestion("q", KeptCall("db__rows", {"country": "France"}), (Change("France", "Germany"),))
    assert reused_call(completed, [OTHER]) is None
    ranked = [RankedTool(OTHER, 1.0), RankedTool(ROWS, 0.0)]
    assert of_same_tool(ranked, completed) == [ranked[1]]
    assert of_same_tool(ranked[:1], completed) == ranked[:1]
