"""Questions over our three servers: each call is one that its tool takes, and says what the question asks for."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from portico_engine import Tool
from portico_engine.tune.data.example import Example
from portico_engine.tune.data.mixture import over_servers
from portico_engine.tune.data.row_checks import satisfies
from portico_engine.tune.data.rows import Neighbours, Row, RowMaker
from portico_engine.tune.data.sources.own_servers.about_code import about_code
from portico_engine.tune.data.sources.own_servers.about_data import about_data
from portico_engine.tune.data.sources.own_servers.asked import Asked
from portico_engine.tune.data.sources.own_servers.conditions import condition
from portico_engine.tune.data.sources.own_servers.examples import questions_over, server_examples
from portico_engine.tune.data.sources.own_servers.phrases import read_phrases
from portico_engine.tune.data.sources.own_servers.sentences import reworded, third_person
from portico_engine.tune.data.sources.own_servers.workspace import Column, Symbol, Table, Topic, Workspace, read_workspaces


def tool(name: str, required: tuple[str, ...], /, **properties: object) -> Tool:
    return Tool(name, f"What {name} does.", {"type": "object", "properties": properties, "required": list(required)})


TEXT = {"type": "string"}
ASK = {
    "type": "object",
    "properties": {
        "table": {"enum": ["boats"]},
        "aggregate": {"enum": ["none", "count", "avg", "sum", "min", "max", "count_distinct"]},
        "columns": {"type": "array", "items": {"enum": ["name", "length_m", "built", "ports.town"]}},
        "filters": {"type": "array"},
        "group_by": {"enum": ["name", "ports.town", "built.year", "built.month"]},
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
    tool("code__find_references", ("name",), name=TEXT, path=TEXT),
    tool("code__outline", ("path",), path=TEXT),
    tool("code__read", ("path",), path=TEXT, start={"type": "integer"}, end={"type": "integer"}, symbol=TEXT),
    tool("code__changed_since", ("ref",), ref=TEXT, path=TEXT),
    tool("docs__search", ("query",), query=TEXT),
    tool("docs__read", ("path",), path=TEXT),
    tool("docs__list", ()),
    tool("db__rows", ("ask",), ask=ASK),
    tool("db__tables", ()),
    tool("db__describe", ("table",), table={"enum": ["boats"]}),
    tool("db__query", ("sql",), sql=TEXT),
    tool("db__explain", ("sql",), sql=TEXT),
)
BOATS = Table(
    "boats", "boats", "boat", "name",
    {
        "name": Column("text", "name", values=("Tern", "Skua")),
        "length_m": Column("number", "length", "length", (7, 12, 30)),
        "built": Column("date", "built", values=("2015-03-02", "2020-11-20", "2021-01-05")),
        "ports.town": Column("text", "town", values=("Cork", "Ghent"), of="port"),
    },
)  # fmt: skip
HARBOUR = Workspace(
    TOOLS,
    (
        Symbol("open_sluice", "function", "locks/gate.py", 3, about="Open the sluice of a lock", raises=("GateStuck",),
               uses={"called": ("locks/keeper.py", 9)}),
        Symbol("shut", "method", "locks/gate.py", 30, "Gate"),
        Symbol("shut", "method", "locks/door.py", 4, "Door"),
        Symbol("HARBOUR_DEPTH", "constant", "harbour.py", 1),
    ),
    (
        Topic("heading", "Mooring a boat", "guide.md", "Mooring a boat"), Topic("term", "--tide", "guide.md", "--tide"),
        Topic("aim", "moor at night", "guide.md", "To moor at night, light a lamp."),
        Topic("case", "the tide falls", "guide.md", "If the tide falls, wait."),
        Topic("default", "--lamps", "guide.md", "`--lamps` is 2 by default."),
    ),
    (BOATS,),
)  # fmt: skip


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


def test_a_search_gets_the_sentence_that_asks_and_nothing_that_stands_around_it(examples: list[Example]) -> None:
    searches = [example for example in examples if example.calls[0].tool.name.endswith("__search")]
    assert searches
    for example in searches:
        query = example.calls[0].arguments["query"]
        assert query in example.question
        assert not query.endswith(("?", ".", "!", " "))
    assert any(example.question.index(example.calls[0].arguments["query"]) > 20 for example in searches)


def asked_of_boats(kind: str) -> list[tuple[str, dict[str, object]]]:
    made = [about_data(HARBOUR, random.Random(seed)) for seed in range(1500)]
    asks = [(each.question, each.arguments["ask"]) for each in made if each is not None and each.tool == "db__rows"]
    return [(question, ask) for question, ask in asks if ask["aggregate"] == kind]


def test_what_is_counted_is_what_the_question_says() -> None:
    asks = dict(asked_of_boats("count"))
    assert asks["How many boats are there?"] == {"table": "boats", "aggregate": "count"}
    ghent = {"column": "ports.town", "op": "=", "value": "Ghent"}
    assert any("Ghent" in question and ghent in ask.get("filters", ()) for question, ask in asks.items())
    grouped = next(ask for question, ask in asks.items() if "most common" in question)
    assert (grouped["limit"], "order_by" in grouped) == (1, False)


def test_the_longest_is_a_list_of_one_that_is_ordered_from_the_largest() -> None:
    asks = {question: ask for question, ask in asked_of_boats("none") if "longest" in question and "filters" not in ask}
    assert asks
    for ask in asks.values():
        assert (ask["columns"], ask["order_by"], ask["order"]) == (["name"], "length_m", "desc")


def test_every_bound_of_a_condition_is_in_its_words() -> None:
    made = [condition(BOATS, random.Random(seed)) for seed in range(600)]
    operators = set()
    for each in filter(None, made):
        for one in each.filters:
            operators.add(one["op"])
            assert str(one["value"])[:4] in each.words, each
    assert operators == {"=", "!=", "<", "<=", ">", ">="}


@pytest.mark.parametrize(("words", "operator"), [
    ("over", ">"), ("more than", ">"), ("at least", ">="), ("under", "<"), ("at most", "<="), ("before", "<"), ("after", ">"),
    ("longer than", ">"), ("shorter than", "<"),
])  # fmt: skip
def test_words_of_comparison_have_one_operator(words: str, operator: str) -> None:
    made = [each for seed in range(900) if (each := condition(BOATS, random.Random(seed))) and f" {words} " in f" {each.words}"]
    assert made
    assert {one["op"] for each in made for one in each.filters} == {operator}


def asked_of_code() -> list[Asked]:
    return [each for seed in range(900) if (each := about_code(HARBOUR, random.Random(seed))) is not None]


def test_a_name_that_several_classes_have_is_asked_for_with_its_class() -> None:
    names = {each.arguments["name"] for each in asked_of_code() if each.tool == "code__find_symbol"}
    assert {"Gate.shut", "Door.shut"} <= names
    assert "shut" not in names


def test_what_code_does_is_asked_for_in_the_words_of_its_docstring_alone() -> None:
    asked = [each.question for each in asked_of_code() if each.tool == "code__search" and "sluice" in each.question.lower()]
    described = [question for question in asked if "of a lock" in question]
    assert any("opens the sluice of a lock" in question for question in described)
    assert not any("open_sluice" in question for question in asked)


def test_uses_are_found_by_the_way_in_which_a_name_is_used() -> None:
    uses = [each for each in asked_of_code() if each.tool == "code__find_references"]
    assert {each.arguments["name"] for each in uses} == {"open_sluice"}
    assert all(each.finding is not None and each.finding.file == "locks/keeper.py" for each in uses)


@pytest.mark.parametrize(("said", "does", "do"), [
    ("Remove the last node", "removes the last node", "remove the last node"),
    ("Applies a patch", "applies a patch", "apply a patch"),
    ("Fetches the page", "fetches the page", "fetch the page"),
])  # fmt: skip
def test_a_docstring_is_an_order_or_a_report(said: str, does: str, do: str) -> None:
    assert third_person(said) == (does, do)


def test_a_sentence_that_tells_of_no_doing_is_none() -> None:
    assert third_person("The size of a page") is None


def test_words_are_exchanged_for_others_of_the_same_form() -> None:
    made = {reworded("removes the directory", random.Random(seed)) for seed in range(40)}
    assert {"deletes the folder", "drops the directory", "removes the directory"} <= made


def test_a_workspace_without_a_server_has_no_questions_about_it() -> None:
    without = Workspace(TOOLS, HARBOUR.symbols, (), HARBOUR.tables)
    called = {example.calls[0].tool.name for example in server_examples([without], random.Random(2), 30)}
    assert not any(name.startswith("docs") for name in called)


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
        "symbols": [symbol._asdict() for symbol in HARBOUR.symbols],
        "topics": [topic._asdict() for topic in HARBOUR.topics],
        "tables": [
            {"name": BOATS.name, "plural": BOATS.plural, "singular": BOATS.singular, "label": BOATS.label,
             "columns": {name: column._asdict() for name, column in BOATS.columns.items()}},
        ],
    }  # fmt: skip
    (tmp_path / "workspaces.json").write_text(json.dumps([told]), encoding="utf-8")
    (read,) = read_workspaces(tmp_path / "workspaces.json")
    assert (read.tools, read.topics) == (HARBOUR.tools, HARBOUR.topics)
    assert [symbol.uses for symbol in read.symbols] == [symbol.uses for symbol in HARBOUR.symbols]
    assert list(read.tables[0].columns) == list(BOATS.columns)


def test_nothing_of_a_form_is_left_open() -> None:
    every = [made.question for seed in range(400) for made in questions_over(HARBOUR, random.Random(seed), 3)]
    assert len(every) > 2000
    assert not [question for question in every if "{" in question or "  " in question or not question.strip("?. ")]


def test_a_name_is_written_as_it_is_wherever_it_stands() -> None:
    for made in (made for seed in range(200) for made in questions_over(HARBOUR, random.Random(seed), 3)):
        if "name" in made.arguments:
            assert made.arguments["name"] in made.question, made


def test_forms_are_told_from_keys() -> None:
    assert read_phrases("# about\n[one]\nWhat is {}?\n\n[two]\na\nb\n") == {"one": ["What is {}?"], "two": ["a", "b"]}


@pytest.mark.parametrize(("text", "what"), [("What is {}?\n", "below no"), ("[one]\na\n[one]\nb\n", "twice")])
def test_forms_that_are_no_forms_are_refused(text: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        read_phrases(text)


def test_a_few_questions_of_others_are_answered_by_none_of_our_tools() -> None:
    other = Example("Wake me at seven.", (), "elsewhere", "MIT")
    found = list(over_servers([HARBOUR], [other] * 40, random.Random(1), 100))
    none = [example for example in found if not example.calls]
    assert 0.02 < len(none) / len(found) < 0.08
    assert all(example.offered == TOOLS and example.origin == "elsewhere" for example in none)
    assert all(json.loads(row.completion)["name"] for row in rows(found[:20], renamed=0.0) if row.completion.startswith("{"))
