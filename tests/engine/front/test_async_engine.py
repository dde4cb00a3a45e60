from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.engine.fake_executor import FakeExecutor, FakeStep
from tests.engine.fakes import fake_adapter, fake_engine, solitary, tokens_of
from tests.engine.faulty_executor import FaultyExecutor

from portico_engine import AsyncEngine, Delta, EngineError, FinishReason, Request, RequestError, UnknownAdapter
from portico_engine.front.engine_thread import EngineThread
from portico_engine.plan import StepPlan


def within(seconds: float, main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, seconds))


@dataclass
class GatedExecutor(FakeExecutor):
    """Waits for a permission before each step."""

    gate: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def submit(self, plan: StepPlan) -> FakeStep:
        self.arrived.release()
        assert self.gate.acquire(timeout=60)
        return super().submit(plan)


async def collect(engine: AsyncEngine, request: Request) -> list[Delta]:
    return [delta async for delta in engine.generate(request)]


def test_requests_in_flight_together_get_their_solitary_answers() -> None:
    async def main() -> None:
        requests = [Request(str(i), (5, 6, 7 + i), max_tokens=10 + i) for i in range(6)]
        async with AsyncEngine(fake_engine()) as engine:
            answers = await asyncio.gather(*(collect(engine, request) for request in requests))
        assert [tokens_of(deltas) for deltas in answers] == [solitary(request) for request in requests]
        assert all(deltas[-1].finish_reason is FinishReason.LENGTH for deltas in answers)

    within(60, main())


def test_an_adapter_is_loaded_and_unloaded_while_requests_run() -> None:
    async def main() -> None:
        executor = GatedExecutor(vocab_size=269, n_adapters=2)
        async with AsyncEngine(fake_engine(executor)) as engine:
            before = asyncio.create_task(collect(engine, plain := Request("before", (5,), max_tokens=20)))
            await asyncio.to_thread(executor.arrived.acquire)
            loading = asyncio.create_task(engine.load_adapter("a", Path("a")))
            executor.gate.release(1000)
            info = await loading
            assert await engine.adapters() == (info,)
            adapted = Request("with", (5,), adapter="a", max_tokens=20)
            deltas = await collect(engine, adapted)
            await engine.unload_adapter("a")
            with pytest.raises(UnknownAdapter):
                await collect(engine, adapted)
            assert tokens_of(deltas) == solitary(adapted, adapter=fake_adapter(Path("a")))
            assert tokens_of(await before) == solitary(plain)

    within(60, main())


def test_closing_the_iterator_aborts_the_request() -> None:
    async def main() -> None:
        inner = fake_engine()
        async with AsyncEngine(inner) as engine:
            async with contextlib.aclosing(engine.generate(Request("a", (5,), max_tokens=200))) as stream:
                await anext(stream)
            running = await engine.run_sync(lambda: inner.stats()["running"])
        assert running == 0

    within(60, main())


def test_cancelling_the_task_aborts_the_request() -> None:
    async def main() -> None:
        executor = GatedExecutor(vocab_size=269)
        inner = fake_engine(executor)
        async with AsyncEngine(inner) as engine:
            task = asyncio.create_task(collect(engine, Request("a", (5,), max_tokens=200)))
            await asyncio.to_thread(executor.arrived.acquire)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            executor.gate.release(1000)
            assert await engine.run_sync(lambda: inner.stats()["running"]) == 0

    within(60, main())


def test_a_refused_request_raises_at_the_first_delta_and_others_go_on() -> None:
    async def main() -> None:
        async with AsyncEngine(fake_engine()) as engine:
            with pytest.raises(RequestError, match="empty"):
                await collect(engine, Request("a", ()))
            good = Request("a", (5,), max_tokens=3)
            assert tokens_of(await collect(engine, good)) == solitary(good)

    within(60, main())


