"""A reader who doesn't read pauses its generation: others get its row, memory stays bounded, no token is lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncGenerator, Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.attacks.http_server import BODIES, CHAT, PATIENCE, running
from tests.engine.fake_executor import FakeExecutor
from tests.engine.fakes import fake_engine, solitary, tokens_of
from tests.engine.faulty_executor import FaultyExecutor
from tests.engine.process import process_loads as loads
from tests.gateway.http.fake_engine import FakeEngine

from portico_engine import AsyncEngine, Delta, EngineClient, EngineProcess, FinishReason, Request
from portico_engine.front import engine_thread, flow_control
from portico_engine.front.flow_control import WINDOW
from portico_servers.common import http_connection as connection

pytestmark = pytest.mark.attack("6 a stalled reader pauses its generation")
SHORT_WINDOW = 16


@pytest.fixture
def short_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_thread, "WINDOW", SHORT_WINDOW)
    monkeypatch.setattr(flow_control, "RECEIPT", 4)


def within(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, PATIENCE))


async def paused(engine: EngineClient, count: int) -> None:
    """Until so many requests are paused."""
    while (await engine.stats())["paused"] != count:  # noqa: ASYNC110 - it happens on another thread, or in another process
        await asyncio.sleep(0.005)


async def read_all(stream: AsyncGenerator[Delta, None]) -> list[Delta]:
    return [delta async for delta in stream]


async def stalled(engine: EngineClient, request: Request) -> tuple[Delta, AsyncGenerator[Delta, None]]:
    """A stream of which the first delta alone was read."""
    stream = engine.generate(request)
    return await anext(stream), stream


@pytest.mark.usefixtures("short_window")
def test_a_stalled_stream_stops_and_goes_on_where_it_was() -> None:
    async def main() -> None:
        request = Request("a", (5, 6, 7), max_tokens=200)
        async with AsyncEngine(fake_engine(rows=1)) as engine:
            first, stream = await stalled(engine, request)
            await paused(engine, 1)
            stats = await engine.stats()
            assert (stats["running"], stats["blocks_held"]) == (0, 0)
            assert stats["generated_tokens"] == SHORT_WINDOW
            other = Request("b", (9, 8), max_tokens=40)  # on the only row
            assert tokens_of(await read_all(engine.generate(other))) == solitary(other)
            assert tokens_of([first, *await read_all(stream)]) == solitary(request)

    within(main())


@pytest.mark.usefixtures("short_window")
def test_when_all_are_stalled_the_engine_rests_and_each_goes_on_when_it_is_read() -> None:
    async def main() -> None:
        inner = fake_engine(rows=2)
        requests = [Request(str(i), (5, 6, 7 + i), max_tokens=60, caller=f"caller {i % 2}") for i in range(7)]
        async with AsyncEngine(inner) as engine:
            streams = [await stalled(engine, request) for request in requests]
            await paused(engine, 7)
            assert not await engine.run_sync(lambda: inner.has_work)
            steps = (await engine.stats())["steps"]
            await asyncio.sleep(0.05)
            assert (await engine.stats())["steps"] == steps
            for request, (first, stream) in reversed(list(zip(requests, streams, strict=True))):
                assert tokens_of([first, *await read_all(stream)]) == solitary(request)

    within(main())


@pytest.mark.usefixtures("short_window")
def test_a_paused_stream_can_be_closed_and_its_id_used_again() -> None:
    async def main() -> None:
        inner = fake_engine()
        async with AsyncEngine(inner) as engine:
            _, stream = await stalled(engine, Request("a", (5,), max_tokens=200))
            await paused(engine, 1)
            await stream.aclose()
            await paused(engine, 0)
            again = Request("a", (5,), max_tokens=30)
            assert tokens_of(await read_all(engine.generate(again))) == solitary(again)
            await engine.run_sync(inner._scheduler.check_integrity)

    within(main())


@pytest.mark.usefixtures("short_window")
def test_a_paused_stream_hears_of_the_engines_end() -> None:
    async def main() -> None:
        engine = AsyncEngine(fake_engine())
        async with engine:
            _, stream = await stalled(engine, Request("a", (5,), max_tokens=200))
            await paused(engine, 1)
        assert (await read_all(stream))[-1].finish_reason is FinishReason.CANCELLED

    within(main())


@pytest.mark.usefixtures("short_window")
def test_a_paused_stream_ends_with_the_executor_that_fails() -> None:
    async def main() -> None:
        executor = FaultyExecutor(vocab_size=269)
        async with AsyncEngine(fake_engine(executor)) as engine:
            _, stream = await stalled(engine, Request("a", (5,), max_tokens=200))
            await paused(engine, 1)
            executor.most_tokens = 0
            await read_all(engine.generate(Request("b", (6,), max_tokens=12)))
            assert (await read_all(stream))[-1].finish_reason is FinishReason.ERROR

    within(main())


@pytest.mark.usefixtures("short_window")
def test_an_event_loop_that_stands_still_bounds_what_waits_for_it() -> None:
    async def main() -> None:
        async with AsyncEngine(fake_engine()) as engine:
            _, stream = await stalled(engine, Request("a", (5,), max_tokens=200))
            time.sleep(0.3)  # noqa: ASYNC251 - that is the attack
            assert (await engine.stats())["generated_tokens"] <= SHORT_WINDOW + 1
            await stream.aclose()

    within(main())


@pytest.mark.usefixtures("short_window")
def test_a_forced_run_longer_than_the_window_goes_on() -> None:
    """The window counts tokens: one delta may hold more than it."""

    async def main() -> None:
        from tests.engine.fakes import script

        forced = " ".join(str(5 + i) for i in range(3 * SHORT_WINDOW))
        request = Request("a", (5,), max_tokens=200, grammar=script(f"7|8 {forced} 7|8 {forced} 7|8"))
        async with AsyncEngine(fake_engine()) as engine:
            deltas = await read_all(engine.generate(request))
        assert deltas[-1].finish_reason is FinishReason.STOP
        assert len(tokens_of(deltas)) >= 6 * SHORT_WINDOW

    within(main())


def test_a_stalled_stream_stops_and_goes_on_through_the_child_process() -> None:
    async def main() -> None:
        requests = [Request(f"a{i}", (5, 6 + i), max_tokens=2 * WINDOW) for i in range(3)]
        engine = await EngineProcess.open(loads.load_long)
        async with contextlib.aclosing(engine):
            streams = [await stalled(engine, request) for request in requests]
            await paused(engine, 3)
            stats = await engine.stats()
            assert stats["running"] == 0
            assert 3 * WINDOW <= stats["generated_tokens"] <= 3 * (WINDOW + 1)
            assert max(queue.qsize() for queue in engine._streams.values()) <= WINDOW
            other = Request("b", (9, 8), max_tokens=40)
            assert tokens_of(await read_all(engine.generate(other))) == solitary(other)
            await streams.pop()[1].aclose()
            await paused(engine, 2)
            for request, (first, stream) in zip(requests, streams, strict=False):
                assert tokens_of([first, *await read_all(stream)]) == solitary(request)

    within(main())


@pytest.mark.usefixtures("short_window")
def test_a_client_who_does_not_read_pauses_its_generation_and_then_loses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "STALLED_SECONDS", 5.0)  # a hundred times what the short window takes
    monkeypatch.setattr(connection, "SEND_BYTES", 4096)
    engine = FakeEngine(endless=True)
    with running(engine) as server, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", server.port))
        data = json.dumps({**BODIES[CHAT], "stream": True, "logprobs": True, "top_logprobs": 5}).encode()
        head = f"POST {CHAT} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\n"
        client.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        end = time.monotonic() + PATIENCE
        while not engine._paused:
            assert time.monotonic() < end, "it was not paused"
            assert not engine.aborted
            time.sleep(0.002)
        assert engine.was_aborted.wait(PATIENCE)
        assert not engine._paused


PAUSES = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 60), st.integers(1, 30)), max_size=12)


@given(pauses=PAUSES, blocks=st.integers(17, 40), rows=st.integers(1, 4), aborts=st.sets(st.integers(0, 9)))
@settings(max_examples=80, deadline=None)
def test_pauses_change_no_answer(pauses: list[tuple[int, int, int]], blocks: int, rows: int, aborts: set[int]) -> None:
    """Whoever is paused when and for how long, with however few blocks and rows: the same tokens, one end each."""
    engine = fake_engine(FakeExecutor(blocks=blocks, rows=rows, step_tokens=max(20, rows), vocab_size=269))
    requests = [Request(str(i), (*range(10, 40), 50 + i), max_tokens=20, caller=f"c{i % 2}") for i in range(5)]
    for request in requests:
        engine.submit(request)
    deltas: dict[str, list[Delta]] = {request.id: [] for request in requests}
    step = 0
    while engine.has_work or any(step <= start + length for _, start, length in pauses):
        for who, start, length in pauses:
            if step == start:
                engine.pause(str(who))
            if step == start + length:
                engine.resume(str(who))
        if step in aborts:
            engine.abort(str(step))
        for delta in engine.step():
            deltas[delta.request_id].append(delta)
        engine._scheduler.check_integrity()
        step += 1
        assert step < 2000
    for request in requests:
        got, expected = tokens_of(deltas[request.id]), solitary(request)
        assert [d.finish_reason for d in deltas[request.id] if d.finish_reason] == [deltas[request.id][-1].finish_reason]
        assert got == (expected[: len(got)] if int(request.id) in aborts else expected)
