from __future__ import annotations

import pytest
from tests.gateway.agent.fakes import HIT, SEARCH_CALL, FakeEngine, FakeHost, hits, run

from portico_engine.grammar.ir import Text
from portico_gateway.agent.events import RunFinished


def test_every_call_is_made_under_a_grammar_and_a_small_model_answers_in_quotations() -> None:
    engine = FakeEngine(SEARCH_CALL, "a.py:3: def free(self):")
    run(engine, FakeHost(hits(HIT)))
    answer = engine.requests[1].grammar
    assert engine.requests[0].grammar is not None
    assert answer is not None
    assert answer.ir is not None
    assert answer.ir.rules["root"] == Text("a.py:3: def free(self):")


def test_a_larger_model_answers_in_its_own_words() -> None:
    engine = FakeEngine(SEARCH_CALL, "In a.py.", parameters=8_000_000_000)
    run(engine, FakeHost(hits(HIT)))
    assert [r.grammar is not None for r in engine.requests] == [True, False]


def test_the_place_of_the_answer_is_its_first_source() -> None:
    other = {**HIT, "path": "b.py", "text": "freed = 1"}
    end = run(FakeEngine(SEARCH_CALL, "a.py:3: def free(self):"), FakeHost(hits(other, HIT)))[-1]
    assert isinstance(end, RunFinished)
    assert [citation.label for citation in end.citations][:1] == ["a.py:3"]


def test_the_model_chooses_only_among_passages_that_are_nearly_as_good_as_the_best() -> None:
    text = "- The pump is blue.\n- The valve opens at 5 bar of pressure.\n- Tea is served at four."
    page = {"path": "pump.md", "anchor": "pump", "line": 1, "title_trail": ["Pump"], "text": text}
    engine = FakeEngine(SEARCH_CALL, "The valve opens at 5 bar of pressure.")
    run(engine, FakeHost(hits(page)), "At which pressure does the valve open?")
    offered = engine.requests[1].grammar
    assert offered is not None
    assert "5 bar" in offered.text
    assert "Tea" not in offered.text


def test_a_best_candidate_that_is_longer_than_what_a_model_may_write_is_given_without_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("portico_gateway.agent.guided.answers.answer_generation.MAX_ANSWER_TOKENS", 3)
    engine = FakeEngine(SEARCH_CALL)
    end = run(engine, FakeHost(hits(HIT)))[-1]
    assert isinstance(end, RunFinished)
    assert len(engine.requests) == 1
    assert end.answer == "a.py:3: def free(self):"