def test_a_duplicate_id_is_refused_without_harm_to_the_first() -> None:
    async def main() -> None:
        executor = GatedExecutor(vocab_size=269)
        async with AsyncEngine(fake_engine(executor)) as engine:
            first = Request("a", (5,), max_tokens=5)
            task = asyncio.create_task(collect(engine, first))
            await asyncio.to_thread(executor.arrived.acquire)
            second = asyncio.create_task(collect(engine, Request("a", (6,))))
            await asyncio.sleep(0)  # it has been handed over, while the first is held in its step
            executor.gate.release(1000)
            with pytest.raises(RequestError, match="in flight"):
                await second
            assert tokens_of(await task) == solitary(first)

    within(60, main())


def test_a_broken_step_ends_every_stream_with_an_error_and_the_next_request_runs() -> None:
    async def main() -> None:
        executor = FaultyExecutor(vocab_size=269, most_tokens=0)
        async with AsyncEngine(fake_engine(executor)) as engine:
            answers = await asyncio.gather(*(collect(engine, Request(name, (5,), max_tokens=9)) for name in ("a", "b")))
            for deltas in answers:
                assert deltas[-1].finish_reason is FinishReason.ERROR
                assert "MemoryError" in (deltas[-1].error or "")
            executor.most_tokens = 64
            again = Request("c", (5,), max_tokens=3)
            assert tokens_of(await collect(engine, again)) == solitary(again)

    within(60, main())


def test_leaving_the_block_ends_what_is_in_flight_and_refuses_what_comes_after() -> None:
    async def main() -> None:
        executor = GatedExecutor(vocab_size=269)
        engine = AsyncEngine(fake_engine(executor))
        await engine.__aenter__()
        task = asyncio.create_task(collect(engine, Request("a", (5,), max_tokens=200)))
        await asyncio.to_thread(executor.arrived.acquire)
        leaving = asyncio.create_task(engine.__aexit__())
        await asyncio.sleep(0)  # lets it ask for the end, while the step is held
        executor.gate.release(1000)
        await leaving
        assert (await task)[-1].finish_reason is FinishReason.CANCELLED
        assert executor.closed
        with pytest.raises(EngineError, match="closed"):
            await collect(engine, Request("b", (5,)))

    within(60, main())


def test_a_thread_that_dies_leaves_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        inner = fake_engine()
        async with AsyncEngine(inner) as engine:

            def broken(*_: object) -> None:
                monkeypatch.undo()
                raise OSError("no more")

            monkeypatch.setattr(EngineThread, "_tell", broken)
            deltas = await collect(engine, Request("a", (5,), max_tokens=9))
            assert deltas[-1].finish_reason is FinishReason.ERROR
            assert "no more" in (deltas[-1].error or "")
            with pytest.raises(EngineError, match="closed"):
                await collect(engine, Request("b", (5,)))
            assert await engine.ended() == "the engine's thread ended"

    within(60, main())


def test_an_idle_engine_saves_what_is_to_be_kept_by_itself(tmp_path: Path) -> None:
    async def main() -> None:
        executor = FakeExecutor(vocab_size=269)
        inner = fake_engine(executor, kv_dir=tmp_path)
        async with AsyncEngine(inner) as engine:
            await collect(engine, Request("a", tuple(range(3, 60)), max_tokens=3, keep=50))
            while await engine.run_sync(lambda: inner.has_work):
                pass
        assert [len(plan.kv_ops) for plan in executor.steps if not plan.rows] == [3]
        assert len(list(tmp_path.rglob("*.kv"))) == 3

    within(60, main())


def test_scores_and_functions_run_between_steps() -> None:
    async def main() -> None:
        inner = fake_engine()
        async with AsyncEngine(inner) as engine:
            (score,) = await engine.score((5, 6, 7), [[8, 9]])
            assert len(score) == 2
            with pytest.raises(ZeroDivisionError):
                await engine.run_sync(lambda: 1 // 0)
            assert await engine.run_sync(threading.get_ident) != threading.get_ident()

    within(60, main())
