from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import mcp_types as types
import pytest
from tests.gateway.agent.fakes import EVER_SO_UNSURE, LIST, SEARCH, SEARCH_CALL, FakeEngine, FakeHost, hits, run

from portico_engine import Tool
from portico_gateway.agent.events import RunFinished, ToolCallFinished, ToolCallStarted
from portico_gateway.agent.guided.calls.other_searches import in_whole, narrower_search, other_searches, search_instead
from portico_gateway.agent.rendered_results import RenderedResult

QUERY = {"type": "string", "maxLength": 60}
SEARCHES = {"type": "object", "properties": {"query": QUERY}, "required": ["query"]}
DOCS = Tool("docs__search", "Search pages. 'What is the default?'", SEARCHES)
READ = Tool("docs__read", "Read.", {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]})
TOOLS = [SEARCH, DOCS, READ, LIST]
ASKABLE = replace(SEARCH, description="Search source code. Where is it implemented?")
FIND = Tool("code__find", "Find.", {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]})
ASKABLE_TOOLS = [ASKABLE, DOCS, READ, FIND]
ASKED = "Which default has the pump?"


def done(tool: str, **arguments: object) -> ToolCallFinished:
    return ToolCallFinished(tool, dict(arguments), RenderedResult("", True), 0.0)


def server_of(tool: str) -> str:
    return tool.split("__")[0]


def asked(call: ToolCallFinished, question: str = ASKED, tools: Sequence[Tool] = TOOLS) -> list[ToolCallStarted]:
    return other_searches(question, call, tools, server_of)


def test_a_search_is_followed_by_the_searches_of_other_servers_with_the_whole_question() -> None:
    assert asked(done("code__search", query="pump")) == [ToolCallStarted("docs__search", {"query": ASKED})]
    assert ToolCallStarted("code__search", {"query": "pump"}) in asked(done("docs__search", query=ASKED))


def test_a_listing_is_followed_by_every_search() -> None:
    assert [call.tool for call in asked(done("docs__list"))] == ["code__search", "docs__search"]


@pytest.mark.parametrize("call", [done("files__read", path="a.md"), done("db__rows", table="pumps")])
def test_what_was_no_search_and_was_told_something_is_followed_by_none(call: ToolCallFinished) -> None:
    assert asked(call) == []


def test_a_question_that_is_no_valid_query_is_not_asked() -> None:
    assert asked(done("code__search", query="pump"), ASKED * 9) == []


def test_a_search_that_shows_no_questions_is_told_the_name_that_the_question_is_about() -> None:
    plain = Tool("memory__search", "Search nodes.", SEARCHES)
    for question, query in (
        ("What is Brightline's number?", "Brightline"),
        ("where is the key to the cabin?", "cabin"),
        ("Ingrid's coming on Saturday; what may she eat?", "Ingrid"),
        ("what's the gate for somebody?", "gate"),
    ):
        assert asked(done("code__search", query="x"), question, [SEARCH, plain]) == [
            ToolCallStarted("memory__search", {"query": query})
        ]


def test_what_has_not_just_the_name_is_searched_for_it_on_the_same_server() -> None:
    assert search_instead(done("docs__read", path="pump"), TOOLS, server_of) == ToolCallStarted(
        "docs__search", {"query": "pump"}
    )
    assert search_instead(done("docs__search", query="pump"), TOOLS, server_of) is None, "it was a search already"
    assert search_instead(done("db__rows", limit=3), TOOLS, server_of) is None, "there is no name"


def test_a_search_that_takes_questions_is_asked_the_whole_one() -> None:
    span = ToolCallStarted("code__search", {"query": "pump", "path": "src"})
    assert in_whole(ASKED, span, ASKABLE_TOOLS) == ToolCallStarted("code__search", {"query": ASKED, "path": "src"})


def test_a_search_that_shows_no_question_keeps_the_models_query() -> None:
    span = ToolCallStarted("code__search", {"query": "pump"})
    assert in_whole(ASKED, span, TOOLS) == span


def test_a_question_that_is_no_valid_query_leaves_the_models_query() -> None:
    tool = replace(DOCS, description="Search pages. What does the manual say?")
    span = ToolCallStarted("docs__search", {"query": "pump"})
    assert in_whole(ASKED * 9, span, [tool]) == span


def test_a_call_that_is_no_search_stays_as_it_is() -> None:
    call = ToolCallStarted("code__find", {"name": "pump"})
    assert in_whole(ASKED, call, ASKABLE_TOOLS) == call


def test_a_narrowed_search_is_followed_by_the_whole_question_to_the_same_one() -> None:
    narrowed = done("code__search", query=ASKED, path="src")
    assert [(c.tool, c.arguments) for c in asked(narrowed, tools=ASKABLE_TOOLS)] == [
        ("code__search", {"query": ASKED}),
        ("docs__search", {"query": ASKED}),
    ]


def test_the_whole_question_is_not_asked_twice() -> None:
    assert [call.tool for call in asked(done("code__search", query=ASKED), tools=ASKABLE_TOOLS)] == ["docs__search"]


