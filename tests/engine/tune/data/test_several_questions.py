"""Several calls of one tool in one request: no two alike, each taken by the tool, each value in the question."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from portico_engine import Tool
from portico_engine.tune.data.row_checks import RowChecks, satisfies
from portico_engine.tune.data.several_questions import ask_several
from portico_engine.tune.data.tool_questions import Origin, questions_over

TEXT, WHOLE = {"type": "string"}, {"type": "integer"}


def tool(name: str, about: str, required: list[str], **properties: Any) -> Tool:
    return Tool(name, about, {"type": "object", "properties": properties, "required": required})


TIDE = tool("tide", "Get the tide of a city", ["city"], city=TEXT, hours=WHOLE)
FERRY = tool("ferry", "Book a ferry for a person", ["author", "cabin"], author=TEXT, cabin=WHOLE, note=TEXT)


@pytest.mark.parametrize("one", [TIDE, FERRY])
def test_each_call_is_another_and_is_asked_for(one: Tool) -> None:
    rng = random.Random(1)
    made = [found for _ in range(200) if (found := ask_several(one, rng)) is not None]
    assert len(made) > 100
    for question, calls in made:
        assert 2 <= len(calls) <= 4
        assert len({json.dumps(call, sort_keys=True) for call in calls}) == len(calls)
        assert all(call.keys() == calls[0].keys() and satisfies(call, one.parameters) for call in calls)
        assert all(str(value) in question for call in calls for value in call.values() if isinstance(value, str))
        assert not set(question) & set("{}")


def test_what_all_calls_share_is_said_once() -> None:
    rng = random.Random(2)
    shared = 0
    for _ in range(200):
        question, calls = ask_several(FERRY, rng) or ("", [])
        if calls and len({call["author"] for call in calls}) == 1:
            assert question.count(calls[0]["author"]) == 1
            shared += 1
    assert shared > 10


@pytest.mark.parametrize(
    "one",
    [
        tool("ping", "Ask whether the server is there", []),
        tool("lamp", "Switch the lamp of the hall", ["on"], on={"type": "boolean"}),
        tool("side", "Choose a side of the road", ["side"], side={"type": "string", "enum": ["left", "right"]}),
        tool("blob", "Store an object in a bucket", ["object"], object={"type": "object"}),
        tool("x", "", ["city"], city=TEXT),
    ],
)
def test_a_tool_of_which_nothing_can_be_listed_has_none(one: Tool) -> None:
    assert all(ask_several(one, random.Random(seed)) is None for seed in range(30))


def test_rows_have_as_many_as_were_asked_for_and_the_others_stay() -> None:
    def rows(**shares: float) -> list[str]:
        made = questions_over([TIDE, FERRY], str, 100, seed=3, origin=Origin("here", "MIT"), **shares)
        return [row.completion for row in RowChecks().sound(made)]

    plain, more = rows(), rows(several=0.2)
    assert more[: len(plain)] == plain
    added = more[len(plain) :]
    assert len(added) == 20
    assert all(text.startswith("[{") and len(json.loads(text)) > 1 for text in added)
