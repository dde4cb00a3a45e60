"""A scripted engine that answers grammars with a call of one of the benchmark's tools."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.gateway.http.fake_engine import FakeEngine

from portico_engine import Request

CALL = '{"name":"read_order","arguments":{"number":31,"with_author":true}}'
WRONG = '{"name":"read_order","arguments":{"number":"31"}}'


@pytest.fixture
def engine() -> FakeEngine:
    def script(request: Request) -> Sequence[str]:
        return [CALL] if request.grammar is not None else ["a", "b", "c"]

    return FakeEngine(script, context_length=100_000)
