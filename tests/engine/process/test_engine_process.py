"""The engine in a child process, over the fake executor: what crosses, and what happens when one of the two is gone."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.engine.fakes import fake_adapter, solitary, tiny_tokenizer, tokens_of
from tests.engine.process import process_loads as loads

from portico_engine import (
    AdapterError,
    CallPrior,
    ChatTemplateError,
    ContextOverflow,
    Delta,
    EngineDied,
    EngineError,
    EngineLoader,
    EngineProcess,
    FinishReason,
    GrammarError,
    ModelError,
    Request,
    RequestError,
    TextPrior,
    Tool,
    ToolCallPrior,
    UnknownAdapter,
)
from portico_engine.grammar.compiled import CompiledGrammar
from portico_engine.process import client
from portico_engine.process.messages import StepDeltas

PATIENCE = 30


def within(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, PATIENCE))


@asynccontextmanager
async def child(load: EngineLoader = loads.load_plain) -> AsyncIterator[EngineProcess]:
    engine = await EngineProcess.open(load)
    try:
        yield engine
    finally:
        await engine.aclose()
        assert not psutil.pid_exists(engine.pid)


class Heard(logging.Handler):
    """Sets `event` when the child logs `text`."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.event = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage() == self.text:
            self.event.set()

    def __enter__(self) -> asyncio.Event:
        logging.getLogger().addHandler(self)
        return self.event

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self)


async def collect(engine: EngineProcess, request: Request) -> list[Delta]:
    return [delta async for delta in engine.generate(request)]


def test_requests_in_flight_together_get_their_solitary_answers() -> None:
    async def main() -> None:
        requests = [Request(str(i), (5, 6, 7 + i), max_tokens=10 + i) for i in range(6)]
        async with child() as engine:
            answers = await asyncio.gather(*(collect(engine, request) for request in requests))
        assert [tokens_of(deltas) for deltas in answers] == [solitary(request) for request in requests]
        assert all(
            delta.request_id == request.id for request, deltas in zip(requests, answers, strict=True) for delta in deltas
        )
        assert all(deltas[-1].finish_reason is FinishReason.LENGTH for deltas in answers)
        assert all(deltas[-1].usage is not None for deltas in answers)

    within(main())


def test_the_events_of_a_step_are_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    dispatch = EngineProcess._dispatch

    def counting(engine: EngineProcess, message: object) -> None:
        if isinstance(message, StepDeltas):
            sizes.append(len(message.deltas))
        dispatch(engine, message)

    async def main() -> None:
        async with child(loads.load_slow) as engine:
            await asyncio.gather(*(collect(engine, Request(str(i), (5, i + 6), max_tokens=20)) for i in range(4)))
            assert len(sizes) <= (await engine.stats())["steps"]
        assert sum(sizes) == 4 * 20
        assert max(sizes) == 4

    monkeypatch.setattr(EngineProcess, "_dispatch", counting)
    within(main())


def test_an_answer_that_is_told_as_a_whole_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    dispatch = EngineProcess._dispatch

    def noting(engine: EngineProcess, message: object) -> None:
        told.append(message)
        dispatch(engine, message)

    async def main() -> None:
        async with child() as engine:
            deltas = await collect(engine, Request("whole", (5, 6), max_tokens=20, whole=True))
        assert [len(delta.tokens) for delta in deltas] == [20]

    monkeypatch.setattr(EngineProcess, "_dispatch", noting)
    within(main())
    assert [type(message) for message in told] == [StepDeltas]


def test_what_is_known_of_the_model_and_its_vocabulary_is_there_without_asking() -> None:
    async def main() -> None:
        tokenizer = tiny_tokenizer()
        async with child() as engine:
            assert engine.info.name == "fake"
            assert "im_start" in engine.chat_template
            assert list(engine.tokens.token_bytes) == list(tokenizer.token_bytes)
            assert engine.tokens.end_token_ids == tokenizer.end_token_ids
            assert engine.tokens.token_id("<|im_end|>") == tokenizer.token_id("<|im_end|>")
            assert engine.tokens.is_control(0)
            assert not engine.tokens.is_control(5)

    within(main())


def test_a_model_without_a_template_is_the_same_error_in_and_out_of_the_process() -> None:
    async def main() -> None:
        async with child(loads.load_without_template) as engine:
            with pytest.raises(ChatTemplateError) as asked:
                _ = engine.chat_template
            with pytest.raises(ChatTemplateError) as rendered:
                await engine.render_chat([{"role": "user", "content": "hello"}])
            assert str(asked.value) == str(rendered.value)

    within(main())


