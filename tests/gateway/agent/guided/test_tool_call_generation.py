from __future__ import annotations

import json

from tests.gateway.agent.fakes import HIT, SEARCH_CALL, FakeEngine, FakeHost, hits, kinds, run

from portico_engine import FinishReason
from portico_gateway.agent.events import RunFinished, ToolCallFinished


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
