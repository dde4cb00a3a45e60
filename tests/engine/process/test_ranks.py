"""An engine over two ranks in a child process: whichever process is killed, requests hear of it and nothing is left."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

from portico_engine import EngineDied, EngineProcess, FinishReason, Request, SamplingParams, engine_loader

PATIENCE = 60
SOON = 12.0  # seconds, on a busy machine
LONG = Request("a", tuple(range(5, 60)), SamplingParams(temperature=0, ignore_eos=True), max_tokens=190)


def within(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, PATIENCE))


def alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


async def gone(process: psutil.Process) -> bool:
    """Soon: it is no child of ours, which could be waited for."""
    for _ in range(int(SOON / 0.02)):
        if not alive(process):
            return True
        await asyncio.sleep(0.02)
    return False


@asynccontextmanager
async def two_ranks(path: Path) -> AsyncIterator[tuple[EngineProcess, psutil.Process]]:
    """The engine, and its other rank's process."""
    engine = await EngineProcess.open(engine_loader(path, executor="torch-cpu", devices=2))
    (other,) = psutil.Process(engine.pid).children(recursive=True)
    try:
        yield engine, other
    finally:
        await engine.aclose()
        assert await gone(other)
        assert not psutil.pid_exists(engine.pid)


def test_it_says_what_runs_and_answers(tiny_path: Path) -> None:
    async def main() -> None:
        async with two_ranks(tiny_path) as (engine, _):
            assert engine.info.numerics_id.endswith("-2ranks")
            assert engine.info.memory_plan is not None
            assert engine.info.memory_plan.startswith("on each of 2 devices: weights")
            deltas = [delta async for delta in engine.generate(LONG)]
            assert deltas[-1].finish_reason is FinishReason.LENGTH

    within(main())


def test_a_rank_killed_under_a_request_ends_it_with_an_error_that_says_so(tiny_path: Path) -> None:
    async def main() -> None:
        async with two_ranks(tiny_path) as (engine, other):
            said = ""
            begun = 0.0
            try:
                async for delta in engine.generate(LONG):
                    if not begun:
                        begun = time.monotonic()
                        other.send_signal(signal.SIGKILL)
                    said = delta.error or ""
            except EngineDied as error:
                said = str(error)
            assert "rank 1 of 2 was ended by SIGKILL" in said or "the engine's process ended" in said
            await engine.ended()
            assert time.monotonic() - begun < SOON

    within(main())


def test_a_rank_killed_between_requests_ends_the_engine_so_that_it_is_started_anew(tiny_path: Path) -> None:
    async def main() -> None:
        async with two_ranks(tiny_path) as (engine, other):
            other.send_signal(signal.SIGKILL)
            assert "the other devices that the model is spread over" in await asyncio.wait_for(engine.ended(), SOON)

    within(main())


def test_the_other_rank_ends_with_the_first(tiny_path: Path) -> None:
    async def main() -> None:
        async with two_ranks(tiny_path) as (engine, other):
            os.kill(engine.pid, signal.SIGKILL)
            await engine.ended()
            assert await gone(other)

    within(main())