def test_rendering_tokenizing_scoring_and_stats_are_the_childs() -> None:
    async def main() -> None:
        tokenizer = tiny_tokenizer()
        async with child() as engine:
            assert await engine.tokenize("hello world<|im_end|>") == tuple(tokenizer.encode("hello world<|im_end|>"))
            prompt = await engine.render_chat([{"role": "user", "content": "hello"}], [Tool("t", "", {})])
            assert tokenizer.decode(prompt) == "user\nhello\nassistant\n"
            (score,) = await engine.score((5, 6, 7), [[8, 9]])
            assert len(score) == 2
            await collect(engine, Request("a", (5,), max_tokens=3))
            assert (await engine.stats())["generated_tokens"] == 3

    within(main())


def test_adapters_are_loaded_used_and_unloaded_across_the_process() -> None:
    async def main() -> None:
        async with child(loads.load_with_adapters) as engine:
            here = Path("some/adapter").absolute()
            info = await engine.load_adapter("a", Path("some/adapter"))
            assert (info.name, info.path, info.base) == ("a", here, "fake base")
            assert await engine.adapters() == (info,)
            requests = [Request(str(i), (5, 6, 7), adapter=("a", None)[i], max_tokens=9) for i in range(2)]
            answers = await asyncio.gather(*(collect(engine, request) for request in requests))
            assert [tokens_of(deltas) for deltas in answers] == [
                solitary(requests[0], adapter=fake_adapter(here)),
                solitary(requests[1]),
            ]
            with pytest.raises(AdapterError, match="'a' is loaded already"):
                await engine.load_adapter("a", here)
            await engine.unload_adapter("a")
            with pytest.raises(UnknownAdapter, match="none is loaded") as caught:
                await collect(engine, requests[0])
            assert caught.value.known == ()
            with pytest.raises(UnknownAdapter):
                await engine.unload_adapter("a")
        async with child() as engine:
            with pytest.raises(AdapterError, match="without room for adapters"):
                await engine.load_adapter("a", here)

    within(main())


def test_loading_tells_how_far_it_is() -> None:
    async def main() -> None:
        heard: list[tuple[str, float]] = []
        engine = await EngineProcess.open(loads.load_plain, lambda *stage: heard.append(stage))
        await engine.aclose()
        assert heard == [("weights", 0.5)]

    within(main())


def test_a_grammar_and_a_prior_cross_and_the_next_request_has_them_too() -> None:
    async def main() -> None:
        texts = tiny_tokenizer().token_texts
        grammar = CompiledGrammar("7|8|9")
        async with child() as engine:
            for wanted in (7, 8, 9, 8):
                prior = TextPrior({texts[wanted]: 5.0, **{texts[other]: 0.0 for other in {7, 8, 9} - {wanted}}})
                deltas = await collect(engine, Request(str(wanted), (5,), grammar=grammar, prior=prior))
                assert tokens_of(deltas)[0] == wanted

    within(main())


class Lazy(Mapping[str, CallPrior]):
    """Beliefs that are made when they are looked at; `made` says which were. Not to be pickled."""

    def __init__(self, parts: dict[str, CallPrior | Exception]) -> None:
        self.parts = parts
        self.made: list[str] = []
        self.lock = threading.Lock()
        self.asked = threading.Event()

    def __getitem__(self, name: str) -> CallPrior:
        self.asked.set()
        with self.lock:
            self.made.append(name)
        part = self.parts[name]
        if isinstance(part, Exception):
            raise part
        return part

    def __iter__(self) -> Iterator[str]:
        return iter(self.parts)

    def __len__(self) -> int:
        return len(self.parts)


def choice() -> CompiledGrammar:
    """A call of `t` whose only argument is x or y."""
    tokenizer = tiny_tokenizer()
    before, x, y, after = (tokenizer.encode(text) for text in ('{"name":"t","arguments":{"a":"', "x", "y", '"}}'))
    return CompiledGrammar(" ".join([*map(str, before), f"{x[0]}|{y[0]}", *map(str, after)]))


def test_what_a_prior_believes_of_arguments_is_made_here_when_it_is_looked_at() -> None:
    async def main() -> None:
        async with child() as engine:
            for wanted in ("x", "y"):
                lazy = Lazy({"other": CallPrior(), "t": CallPrior(values={"a": {wanted: 5.0}})})
                prior = ToolCallPrior({"t": 1.0}, lazy)
                deltas = await collect(engine, Request(wanted, (5,), grammar=choice(), prior=prior, max_tokens=60))
                assert f'"a":"{wanted}"' in "".join(delta.text for delta in deltas)
                assert lazy.made == ["t"]

    within(main())


