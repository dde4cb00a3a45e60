from __future__ import annotations

import pytest
from tests.gateway.agent.fakes import HIT, SEARCH_CALL, FakeEngine, FakeHost, hits, run

from portico_engine import FinishReason
from portico_gateway.agent.events import RunFinished
from portico_gateway.errors import GatewayError


def test_a_failing_engine_is_an_error_of_ours_with_its_reason() -> None:
    with pytest.raises((GatewayError, ExceptionGroup), match="it broke"):
        run(FakeEngine(("", FinishReason.ERROR)), FakeHost())


def test_figures_add_up_over_the_generations() -> None:
    events = run(FakeEngine(SEARCH_CALL, "In a.py."), FakeHost(hits(HIT)))
    end = events[-1]
    assert isinstance(end, RunFinished)
    figures = end.metrics
    assert (figures.completion_tokens, figures.sampled_steps, figures.forced_share) == (8, 6, 0.25)
    assert figures.tokens_per_second == 8.0
