from __future__ import annotations

import mcp_types as types
from tests.gateway.agent.fakes import HIT, LIST_CALL, SEARCH_CALL, FakeEngine, FakeHost, hits, kinds, run

from portico_gateway.agent.conversation import Exchange, KeptCall
from portico_gateway.agent.events import AnswerText, QuestionUnderstood, RunFinished, ToolCallFinished, ToolCallStarted
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


LAST = Exchange("Where is `free` called?", "In a.py.", (KeptCall("code__search", {"query": "free"}),))


def test_a_follow_up_says_what_it_was_understood_as_and_makes_the_last_call_again() -> None:
    host, engine = FakeHost(hits(HIT)), FakeEngine("def free(self):")
    events = run(engine, host, question="And `free_all`?", history=[LAST])
    assert events[0] == QuestionUnderstood("And `free_all`?", "Where is `free_all` called?")
    assert host.called == [("code__search", {"query": "free_all"})]
    assert len(engine.requests) <= 1, "the call itself needs no model"
    end = events[-1]
    assert isinstance(end, RunFinished)
    assert (end.question, end.asked) == ("Where is `free_all` called?", "And `free_all`?")


def test_where_the_last_call_again_finds_nothing_the_model_writes_one_of_the_same_tool() -> None:
    host, engine = FakeHost(hits(), hits(HIT)), FakeEngine(SEARCH_CALL, "def free(self):")
    run(engine, host, question="And `free_all`?", history=[LAST])
    assert [name for name, _ in host.called] == ["code__search", "code__search"]
    grammar = engine.requests[0].grammar
    assert grammar is not None
    assert "docs__list" not in grammar.text


def test_a_question_that_stands_by_itself_is_asked_as_it_is() -> None:
    events = run(FakeEngine(SEARCH_CALL, "def free(self):"), FakeHost(hits(HIT)), history=[LAST])
    assert not any(isinstance(event, QuestionUnderstood) for event in events)
