"""What can't cross between the engine's process and its parent, either way, is one call's fault: both go on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.engine.beside_others import Panic, Unsayable
from tests.engine.fakes import solitary, tiny_tokenizer, tokens_of
from tests.engine.process import process_loads as loads

from portico_engine import AsyncEngine, CallPrior, EngineError, EngineProcess, FinishReason, Request, ToolCallPrior
from portico_engine.grammar.compiled import CompiledGrammar

pytestmark = pytest.mark.attack("7 the engine outlives a request")
GOOD = Request("good", (5, 6), max_tokens=6)


def within(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 60))


@asynccontextmanager
async def engine_process(load: Any = loads.load_plain) -> AsyncIterator[EngineProcess]:
    engine = await EngineProcess.open(load)
    try:
        yield engine
        found = [delta async for delta in engine.generate(GOOD)]
        assert tokens_of(found) == solitary(GOOD)
        assert not engine._waiting
        assert not engine._streams
        assert not engine._priors
    finally:
        await engine.aclose()


def call_of_t() -> CompiledGrammar:
    """A call of `t` whose only argument is x or y: where a prior is asked."""
    tokenizer = tiny_tokenizer()
    before, x, y, after = (tokenizer.encode(text) for text in ('{"name":"t","arguments":{"a":"', "x", "y", '"}}'))
    return CompiledGrammar(" ".join([*map(str, before), f"{x[0]}|{y[0]}", *map(str, after)]))


class Locked:
    """Can't be sent."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


def nested(depth: int) -> Any:
    found: Any = "x"
    for _ in range(depth):
        found = [found]
    return found


@pytest.mark.parametrize("prior", [Locked(), loads.Explosive(), nested(100_000)], ids=["locked", "explosive", "nested"])
def test_a_prior_that_cant_cross(prior: Any) -> None:
    async def main() -> None:
        async with engine_process() as engine:
            with pytest.raises(EngineError, match="its prior failed"):
                _ = [delta async for delta in engine.generate(Request("bad", (5,), grammar=call_of_t(), prior=prior))]

    within(main())


class Failing(Mapping[str, CallPrior]):
    """What is believed of a tool's arguments fails, or can't cross, when it is asked for."""

    def __init__(self, part: Any) -> None:
        self._part = part

    def __getitem__(self, name: str) -> CallPrior:
        if isinstance(self._part, BaseException):
            raise self._part
        part: CallPrior = self._part
        return part

    def __iter__(self) -> Iterator[str]:
        return iter(["t"])

    def __len__(self) -> int:
        return 1


PARTS = [Panic("index"), Unsayable(), MemoryError(), KeyboardInterrupt(), SystemExit(3), GeneratorExit(), Locked()]


@pytest.mark.parametrize("part", [*PARTS, loads.Explosive(), "no prior"], ids=lambda part: type(part).__name__)
def test_a_part_of_a_prior_that_cant_be_made_or_cross(part: Any) -> None:
    """A step waits for it: it is answered in any case."""

    async def main() -> None:
        async with engine_process() as engine:
            prior = ToolCallPrior({}, Failing(part))
            bad = Request("bad", (5,), grammar=call_of_t(), prior=prior, max_tokens=60)
            *_, end = [delta async for delta in engine.generate(bad)]
            assert end.finish_reason is FinishReason.ERROR
            assert "its prior failed" in (end.error or "")

    within(main())


def test_what_a_log_cant_carry_is_no_fault_of_a_step() -> None:
    async def main() -> None:
        async with engine_process(loads.load_talkative) as engine:
            assert tokens_of([delta async for delta in engine.generate(GOOD)]) == solitary(GOOD)

    within(main())


@pytest.mark.parametrize("texts", [1, 2, 3, 4])
def test_an_error_that_cant_cross_is_told_by_its_words(texts: int) -> None:
    """One with a lock in it, one that can't be read at the other end, one that has no words, and a panic."""

    async def main() -> None:
        async with engine_process(loads.load_talkative) as engine:
            with pytest.raises(EngineError, match=r"no embedding|it has no words|Panic: dead"):
                await engine.embed(["text"] * texts)

    within(main())


@pytest.mark.parametrize("in_process", [True, False])
def test_messages_nested_without_end(in_process: bool) -> None:
    async def main() -> None:
        if in_process:
            async with engine_process() as engine:
                with pytest.raises(EngineError):
                    await engine.render_chat([{"role": "user", "content": nested(100_000)}])
        else:
            async with AsyncEngine(loads.load_plain(lambda *_: None)) as here:
                with pytest.raises(EngineError):
                    await here.render_chat([{"role": "user", "content": nested(100_000)}])

    within(main())
