from __future__ import annotations

import mcp_types as types
from tests.gateway.agent.fakes import HIT, LIST_CALL, SEARCH_CALL, FakeEngine, FakeHost, hits, kinds, run

from portico_gateway.agent.events import AnswerText, RunFinished, ToolCallFinished, ToolCallStarted
from portico_gateway.errors import UpstreamDied


def test_a_question_becomes_a_call_a_result_an_answer_and_sources() -> None:
    host = FakeHost(hits(HIT))
    events = run(FakeEngine(SEARCH_CALL, "In a.py."), host)
    assert kinds(events) == [ToolCallStarted, ToolCallFinished, AnswerText, RunFinished]
    end = events[-1]
    assert isinstance(end, RunFinished)
    assert (end.found, end.answer) == (True, "In a.py.")
    assert [s.label for s in end.citations] == ["a.py:3"]
    assert host.called == [("code__search", {"query": "free"})]


def test_an_empty_result_leads_to_another_tool_and_then_to_not_found() -> None:
    engine = FakeEngine(SEARCH_CALL, LIST_CALL)
    events = run(engine, FakeHost(hits(), hits()), max_steps=2)
    assert kinds(events) == [ToolCallStarted, ToolCallFinished, ToolCallStarted, ToolCallFinished, RunFinished]
    end = events[-1]
    assert isinstance(end, RunFinished)
    assert (end.found, end.answer) == (False, "")
    second = engine.requests[1].grammar
    assert second is not None
    assert "code__search" not in second.text, "a tool that found nothing is not asked again"


def test_a_server_that_dies_in_mid_call_is_named_and_the_others_go_on() -> None:
    events = run(
        FakeEngine(SEARCH_CALL, LIST_CALL, "Listed."), FakeHost(UpstreamDied("code", "ended (exit code 1)"), hits(HIT))
    )
    failed = events[1]
    assert isinstance(failed, ToolCallFinished)
    assert failed.error == "server 'code' ended (exit code 1)"
    end = events[-1]
    assert isinstance(end, RunFinished)
    assert end.found


def test_an_error_result_is_not_shown_as_found() -> None:
    broken = types.CallToolResult(content=[types.TextContent(type="text", text="no such table")], is_error=True)
    events = run(FakeEngine(SEARCH_CALL), FakeHost(broken), max_steps=1)
    end = events[-1]
    assert isinstance(end, RunFinished)
    assert (end.found, end.tool_calls[0].error) == (False, "no such table")
