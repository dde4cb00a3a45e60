"""The model's states over engines that end: started again after a pause, waited for, given up where that mends nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from portico_engine import EngineDied, ModelError
from portico_gateway.model import host as model_host
from portico_gateway.model.host import LoadStatus, ModelHost, model_id

pytestmark = pytest.mark.anyio

PATIENCE = 10


class Mortal:
    """An engine that ends when it is told to."""

    def __init__(self) -> None:
        self.how: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.closed = False
        self.info = SimpleNamespace(name="mortal", extra={})

    async def ended(self) -> str:
        return await asyncio.shield(self.how)

    async def stats(self) -> dict[str, float]:
        if self.how.done():
            raise EngineDied(self.how.result())
        return {"steps": 1.0}

    async def aclose(self) -> None:
        self.closed = True


class Starts:
    """Starts engines; `faults` are raised instead, in order, where they are not None."""

    def __init__(self, *faults: Exception | None) -> None:
        self.faults = list(faults)
        self.engines: list[Mortal] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, progress: Callable[[str, float], None]) -> Any:
        await self.gate.wait()
        progress("weights", 0.5)
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            raise fault
        self.engines.append(Mortal())
        return self.engines[-1]


@asynccontextmanager
async def hosted(starts: Starts, heard: list[LoadStatus] | None = None, pause: float = 60.0) -> AsyncIterator[ModelHost]:
    host = ModelHost("m", starts, on_end=None if heard is None else heard.append, first_delay=0.0, pause=pause)
    async with asyncio.timeout(PATIENCE), host.running():
        yield host


async def state(host: ModelHost, wanted: str) -> LoadStatus:
    for _ in range(10_000):
        if host.status.state == wanted:
            return host.status
        await asyncio.sleep(0)
    raise AssertionError(f"the model is {host.status}, not {wanted}")


async def test_an_engine_that_ends_is_started_again_and_requests_wait_for_it(caplog: pytest.LogCaptureFixture) -> None:
    starts = Starts()
    heard: list[LoadStatus] = []
    async with hosted(starts, heard) as host:
        first = await host.engine(PATIENCE)
        assert first is starts.engines[0]
        starts.gate.clear()
        starts.engines[0].how.set_result("the engine's process crashed")
        status = await state(host, "restarting")
        assert (status.restarts, status.error) == (1, "the engine's process crashed")
        assert host.loaded is None
        assert await host.engine(0.0) is None
        assert await host.stats() is None
        waiting = asyncio.create_task(host.engine(PATIENCE))
        starts.gate.set()
        assert await waiting is starts.engines[1]
        assert (host.status.state, host.status.restarts, host.status.error) == ("ready", 1, None)
        assert await host.stats() == {"steps": 1.0}
        assert starts.engines[0].closed
        assert not starts.engines[1].closed
    assert starts.engines[1].closed
    assert [status.state for status in heard] == ["ready"], "the end of the first loading is heard of once"
    assert [record.getMessage().split(" after")[0] for record in caplog.records] == [
        "the engine's process crashed; it is started again",
        "the model m is ready again",
    ]


async def test_requests_have_an_engine_once_what_is_done_before_is_done() -> None:
    """With each engine anew; meanwhile it is told as loading."""
    starts, done, warmed = Starts(), asyncio.Event(), []

    async def before_ready(engine: Any) -> None:
        warmed.append(engine)
        await done.wait()

    async with hosted(starts) as host:
        host.before_ready = before_ready
        for _ in range(100):
            await asyncio.sleep(0)
        assert (host.status.state, host.status.stage, host.loaded) == ("loading", "tools", None)
        done.set()
        assert await host.engine(PATIENCE) is starts.engines[0]
        starts.engines[0].how.set_result("it crashed")
        await state(host, "restarting")
        assert await host.engine(PATIENCE) is starts.engines[1]
    assert warmed == starts.engines


async def test_an_engine_that_never_lasts_is_given_up_with_the_reason() -> None:
    starts = Starts()
    async with hosted(starts) as host:
        for i in range(model_host.MAX_ENDS):
            await state(host, "ready")
            starts.engines[i].how.set_result("it crashed")
            await state(host, "restarting" if i + 1 < model_host.MAX_ENDS else "failed")
        with pytest.raises(ModelError, match=r"it crashed, 5 times in a row: it is not started again"):
            await host.engine(PATIENCE)
    assert all(engine.closed for engine in starts.engines)


async def test_an_engine_that_was_given_up_comes_back_after_a_pause() -> None:
    starts = Starts()
    async with hosted(starts, pause=0.0) as host:
        for i in range(model_host.MAX_ENDS + 1):  # the last one: after the pause one more end is enough
            await state(host, "ready")
            if i + 1 >= model_host.MAX_ENDS:
                starts.gate.clear()
            starts.engines[i].how.set_result("it crashed")
            status = await state(host, "restarting" if i + 1 < model_host.MAX_ENDS else "failed")
            if status.state == "failed":
                with pytest.raises(ModelError, match="it crashed"):
                    await host.engine(0.0)
                starts.gate.set()
        assert (await state(host, "ready")).error is None
        assert await host.engine(0.0) is starts.engines[-1]


async def test_ends_in_a_row_are_counted_afresh_once_an_engine_lasted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_host, "STABLE", 0.0)
    starts = Starts()
    async with hosted(starts) as host:
        for i in range(2 * model_host.MAX_ENDS):
            await state(host, "ready")
            starts.engines[i].how.set_result("it crashed")
            await state(host, "restarting")
        assert (await state(host, "ready")).restarts == 2 * model_host.MAX_ENDS


async def test_a_process_that_dies_while_it_is_started_again_counts_too() -> None:
    starts = Starts(None, *[EngineDied("it was killed")] * (model_host.MAX_ENDS - 1))
    async with hosted(starts) as host:
        await state(host, "ready")
        starts.engines[0].how.set_result("it crashed")
        assert "it was killed, 5 times in a row" in ((await state(host, "failed")).error or "")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (EngineDied("the engine's process was killed"), "the engine's process was killed while it loaded the model"),
        (ModelError("no such model"), "no such model"),
    ],
)
async def test_a_first_loading_that_fails_is_not_repeated(fault: Exception, said: str) -> None:
    starts = Starts(fault)
    heard: list[LoadStatus] = []
    async with hosted(starts, heard) as host:
        with pytest.raises(ModelError, match=said):
            await host.engine(PATIENCE)
    assert [(status.state, status.restarts) for status in heard] == [("failed", 0)]


async def test_a_model_that_is_gone_when_its_engine_is_started_again_is_a_failure() -> None:
    starts = Starts(None, ModelError("no such model"))
    async with hosted(starts) as host:
        await state(host, "ready")
        starts.engines[0].how.set_result("it crashed")
        assert (await state(host, "failed")).error == "no such model"


def test_the_api_calls_a_model_by_the_name_it_was_asked_for_by(tmp_path: Path) -> None:
    assert model_id("smollm2", tmp_path / "SmolLM2.Q4_1.gguf") == "smollm2"
    assert model_id("./models/tiny.gguf", tmp_path / "tiny.gguf") == "tiny"
    assert model_id("./models/Qwen3-0.6B", tmp_path / "Qwen3-0.6B") == "Qwen3-0.6B"
