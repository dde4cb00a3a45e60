"""All executors, one after the other; what fails costs its own figures alone."""

from __future__ import annotations

import pytest
from tests.gateway.http.fake_engine import FakeEngine

from portico_engine import AsyncEngine, EngineClient, EngineDied, ModelError
from portico_gateway.bench.run import run_bench
from portico_gateway.bench.workload import Workload

pytestmark = pytest.mark.anyio
SMALL = Workload((16,), (1,), 4, ((1, 1),), 1)


async def test_each_executor_is_opened_measured_and_closed_before_the_next(engine: FakeEngine) -> None:
    opened: list[tuple[str, bool]] = []
    said: list[str] = []

    async def open_engine(name: str) -> EngineClient:
        opened.append((name, engine.closed))
        return await AsyncEngine(engine).__aenter__()  # type: ignore[arg-type]

    run = await run_bench(["torch-cpu", "llama_cpp"], open_engine, SMALL, said.append)
    assert opened == [("torch-cpu", False), ("llama_cpp", True)]
    assert list(run.figures) == ["torch-cpu", "llama_cpp"]
    assert not run.problems
    assert "torch-cpu: prefill of 16 tokens" in said


@pytest.mark.parametrize(
    "error", [ModelError("no memory for it"), EngineDied("its process was killed"), ImportError("no torch")]
)
async def test_one_that_fails_says_why_and_the_others_are_measured(engine: FakeEngine, error: Exception) -> None:
    async def open_engine(name: str) -> EngineClient:
        if name == "llama_cpp":
            raise error
        return await AsyncEngine(engine).__aenter__()  # type: ignore[arg-type]

    run = await run_bench(["llama_cpp", "torch-cpu"], open_engine, SMALL, lambda _: None)
    assert list(run.figures) == ["torch-cpu"]
    assert run.problems == {"llama_cpp": str(error)}


async def test_the_record_names_what_it_was_measured_on(engine: FakeEngine) -> None:
    async def open_engine(name: str) -> EngineClient:
        return await AsyncEngine(engine).__aenter__()  # type: ignore[arg-type]

    record = (await run_bench(["torch-cpu"], open_engine, SMALL, lambda _: None)).record("digest", quick=True)
    assert (record.model, record.quick) == ("digest", True)
    assert record.machine
    assert record.versions["portico"]
    assert set(record.figures) == {"torch-cpu"}