def test_another_tool_of_a_server_whose_search_takes_questions_is_followed_by_every_search() -> None:
    assert [call.tool for call in asked(done("code__find", name="pump"), tools=ASKABLE_TOOLS)] == [
        "code__search",
        "docs__search",
    ]


class TwoSearches(FakeHost):
    """A search of code and one of documents."""

    def tools(self) -> Sequence[Tool]:
        return [SEARCH, DOCS]


def test_the_surest_answer_of_several_searches_is_given() -> None:
    page = {"path": "pump.md", "anchor": "pump", "line": 1, "title_trail": ["Pump"], "text": "The default of the pump is `5`."}
    code = {"root": "r", "path": "a.py", "start_line": 3, "text": "def free(self):"}
    host = TwoSearches(hits(code), hits(page))
    events = run(FakeEngine(SEARCH_CALL, "a.py:3: def free(self):", page["text"]), host, ASKED)
    assert host.called == [("code__search", {"query": "free"}), ("docs__search", {"query": ASKED})]
    end = events[-1]
    assert isinstance(end, RunFinished)
    assert end.answer == f"{page['text']}\n\na.py:3: def free(self):"  # the other one's best is told behind it


EASILY_SURE = replace(EVER_SO_UNSURE, confidence=replace(EVER_SO_UNSURE.confidence, sure=0.1))
DOCS_CALL = json.dumps({"name": "docs__search", "arguments": {"query": "pump"}})


def test_a_search_with_a_sure_answer_is_enough() -> None:
    text = types.TextContent(type="text", text="The default of the pump is 5 bar.")
    host = TwoSearches(types.CallToolResult(content=[text]))
    run(FakeEngine(DOCS_CALL, text.text), host, ASKED, weights=EASILY_SURE)
    assert [name for name, _ in host.called] == ["docs__search"]


def test_an_answer_of_documents_is_never_sure_before_the_search_of_code_was_asked() -> None:
    page = {"path": "pump.md", "anchor": "pump", "line": 1, "title_trail": ["Pump"], "text": "The default of the pump is `5`."}
    host = TwoSearches(hits(page), hits())
    run(FakeEngine(DOCS_CALL, page["text"]), host, ASKED, weights=EASILY_SURE)
    assert [name for name, _ in host.called] == ["docs__search", "code__search"]


class AskableSearches(TwoSearches):
    """The same, and the search of code takes questions."""

    def tools(self) -> Sequence[Tool]:
        return [ASKABLE, DOCS]


def test_a_search_that_finds_nothing_is_followed_by_the_others_without_the_model() -> None:
    page = {"path": "pump.md", "anchor": "pump", "line": 1, "title_trail": ["Pump"], "text": "The default of the pump is `5`."}
    host = AskableSearches(hits(), hits(page))
    events = run(FakeEngine(SEARCH_CALL, page["text"]), host, ASKED)
    assert host.called == [("code__search", {"query": ASKED}), ("docs__search", {"query": ASKED})]
    end = events[-1]
    assert isinstance(end, RunFinished)
    assert end.answer == page["text"]


def test_a_search_that_can_be_told_how_much_to_answer_has_room_for_what_is_read_here() -> None:
    def search(most: int) -> Tool:
        room = {"type": "integer", "maximum": most}
        schema = {**SEARCHES, "properties": {"query": QUERY, "max_tokens": room}}
        return Tool("docs__search", "Search pages. What is the default?", schema)

    roomy, narrow = search(8_000), search(500)
    assert asked(done("code__search", query="pump"), tools=[SEARCH, roomy]) == [
        ToolCallStarted("docs__search", {"query": ASKED, "max_tokens": 2_000})
    ]
    assert asked(done("code__search", query="pump"), tools=[SEARCH, narrow]) == [
        ToolCallStarted("docs__search", {"query": ASKED})
    ]
    call = in_whole(ASKED, ToolCallStarted("docs__search", {"query": "pump"}), [roomy])
    assert call.arguments == {"query": ASKED, "max_tokens": 2_000}


def test_a_search_that_found_nothing_is_made_again_with_fewer_words_as_long_as_there_are_some() -> None:
    search = Tool("club__search_newsletter", "Full-text search in the newsletter.", SEARCHES)
    made = [done(search.name, query="newsletter says about boulder cup")]
    again = narrower_search(made[-1], search, made)
    assert again == ToolCallStarted(search.name, {"query": "boulder cup"})
    made.append(done(search.name, query="boulder cup"))
    again = narrower_search(made[-1], search, made)
    assert again == ToolCallStarted(search.name, {"query": "cup"})
    made.append(done(search.name, query="cup"))
    assert narrower_search(made[-1], search, made) is None


def test_a_search_that_takes_questions_is_told_the_whole_one_and_no_less() -> None:
    made = [done("docs__search", query="pump of the default")]
    assert narrower_search(made[0], DOCS, made) is None
