"""One engine, measured: which requests it is sent, and what is made of its answers."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from tests.gateway.bench.conftest import WRONG
from tests.gateway.http.fake_engine import FakeEngine

from portico_engine import AsyncEngine, ModelInfo
from portico_gateway.bench.measurements import measure
from portico_gateway.bench.workload import Workload
from portico_gateway.errors import GatewayError

pytestmark = pytest.mark.anyio
SMALL = Workload((16, 32), (1, 4), 8, ((1, 2), (4, 8)), 1)


async def measured(engine: FakeEngine, workload: Workload = SMALL) -> dict[str, float]:
    said: list[str] = []
    async with AsyncEngine(engine) as client:  # type: ignore[arg-type]
        found = await measure(client, workload, said.append)
    assert said
    return found


async def test_every_figure_of_the_workload_is_there_and_above_nothing(engine: FakeEngine) -> None:
    found = await measured(engine)
    assert set(found) == {
        *("prefill_16", "prefill_32", "decode_1", "decode_4", "first_token_cold", "first_token_warm"),
        *(f"{name}_{clients}" for name in ("calls_per_second", "call_seconds", "calls_valid") for clients in (1, 4)),
    }
    assert all(value > 0 for value in found.values())


async def test_prompts_have_the_length_that_is_measured_and_nobody_has_read_them(engine: FakeEngine) -> None:
    await measured(engine)
    prefills = [request for request in engine.requests if request.max_tokens == 1 and len(request.prompt) in (16, 32)]
    assert [len(request.prompt) for request in prefills] == [16, 32]
    assert len({request.salt for request in prefills}) == 2


async def test_calls_share_their_prefix_are_seeded_and_constrained(engine: FakeEngine) -> None:
    found = await measured(engine)
    calls = [request for request in engine.requests if request.grammar is not None]
    assert len(calls) == 10
    assert len({request.salt for request in calls}) == 1
    assert len({request.prompt for request in calls}) == 10
    assert all(request.sampling.is_seeded for request in calls)
    assert found["calls_valid_4"] == 1.0


async def test_decoding_is_kept_from_ending_early(engine: FakeEngine) -> None:
    await measured(engine)
    decodes = [request for request in engine.requests if request.max_tokens == SMALL.decode_tokens]
    assert len(decodes) == 5
    assert all(dict(request.sampling.logit_bias) == {0: -100.0} for request in decodes)


async def test_a_call_that_its_tool_does_not_take_is_not_valid(engine: FakeEngine) -> None:
    engine.script = lambda request: [WRONG] if request.grammar is not None else ["a", "b"]
    assert (await measured(engine))["calls_valid_1"] == 0.0


async def test_more_rows_than_the_engine_has_are_not_measured(engine: FakeEngine) -> None:
    @dataclass
    class Narrow(FakeEngine):
        @property
        def info(self) -> ModelInfo:
            return ModelInfo("fake", "llama", 20, 256, 1, "F32", 1, "torch", "fake", extra={"max_rows": 2})

    found = await measured(Narrow(engine.script, context_length=100_000))
    assert "decode_1" in found
    assert "decode_4" not in found
    assert "prefill_32" not in found, "nor a prompt that is longer than its context"


async def test_a_request_that_fails_ends_it_with_what_failed(engine: FakeEngine) -> None:
    engine.script = lambda request: [RuntimeError("the device is gone")]
    with pytest.raises(GatewayError, match="a request failed"):
        await measured(engine)
