from __future__ import annotations

from typing import Any

import pytest
from tests.gateway.agent.fakes import nothing

from portico_engine import Tool
from portico_gateway.agent.citations import Citation
from portico_gateway.agent.events import ToolCallFinished, ToolCallStarted
from portico_gateway.agent.guided.answers.answer_generation import QuotedAnswer
from portico_gateway.agent.guided.calls.follow_up import follow_up
from portico_gateway.agent.guided.calls.things import found_thing
from portico_gateway.agent.guided.extraction.candidate import AnswerCandidate
from portico_gateway.agent.rendered_results import RenderedResult


def tool(name: str, **required: Any) -> Tool:
    return Tool(name, name, {"type": "object", "properties": required, "required": list(required)})


STRING = {"type": "string"}
READ = tool("files__read", path=STRING)
SHOW = tool("git__show", repo_path=STRING, revision=STRING)
OPEN = tool("memory__open", names={"type": "array", "items": STRING})
SEARCH = tool("files__search", query=STRING)


def call(text: str, data: dict[str, Any] | None = None, **arguments: Any) -> ToolCallFinished:
    return ToolCallFinished("any__tool", arguments, RenderedResult(text, True, data=data), 0.1)


@pytest.mark.parametrize(
    ("question", "found", "tools", "expected"),
    [
        (
            "How many eggs for pancakes?",
            call("a/soup.md\na/pancakes.md"),
            [SEARCH, READ],
            ("files__read", {"path": "a/pancakes.md"}),
        ),
        (
            "Which file did the fix of empty lines change?",
            call("commit 1234abc9\nadd totals\n\ncommit 99fe1234\nskip empty lines", repo_path="tally"),
            [READ, SHOW],
            ("git__show", {"repo_path": "tally", "revision": "99fe1234"}),
        ),
        (
            "Who owns the cabin?",
            call('{"relations":[{"from_name":"Cabin","to_name":"Ines_Brandao"}]}', names=["Cabin"]),
            [OPEN],
            ("memory__open", {"names": ["Ines_Brandao"]}),
        ),
    ],
)
def test_what_a_result_names_is_read_by_a_tool_that_takes_it(
    question: str, found: ToolCallFinished, tools: list[Tool], expected: tuple[str, dict[str, Any]]
) -> None:
    assert follow_up(question, found, tools, [found], nothing) == ToolCallStarted(*expected)


def test_a_call_that_was_made_is_not_made_again() -> None:
    made = ToolCallFinished("files__read", {"path": "a/pancakes.md"}, RenderedResult("", False), 0.1)
    assert follow_up("pancakes", call("a/pancakes.md"), [READ], [made], nothing) is None


def test_a_number_of_pages_is_no_page() -> None:
    assert follow_up("How many pages?", call("8 pages", {"libraries": [{"pages": 8}]}), [READ], [], nothing) is None


def test_rows_and_hits_have_contents_and_are_not_read_on() -> None:
    assert follow_up("pancakes", call("a.md", {"hits": [{"path": "a.md"}]}), [READ], [], nothing) is None


@pytest.mark.parametrize(
    ("columns", "row", "thing"),
    [
        (["subject", "count"], ["History", 12], "History"),
        (["id", "first_name", "last_name"], [3, "Ada", "Byron"], "Ada Byron"),
        (["OrderID", "Freight"], [10372, 890.5], "10372"),
        (["count"], [12], None),
    ],
)
def test_a_row_is_named_by_its_first_text_or_its_key_and_a_count_names_nothing(
    columns: list[str], row: list[Any], thing: str | None
) -> None:
    found = call("", {"columns": columns, "rows": [row]})
    assert found_thing(QuotedAnswer("", None, (found,)), "Which is the largest?") == thing


def test_a_text_is_named_by_what_its_question_does_not_say() -> None:
    assert (
        found_thing(QuotedAnswer("a.py:3: class SSLError(ConnectionError)", None, ()), "parent of SSLError")
        == "ConnectionError"
    )


@pytest.mark.parametrize(
    ("question", "trail", "text", "thing"),
    [
        ("Which option hides the bar?", ("Progress", "Hiding the bar"), "Use hide_progress for that.", "hide_progress"),
        ("Which option hides the bar?", ("Progress", "Hiding the bar"), "That can be switched off.", None),  # no thing's name
        ("Which option hides the bar?", ("Options", "--no-progress"), "Nothing is drawn.", "--no-progress"),
        ("Find the section about hiding the bar", ("Progress", "Without a bar"), "Use hide_progress.", "Without a bar"),
    ],
)
def test_a_title_is_a_thing_where_a_page_is_sought_or_it_is_a_name(
    question: str, trail: tuple[str, ...], text: str, thing: str | None
) -> None:
    place = Citation({"title_trail": trail}, "page.md#x", None, text)
    assert found_thing(QuotedAnswer(text, AnswerCandidate(text, place), ()), question) == thing
