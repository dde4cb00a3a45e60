"""Which tool is called, once it is known what each could be called with."""

from __future__ import annotations

from dataclasses import replace

from portico_engine import Tool
from portico_gateway.agent.upstream_tool_host import embedder
from portico_gateway.guidance.call_guide import CallGuide
from portico_gateway.guidance.copying.text.spans import read_spans
from portico_gateway.guidance.tool_choice import change_weights, with_calls
from portico_gateway.guidance.weights import RetrievalWeights

WEIGHTS = RetrievalWeights(lacking=-4.0, vague=-2.0, reader=1.0, search=0.5, used=1.0, change_not_asked=-8.0, deprecated=-3.0)
NONE = replace(WEIGHTS, reader=0.0, search=0.0)


def tool(name: str, argument: str) -> Tool:
    return Tool(name, "", {"type": "object", "properties": {argument: {"type": "string"}}, "required": [argument]})


def weighed(question: str, *tools: Tool, weights: RetrievalWeights = NONE) -> dict[str, float]:
    narrowed = CallGuide(embedder().embed).narrowed(tools, question)
    return with_calls(dict.fromkeys((t.name for t in tools), 0.0), narrowed, read_spans(question), weights)


def test_a_tool_that_must_be_told_what_nothing_says_goes_behind_one_that_needs_no_telling() -> None:
    assert weighed("What time is it?", tool("at", "path"), Tool("now", "", {"type": "object"})) == {"at": -4.0, "now": 0.0}


def test_a_symbol_is_not_told_in_plain_words() -> None:
    vague, exact = "Which function merges ranges?", "Where is merge_ranges defined?"
    symbol, anything = tool("find_symbol", "symbol_name"), Tool("all", "", {"type": "object"})
    assert weighed(vague, symbol, anything)["find_symbol"] < 0.0 == weighed(exact, symbol, anything)["find_symbol"]


def test_a_call_that_takes_what_the_question_spells_out_goes_before_one_that_does_not() -> None:
    found = weighed("What is in notes.txt?", tool("contents", "path"), Tool("folders", "", {"type": "object"}))
    assert found == {"contents": 0.0, "folders": -5.0}  # it says nothing of it, too


def test_a_file_is_no_name_of_anything_else() -> None:
    found = weighed("Open notes.txt", tool("contents", "path"), tool("person", "name"))
    assert found["person"] < found["contents"]


def test_a_deprecated_tool_and_a_change_that_is_not_asked_for_count_less() -> None:
    old, delete, read = Tool("a", "DEPRECATED: use b.", {}), Tool("delete_a", "", {}), Tool("read_a", "", {})
    assert change_weights([old, delete, read], "what is in a?", WEIGHTS) == {"a": -3.0, "delete_a": -8.0, "read_a": 0.0}


def test_a_name_is_no_id_and_a_file_no_folder() -> None:
    found = weighed("When does Ada Lovelace's contract end?", tool("member", "member_id"), tool("find_member", "name"))
    assert found["member"] < found["find_member"] == 0.0
    found = weighed("What is in plan/notes.txt?", tool("directory_tree", "path"), tool("contents", "path"))
    assert found["directory_tree"] < found["contents"] == 0.0


def test_a_tool_that_is_told_nothing_goes_behind_where_something_is_spelled_out() -> None:
    listing = Tool("list_all", "", {"type": "object"})
    assert weighed("What is Ada Lovelace's job?", listing, tool("find", "name"))["list_all"] < 0.0
    assert weighed("What is there?", listing) == {"list_all": 0.0}
