"""Which tools of a request are near its question."""

from __future__ import annotations

import pytest

from portico_engine import Tool
from portico_gateway.agent.upstream_tool_host import embedder
from portico_gateway.guidance.call_guide import CallGuide
from portico_gateway.guidance.tool_nearness import ToolNearness, server_of
from portico_gateway.guidance.weights import DEFAULT_WEIGHTS


def tool(name: str, description: str, required: tuple[str, ...] = (), /, **properties: object) -> Tool:
    return Tool(name, description, {"type": "object", "properties": properties, "required": list(required)})


TEXT = {"type": "string"}
SHAPES = [
    {
        "properties": {
            "table": {"const": "members"},
            "aggregate": {"enum": ["none", "count"]},
            "order_by": {"enum": ["name", "city"]},
        }
    },
    {
        "properties": {
            "table": {"const": "loans"},
            "aggregate": {"enum": ["none", "count"]},
            "order_by": {"enum": ["due", "fee"]},
        }
    },
]
ASK = {"type": "object", "required": ["table"], "anyOf": SHAPES}
CODE = tool(
    "code__search", "Search source code. Which function or class does this? What does it raise?", ("query",), query=TEXT
)
DOCS = tool("docs__search", "Search documentation: guides, manuals. How do I install or configure it?", ("query",), query=TEXT)
READ = tool("docs__read", "Read a documentation page.", ("path",), path=TEXT)
ROWS = tool("db__rows", "Count, filter or list the data in the tables. How many are there?", ("ask",), ask=ASK)
WEATHER = tool("sky__forecast", "The weather forecast of a city.", ("city",), city=TEXT)
TOOLS = [CODE, DOCS, READ, ROWS]


@pytest.fixture(scope="module")
def guide() -> CallGuide:
    return CallGuide(embedder().embed)


def best(guide: CallGuide, tools: list[Tool], question: str) -> str:
    prior = guide.guide(tools, question, tuned=True).prior
    assert prior is not None
    return max(prior.names, key=lambda name: prior.names[name])


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("How many members are there?", "db__rows"),
        ("Which members live in which city", "db__rows"),
        ("How do I configure the cache?", "docs__search"),
        ("Which function does fill_bitmask raise its error in?", "code__search"),
        ("What will the weather be in Oslo?", "sky__forecast"),
    ],
)
def test_a_tool_is_near_by_the_questions_and_the_words_that_it_shows(guide: CallGuide, question: str, name: str) -> None:
    assert best(guide, [*TOOLS, WEATHER], question) == name


def test_tools_that_show_no_question_are_near_by_their_definition_alone() -> None:
    nearness = ToolNearness(embedder().embed, DEFAULT_WEIGHTS)
    silent = [WEATHER, READ]
    assert nearness.of(silent, "Will it rain?") == nearness.definitions(silent, "Will it rain?", 30.0)


def test_the_search_is_told_by_its_server_s_questions_and_not_the_reader_beside_it() -> None:
    near = ToolNearness(embedder().embed, DEFAULT_WEIGHTS).of(TOOLS, "Which page tells how to read the documentation?")
    assert near["docs__search"] > near["docs__read"]


def test_a_name_spelled_as_in_code_is_not_taken_for_data() -> None:
    nearness = ToolNearness(embedder().embed, DEFAULT_WEIGHTS)
    plain, spelled = (nearness.of(TOOLS, f"How many {name} are there?") for name in ("members", "member_list"))
    assert plain["db__rows"] - plain["code__search"] > spelled["db__rows"] - spelled["code__search"] + 3


def test_arguments_of_several_forms_are_said_in_the_question_s_words_even_to_a_model_that_has_learned_to_call(
    guide: CallGuide,
) -> None:
    prior = guide.guide(TOOLS, "How many members are there?", tuned=True).prior
    assert prior is not None
    assert prior.own_values
    assert set(prior.calls) == {"db__rows"}
    tables = prior.calls["db__rows"].values["ask.table"]
    assert tables["members"] > tables["loans"]


@pytest.mark.parametrize(("name", "server"), [("code__search", "code"), ("a__b__c", "a"), ("search", ""), ("get_weather", "")])
def test_a_server_is_what_stands_before_the_first_border(name: str, server: str) -> None:
    assert server_of(name) == server
