"""Questions over our three servers: each call is one that its tool takes, and says what the question asks for."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from portico_engine import Tool
from portico_engine.tune.data.example import Example
from portico_engine.tune.data.row_checks import satisfies
from portico_engine.tune.data.rows import Neighbours, Row, RowMaker
from portico_engine.tune.data.sources.own_servers import Symbol, Table, Workspace, read_workspaces, server_examples


def tool(name: str, required: tuple[str, ...], /, **properties: object) -> Tool:
    return Tool(name, f"What {name} does.", {"type": "object", "properties": properties, "required": list(required)})


TEXT = {"type": "string"}
ASK = {
    "type": "object",
    "properties": {
        "table": {"enum": ["boats"]},
        "aggregate": {"enum": ["none", "count", "avg", "sum"]},
        "columns": {"type": "array", "items": {"enum": ["name", "length_m", "built"]}},
        "filters": {"type": "array"},
        "group_by": {"enum": ["name"]},
        "order_by": {"enum": ["length_m", "built"]},
        "order": {"enum": ["asc", "desc"]},
        "limit": {"type": "integer"},
    },
    "required": ["table"],
    "additionalProperties": False,
}
TOOLS = (
    tool("code__search", ("query",), query=TEXT),
    tool("code__find_symbol", ("name",), name=TEXT),
    tool("code__find_references", ("name",), name=TEXT),
    tool("code__outline", ("path",), path=TEXT),
    tool("docs__search", ("query",), query=TEXT),
    tool("db__rows", ("ask",), ask=ASK),
    tool("db__tables", ()),
    tool("db__describe", ("table",), table={"enum": ["boats"]}),
)
BOATS = Table("boats", {"name": "text", "length_m": "number", "built": "date"}, {"name": ["Tern", "Skua"]})
HARBOUR = Workspace(
    TOOLS,
    (Symbol("open_sluice", "function", "locks/gate.py"), Symbol("Harbour", "class", "harbour.py")),
    ("Mooring a boat", "Opening hours"),
    ("--tide", "berth.length"),
    (BOATS,),
)


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    return list(server_examples([HARBOUR], random.Random(1), 120))


def test_every_call_is_one_that_its_tool_takes_with_all_of_the_tools_at_hand(examples: list[Example]) -> None:
    assert all(satisfies(call.arguments, call.tool.parameters) for example in examples for call in example.calls)
    assert all(example.offered == TOOLS for example in examples)


def test_every_server_is_asked_as_often_as_it_holds_enough_and_no_question_comes_twice(examples: list[Example]) -> None:
    called = Counter(example.calls[0].tool.name for example in examples)
    assert set(called) == {each.name for each in TOOLS}
    for server in ("code", "docs", "db"):
        assert sum(count for name, count in called.items() if name.startswith(server)) > 40
    assert len({example.question for example in examples}) == len(examples)


def test_a_search_gets_the_question_itself_without_its_end(examples: list[Example]) -> None:
    searches = [example for example in examples if example.calls[0].tool.name.endswith("__search")]
    assert searches
    for example in searches:
        query = example.calls[0].arguments["query"]
        assert example.question.startswith(query)
        assert not example.question[len(query) :].strip("?!. ")


def test_what_a_question_counts_or_looks_up_is_what_its_call_does(examples: list[Example]) -> None:
    asks = {
        example.question: example.calls[0].arguments["ask"] for example in examples if example.calls[0].tool.name == "db__rows"
    }
    assert asks["How many boats are there?"] == {"table": "boats", "aggregate": "count"}
    filtered = next(ask for question, ask in asks.items() if "Skua" in question and ask["aggregate"] == "none")
    assert filtered["filters"] == [{"column": "name", "op": "=", "value": "Skua"}]


def test_a_workspace_without_a_server_has_no_questions_about_it() -> None:
    without = Workspace(TOOLS[:5], HARBOUR.symbols, (), (), HARBOUR.tables)
    called = {example.calls[0].tool.name for example in server_examples([without], random.Random(2), 30)}
    assert called == {"code__search", "code__find_symbol", "code__find_references", "code__outline"}


def rows(examples: list[Example], renamed: float) -> list[Row]:
    maker = RowMaker(Neighbours(list(TOOLS)), [lambda tools: "\n".join(each.name for each in tools)], [1.0], 3, renamed=renamed)
    return [maker.as_listed(example) for example in examples]


def test_rows_keep_the_catalog_s_order_and_the_tool_that_is_called(examples: list[Example]) -> None:
    names = [each.name for each in TOOLS]
    made = rows(examples, renamed=0.0)
    for row in made:
        listed = row.prompt[0]["content"].splitlines()
        assert listed == [name for name in names if name in listed]
        assert json.loads(row.completion.strip("[]"))["name"] in listed
    assert any(len(row.tools) == len(TOOLS) for row in made)
    assert any(len(row.tools) < len(TOOLS) for row in made)


def test_servers_go_by_other_names_in_a_share_of_the_rows_and_stay_apart(examples: list[Example]) -> None:
    made = rows(examples, renamed=1.0)
    other = [row for row in made if {each.name.partition("__")[0] for each in row.tools} - {"code", "docs", "db"}]
    assert 0.2 < len(other) / len(made) < 0.6
    for row in other:
        assert len({each.name for each in row.tools}) == len(row.tools)
        assert json.loads(row.completion.strip("[]"))["name"] in {each.name for each in row.tools}


def test_what_the_program_writes_is_read_as_it_was(tmp_path: Path) -> None:
    told = {
        "tools": [{"name": each.name, "description": each.description, "parameters": each.parameters} for each in TOOLS],
        "symbols": [list(symbol) for symbol in HARBOUR.symbols],
        "headings": list(HARBOUR.headings),
        "terms": list(HARBOUR.terms),
        "tables": [{"name": BOATS.name, "columns": dict(BOATS.columns), "values": dict(BOATS.values)}],
    }
    (tmp_path / "workspaces.json").write_text(json.dumps([told]), encoding="utf-8")
    assert read_workspaces(tmp_path / "workspaces.json") == [HARBOUR]