def test_a_prior_that_cannot_be_made_ends_the_request_and_not_the_child() -> None:
    async def main() -> None:
        async with child() as engine:
            prior = ToolCallPrior({}, Lazy({"t": KeyError("no such column")}))
            deltas = await collect(engine, Request("a", (5,), grammar=choice(), prior=prior, max_tokens=60))
            assert deltas[-1].finish_reason is FinishReason.ERROR
            assert "a prior can't be made (KeyError: 'no such column')" in (deltas[-1].error or "")
            good = Request("b", (5,), max_tokens=3)
            assert tokens_of(await collect(engine, good)) == solitary(good)

    within(main())


def test_giving_up_a_request_whose_step_waits_for_a_part_leaves_nobody_waiting() -> None:
    async def main() -> None:
        async with child() as engine:
            lazy = Lazy({"t": CallPrior()})
            lazy.lock.acquire()  # nothing is made before this is let go
            prior = ToolCallPrior({}, lazy)
            task = asyncio.create_task(collect(engine, Request("a", (5,), grammar=choice(), prior=prior, max_tokens=60)))
            await asyncio.to_thread(lazy.asked.wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            good = Request("b", (5,), max_tokens=3)
            after = asyncio.create_task(collect(engine, good))
            lazy.lock.release()
            assert tokens_of(await after) == solitary(good)

    within(main())


def test_closing_does_not_wait_in_vain_for_a_step_that_waits_for_a_part() -> None:
    async def main() -> None:
        engine = await EngineProcess.open(loads.load_plain)
        lazy = Lazy({"t": CallPrior()})
        lazy.lock.acquire()
        prior = ToolCallPrior({}, lazy)
        task = asyncio.create_task(collect(engine, Request("a", (5,), grammar=choice(), prior=prior, max_tokens=60)))
        await asyncio.to_thread(lazy.asked.wait)
        closing = asyncio.create_task(engine.aclose())
        await asyncio.sleep(0)  # lets it ask for the end
        lazy.lock.release()
        await closing
        await task
        assert await engine.ended() == "the engine's process ended with exit code 0"

    within(main())


@pytest.mark.parametrize(
    ("request_", "error", "said"),
    [
        (Request("a", ()), RequestError, "empty"),
        (Request("a", (5,), grammar=CompiledGrammar("start: (")), GrammarError, "can't take this grammar"),
    ],
)
def test_a_refused_request_raises_the_engines_own_error(request_: Request, error: type[EngineError], said: str) -> None:
    async def main() -> None:
        async with child(loads.load_with_real_grammars) as engine:
            with pytest.raises(error, match=said):
                await collect(engine, request_)
            assert len(tokens_of(await collect(engine, Request("b", (5,), max_tokens=3)))) == 3

    within(main())


def test_an_error_keeps_what_it_carries() -> None:
    async def main() -> None:
        async with child() as engine:
            with pytest.raises(ContextOverflow) as caught:
                await collect(engine, Request("a", (5,) * 300))
            assert (caught.value.prompt_tokens, caught.value.context_tokens) == (300, 256)

    within(main())


def test_a_failed_step_ends_its_requests_with_an_error_and_is_logged_here(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with child(loads.load_failing_in_a_step) as engine:
            deltas = await collect(engine, Request("a", (5,), max_tokens=9))
            assert deltas[-1].finish_reason is FinishReason.ERROR
            assert "told to fail" in (deltas[-1].error or "")
            assert len(tokens_of(await collect(engine, Request("b", (5,), max_tokens=3)))) == 3

    within(main())
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert (record.name, record.getMessage()) == ("portico_engine.faults", "its step failed")
    assert "RuntimeError: the fake executor was told to fail" in (record.exc_text or "")


def test_what_the_child_prints_and_logs_goes_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with child(loads.load_talking):
            pass

    caplog.set_level(logging.INFO)
    within(main())
    found = {(record.name, record.levelname, record.getMessage()) for record in caplog.records}
    assert ("portico_engine.kv", "WARNING", "the disk is slow") in found
    assert ("portico_engine.process.client", "INFO", "a native library says hello") in found


def test_what_was_loaded_is_not_looked_through_for_garbage_between_steps() -> None:
    async def main() -> None:
        with Heard("what was loaded is frozen") as heard:
            async with child(loads.load_telling_frozen) as engine:
                await collect(engine, Request("r", (5, 6), max_tokens=3))
                await asyncio.wait_for(heard.wait(), PATIENCE)

    within(main())


def test_closing_the_iterator_aborts_the_request() -> None:
    async def main() -> None:
        async with child(loads.load_slow) as engine:
            async with contextlib.aclosing(engine.generate(Request("a", (5,), max_tokens=200))) as stream:
                await anext(stream)
            await engine.score((5, 6), [[7]])  # it is after the abort in the engine's queue
            stats = await engine.stats()
        assert stats["running"] == 0
        assert stats["generated_tokens"] < 200

    within(main())


def test_cancelling_the_task_aborts_the_request_and_others_go_on() -> None:
    async def main() -> None:
        async with child(loads.load_slow) as engine:
            good = Request("good", (5, 6), max_tokens=30)
            other = asyncio.create_task(collect(engine, good))
            started = asyncio.Event()

            async def consume() -> None:
                async for _ in engine.generate(Request("bad", (5,), max_tokens=200)):
                    started.set()

            task = asyncio.create_task(consume())
            await started.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert tokens_of(await other) == solitary(good)
            assert (await engine.stats())["running"] == 0

    within(main())


def test_a_crash_ends_every_request_with_one_error_that_says_how(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with child(loads.load_crashing) as engine:
            answers = await asyncio.gather(
                *(collect(engine, Request(name, (5,), max_tokens=9)) for name in ("a", "b")), return_exceptions=True
            )
            said = "the engine's process crashed (signal 11: segmentation fault)"
            assert [(type(answer), str(answer)) for answer in answers] == [(EngineDied, said)] * 2
            assert await engine.ended() == said
            with pytest.raises(EngineDied, match="signal 11"):
                await engine.tokenize("hello")
            with pytest.raises(EngineDied, match="signal 11"):
                await collect(engine, Request("c", (5,)))

    caplog.set_level(logging.INFO)
    within(main())
    assert any("Segmentation fault" in record.getMessage() for record in caplog.records), "its stack is in the log"


def test_being_killed_in_the_middle_of_a_step_is_dispatchd_of_at_once() -> None:
    async def main() -> None:
        with Heard("hanging") as hanging:
            async with child(loads.load_hanging) as engine:
                task = asyncio.create_task(collect(engine, Request("a", (5,), max_tokens=9)))
                await hanging.wait()
                os.kill(engine.pid, signal.SIGKILL)
                with pytest.raises(EngineDied, match=r"was killed .*signal 9"):
                    await task

    within(main())


def test_a_child_that_hangs_is_killed_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        with Heard("hanging") as hanging:
            async with child(loads.load_hanging) as engine:
                task = asyncio.create_task(collect(engine, Request("a", (5,), max_tokens=9)))
                await hanging.wait()
                assert (await engine.stats())["running"] == 1, "it is asked beside the step"
                monkeypatch.setattr(client, "CLOSE_SECONDS", 0.1)
            with pytest.raises(EngineDied):
                await task

    within(main())


def test_closing_cancels_what_is_in_flight() -> None:
    async def main() -> None:
        engine = await EngineProcess.open(loads.load_slow)
        stream = engine.generate(Request("a", (5,), max_tokens=200))
        await anext(stream)
        await engine.aclose()
        rest = [delta async for delta in stream]
        assert rest[-1].finish_reason is FinishReason.CANCELLED
        assert await engine.ended() == "the engine's process ended with exit code 0"

    within(main())


@pytest.mark.parametrize(
    ("load", "error", "said"),
    [
        (loads.load_nothing, ModelError, "there is no such model"),
        (loads.load_without_library, ModuleNotFoundError, "torch"),
        (loads.load_wrongly, EngineError, r"the engine failed \(ZeroDivisionError: a fault of ours\)"),
        (loads.load_crash, EngineDied, "signal 9"),
    ],
)
def test_what_loading_raises_is_raised_here_and_leaves_no_process(
    load: EngineLoader, error: type[Exception], said: str
) -> None:
    async def main() -> None:
        before = {process.pid for process in psutil.Process().children()}
        with pytest.raises(error, match=said):
            await EngineProcess.open(load)
        assert {process.pid for process in psutil.Process().children()} <= before

    within(main())


def test_giving_up_while_it_loads_leaves_no_process() -> None:
    async def main() -> None:
        before = {process.pid for process in psutil.Process().children()}
        with Heard("hanging") as hanging:
            task = asyncio.create_task(EngineProcess.open(loads.load_for_ever))
            await hanging.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert {process.pid for process in psutil.Process().children()} <= before

    within(main())


PARENT = """
import asyncio, logging, sys
from tests.engine.process import process_loads
from portico_engine import EngineProcess, Request

async def main():
    logging.basicConfig(stream=sys.stdout, format="%(message)s")
    engine = await EngineProcess.open(getattr(process_loads, sys.argv[1]))
    async for _ in engine.generate(Request("a", (5,), max_tokens=9)):
        pass

asyncio.run(main())
"""


@pytest.mark.parametrize("load", ["load_for_ever", "load_hanging"])
def test_a_killed_parent_leaves_no_child_whatever_that_was_doing(load: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen([sys.executable, "-c", PARENT, load], stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "hanging\n"
        (orphan,) = psutil.Process(parent.pid).children()
        parent.kill()
        orphan.wait(PATIENCE)
