"""Models on demand: loaded for whoever asks, unloaded when nobody does, never beyond their memory, never under a request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from portico_engine.errors import ModelError
from portico_gateway.model.host import LoadStatus, ModelHost
from portico_gateway.model.pool import ModelPool, NoRoom

pytestmark = pytest.mark.anyio
GIB = 1 << 30


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Engine:
    """One that is there until it is closed."""

    def __init__(self) -> None:
        self.info = type("Info", (), {"extra": {}})()
        self.closed = asyncio.Event()

    async def ended(self) -> str:
        await self.closed.wait()
        return "closed"

    async def aclose(self) -> None:
        self.closed.set()


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def host(name: str, gib: float = 1, *, loads: list[str] | None = None, **more: Any) -> ModelHost:
    async def start(_progress: Callable[[str, float], None]) -> Any:
        if loads is not None:
            loads.append(name)
        return Engine()

    made = ModelHost(name, start, needed=lambda: int(gib * GIB), **more)
    made.status = LoadStatus("unloaded")
    return made


@asynccontextmanager
async def running(*hosts: ModelHost, gib: float = 10, clock: Clock | None = None) -> AsyncIterator[ModelPool]:
    pool = ModelPool(None, hosts, memory=int(gib * GIB), clock=clock or Clock())
    async with asyncio.timeout(10), pool.running():
        yield pool


async def stopped(one: ModelHost) -> None:
    while one.is_started:  # noqa: ASYNC110 - it has nobody to tell
        await asyncio.sleep(0)


async def use(pool: ModelPool, one: ModelHost) -> None:
    async with pool.using(one, 0.05):
        assert await one.engine(5) is not None


async def test_a_model_is_loaded_once_for_whoever_asks_first() -> None:
    loads: list[str] = []
    one = host("a", loads=loads)
    async with running(one, host("b", loads=loads)) as pool:
        assert one.status.state == "unloaded"
        await asyncio.gather(*(use(pool, one) for _ in range(5)))
        assert (loads, one.status.state) == (["a"], "ready")
    assert one.status.state == "unloaded"


async def test_a_model_is_found_by_all_its_names() -> None:
    one = host("a", aliases=("gpt-4", "small"))
    pool = ModelPool(None, [one])
    assert [pool.find(name) for name in ("a", "gpt-4", "small", "b")] == [one, one, one, None]


async def test_who_was_used_longest_ago_makes_room() -> None:
    clock = Clock()
    hosts = [host(name, 4) for name in "abc"]
    async with running(*hosts, gib=9, clock=clock) as pool:
        for one in (hosts[0], hosts[1], hosts[0], hosts[2]):
            clock.now += 1
            await use(pool, one)
        assert [one.is_started for one in hosts] == [True, False, True]


async def test_a_model_in_use_is_never_unloaded_and_the_other_waits_for_it() -> None:
    one, other = host("a", 6), host("b", 6)
    async with running(one, other, gib=10) as pool:
        async with pool.using(one, 1):
            await one.engine(1)
            with pytest.raises(NoRoom, match=r"b needs 6.0 GiB, and a in use leave less of 10.0 GiB"):
                await use(pool, other)
            waiting = asyncio.create_task(_use_patiently(pool, other))
            await asyncio.sleep(0)
            assert one.is_started
        await waiting
        assert (one.is_started, other.is_started) == (False, True)


async def _use_patiently(pool: ModelPool, one: ModelHost) -> None:
    async with pool.using(one, 5):
        await one.engine(5)


async def test_a_model_that_is_larger_than_the_bound_says_both_numbers() -> None:
    one = host("a", 11)
    async with running(one, gib=10) as pool:
        with pytest.raises(ModelError, match=r"a needs 11.0 GiB, and models on demand may take 10.0 GiB"):
            await use(pool, one)
        assert not one.is_started


async def test_a_model_that_nobody_uses_for_its_time_is_unloaded() -> None:
    clock = Clock()
    brief, long, always = host("brief", keep_alive=10), host("long", keep_alive=100), host("always")
    async with running(brief, long, always, clock=clock) as pool:
        for one in (brief, long, always):
            await use(pool, one)
        clock.now = 50
        await use(pool, long)  # which has the idle ones looked at
        await stopped(brief)
        assert (long.is_started, always.is_started) == (True, True)


async def test_keep_alive_0_unloads_behind_the_request() -> None:
    one = host("a", keep_alive=0)
    async with running(one) as pool:
        await use(pool, one)
        await stopped(one)
        await use(pool, one)  # and it comes again


async def test_a_model_that_could_not_be_loaded_is_tried_again_for_the_next_request() -> None:
    failing = [True]

    async def start(_progress: Callable[[str, float], None]) -> Any:
        if failing[0]:
            raise ModelError("no such file")
        return Engine()

    one = ModelHost("a", start)
    async with running(one) as pool:
        with pytest.raises(ModelError, match="no such file"):
            await use(pool, one)
        failing[0] = False
        await use(pool, one)
