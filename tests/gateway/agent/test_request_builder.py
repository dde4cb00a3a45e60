from __future__ import annotations

from tests.gateway.agent.fakes import HIT, SEARCH_CALL, FakeEngine, FakeHost, hits, run


def test_instructions_and_tools_are_kept_and_a_call_waits_for_its_result_in_memory() -> None:
    engine = FakeEngine(SEARCH_CALL, "a.py:3: def free(self):")
    run(engine, FakeHost(hits(HIT)))
    assert [(len(r.prompt), r.keep, r.pin > 0) for r in engine.requests] == [(2, 2, True), (4, 2, False)]
