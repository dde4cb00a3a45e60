from __future__ import annotations

import json
from collections.abc import Sequence

from tests.gateway.agent.fakes import HIT, SEARCH_CALL, FakeEngine, FakeHost, hits, kinds, run

from portico_engine import FinishReason, Tool
from portico_gateway.agent.events import RunFinished, ToolCallFinished
from portico_gateway.guidance.question_readings import QuestionReading


def test_a_call_that_was_cut_by_length_is_never_run() -> None:
    host = FakeHost()
    events = run(FakeEngine(('{"name":"code__search","argu', FinishReason.LENGTH)), host)
    assert kinds(events) == [ToolCallFinished, RunFinished]
    assert host.called == []


def test_a_call_that_its_schema_refuses_gets_one_more_try_and_is_never_run() -> None:
    host = FakeHost()
    wrong = json.dumps({"name": "code__search", "arguments": {"query": 3}})
    engine = FakeEngine(wrong, wrong)
    events = run(engine, host)
    assert kinds(events) == [ToolCallFinished, RunFinished]
    end = events[-1]
    assert isinstance(end, RunFinished)
    assert "not valid" in (end.tool_calls[0].error or "")
    assert (len(engine.requests), host.called) == (2, [])


def test_a_valid_second_try_is_run() -> None:
    host = FakeHost(hits(HIT))
    wrong = json.dumps({"name": "code__search", "arguments": {"query": 3}})
    run(FakeEngine(wrong, SEARCH_CALL, "In a.py."), host)
    assert len(host.called) == 1


def test_a_call_is_narrowed_to_how_its_server_reads_the_question_and_its_tool_preferred() -> None:
    host = FakeHost(hits(HIT))
    arguments = {"query": "the pool"}
    schema = {"type": "object", "properties": {"query": {"const": "the pool"}}, "required": ["query"]}
    host.readings["code__search"] = QuestionReading(arguments, schema, ("free",), ())
    engine = FakeEngine(json.dumps({"name": "code__search", "arguments": arguments}), "In a.py.")
    run(engine, host)
    assert host.called == [("code__search", arguments)]
    request = engine.requests[0]
    assert request.grammar is not None
    assert request.prior is not None
    assert "the pool" in request.grammar.text
    assert request.prior.names["code__search"] > request.prior.names["docs__list"]


def test_what_a_reading_does_not_allow_is_never_run() -> None:
    host = FakeHost()
    schema = {"type": "object", "properties": {"query": {"const": "the pool"}}, "required": ["query"]}
    host.readings["code__search"] = QuestionReading({"query": "the pool"}, schema, ("free",), ())
    run(FakeEngine(SEARCH_CALL, SEARCH_CALL), host)
    assert host.called == []


class NeedsMore(FakeHost):
    """Its only tool needs a number that the question doesn't say."""

    def tools(self) -> Sequence[Tool]:
        schema = {"type": "object", "properties": {"level": {"type": "integer"}}, "required": ["level"]}
        return [Tool("tank__measure", "Measure.", schema)]


def test_a_tool_that_needs_what_the_question_does_not_say_is_not_called() -> None:
    host, engine = NeedsMore(), FakeEngine()
    events = run(engine, host)
    assert kinds(events) == [RunFinished]
    assert (host.called, engine.requests) == ([], [])
