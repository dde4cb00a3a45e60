from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from tests.gateway.agent.fakes import FakeHost, nothing

from portico_engine import Tool
from portico_gateway.agent.events import ToolCallFinished, ToolCallStarted
from portico_gateway.agent.guided.answers.answer_generation import QuotedAnswer, with_definition
from portico_gateway.agent.guided.answers.constant_values import defined_value
from portico_gateway.agent.guided.calls.constant_lookup import constant_lookup
from portico_gateway.agent.guided.extraction.candidate import AnswerCandidate
from portico_gateway.agent.guided.extraction.source_code.constants import OpenConstant
from portico_gateway.agent.rendered_results import RenderedResult

PLACE = "client.py:9: get\ntimeout: float = TIMEOUT,"


def tool(name: str, key: str) -> Tool:
    return Tool(name, name, {"type": "object", "properties": {key: {"type": "string"}}, "required": [key]})


class Host(FakeHost):
    def tools(self) -> Sequence[Tool]:
        return [tool("docs__lookup", "name"), tool("code__search", "query"), tool("code__symbol", "name")]


def called(by: str, hits: list[dict[str, Any]], **arguments: Any) -> ToolCallFinished:
    return ToolCallFinished(by, arguments, RenderedResult("", bool(hits), data={"hits": hits}), 0.1)


def answer(*constants: OpenConstant) -> QuotedAnswer:
    candidate = AnswerCandidate(PLACE, found=1.0, constants=constants)
    return QuotedAnswer(PLACE, candidate, (called("code__search", [{}], query="timeout?"),), parts=(candidate,))


def hit(path: str, line: int, text: str) -> dict[str, Any]:
    return {"path": path, "start_line": line, "text": text}


TIMEOUT = OpenConstant("TIMEOUT", "net/defaults")
LOOK_UP = ToolCallStarted("code__symbol", {"name": "TIMEOUT"})


def test_a_constant_is_looked_up_by_a_tool_of_the_same_server_that_needs_a_name_alone() -> None:
    assert constant_lookup(answer(TIMEOUT), Host(), (), nothing) == LOOK_UP


def test_each_constant_is_looked_up_once() -> None:
    made = called(LOOK_UP.tool, [], **LOOK_UP.arguments)
    assert constant_lookup(answer(TIMEOUT), Host(), [made], nothing) is None
    other = OpenConstant("RETRIES", "")
    assert constant_lookup(answer(TIMEOUT, other), Host(), [made], nothing) == ToolCallStarted(
        "code__symbol", {"name": "RETRIES"}
    )


def test_no_call_is_made_where_nothing_is_open_or_the_tool_writes() -> None:
    assert constant_lookup(answer(), Host(), (), nothing) is None
    host = Host()
    host.writes = {"code__symbol"}
    assert constant_lookup(answer(TIMEOUT), host, (), nothing) is None


@pytest.mark.parametrize(
    ("hits", "told"),
    [
        ([hit("src/net/defaults.py", 3, "TIMEOUT = 30.0")], "src/net/defaults.py:3: TIMEOUT = 30.0"),
        ([hit("src/net/defaults.py", 2, "RETRIES = 2\nTIMEOUT = 30.0")], "src/net/defaults.py:3: TIMEOUT = 30.0"),
        (
            [hit("tests/fake.py", 1, "TIMEOUT = 1"), hit("src/net/defaults.py", 3, "TIMEOUT = 30.0")],
            "src/net/defaults.py:3: TIMEOUT = 30.0",
        ),
        ([hit("a.py", 1, "TIMEOUT = 1"), hit("b.py", 1, "TIMEOUT = 2")], None),  # nobody knows which is meant
        ([hit("a.py", 1, "TIMEOUT = 1"), hit("b.py", 7, "TIMEOUT = 1")], "a.py:1: TIMEOUT = 1"),
        ([hit("a.py", 1, "wait(TIMEOUT)")], None),
        ([], None),
    ],
)
def test_its_value_is_told_with_its_place_where_there_is_one(hits: list[dict[str, Any]], told: str | None) -> None:
    assert defined_value(answer(TIMEOUT), called("code__symbol", hits, name="TIMEOUT")) == told


def test_the_value_stands_right_behind_the_place_that_names_it() -> None:
    call = called("code__symbol", [{}], name="TIMEOUT")
    found = with_definition(answer(TIMEOUT), "defaults.py:3: TIMEOUT = 30.0", call)
    assert found.text == f"{PLACE}\ndefaults.py:3: TIMEOUT = 30.0"
    assert found.beside == (call,)
    assert found.candidate is not None
    assert found.candidate.text == found.text
