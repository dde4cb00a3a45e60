"""What goes wrong in one request ends that request: not its batch, not the cache, not the thread, not the process unseen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
import pytest
import torch
from tests.engine.fake_executor import FakeExecutor, FakeStep
from tests.engine.fakes import ScriptMatcher, fake_engine, run, script, solitary, tokens_of
from tests.engine.faulty_executor import FaultyExecutor
from tests.engine.models import families
from tests.engine.process import process_loads as loads
from tests.engine.tiny_model import write_tiny_llama

from portico_engine import (
    AsyncEngine,
    Delta,
    Engine,
    EngineDied,
    EngineError,
    EngineProcess,
    FinishReason,
    ModelError,
    Request,
    load_engine,
)
from portico_engine.errors import DeviceLost
from portico_engine.executors.host_step import HostStep
from portico_engine.executors.torch.batch import damaged_rows
from portico_engine.front.engine_thread import MOST_FAILED_STEPS
from portico_engine.kv.disk import DiskStore
from portico_engine.plan import Row, StepPlan, StepResult
from portico_engine.priors.token_texts import TokenTexts
from portico_engine.request import SamplingParams
from portico_engine.sampling import SamplingState

KIND = "7 the engine outlives a request"
attack = pytest.mark.attack(KIND)
OTHER = Request("other", (5, 6, 7), max_tokens=12)


class Panic(BaseException):
    """As pyo3's PanicException: no Exception."""


FAULTS = [
    Panic("index out of bounds"),
    MemoryError(),
    RuntimeError("a fault"),
    AssertionError("an invariant"),
    RecursionError("deep"),
]
WEIGHTS = [np.zeros(3, np.float32), np.full(2, np.nan, np.float32)]
faults = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)


class Faulty(ScriptMatcher):
    """Fails in the method named, once it has accepted two tokens."""

    def __init__(self, method: str, fault: BaseException) -> None:
        super().__init__([frozenset((5,))] * 1 + [frozenset((5, 6))] * 20)
        self._method, self._fault, self._accepted = method, fault, 0

    def _maybe(self, method: str) -> None:
        if method == self._method and self._accepted >= 2:
            raise self._fault

    def accept_token(self, token: int) -> bool:
        self._accepted += 1
        self._maybe("accept_token")
        return super().accept_token(token)

    def fill_bitmask(self, bitmask: npt.NDArray[np.int32], row: int, remaining: int | None = None) -> None:
        self._maybe("fill_bitmask")
        super().fill_bitmask(bitmask, row, remaining)

    def forced_tokens(self, limit: int | None = None) -> list[int]:
        self._maybe("forced_tokens")
        return super().forced_tokens(limit)

    def is_terminated(self) -> bool:
        self._maybe("is_terminated")
        return super().is_terminated()


@dataclass
class FaultyPrior:
    fault: BaseException | npt.NDArray[np.float32]

    def bind(self, vocabulary: TokenTexts) -> FaultyPrior:
        return self

    def bias(self, text: str, allowed: npt.NDArray[np.int64]) -> npt.NDArray[np.float32] | None:
        if isinstance(self.fault, BaseException):
            raise self.fault
        return self.fault


def beside_others(engine: Engine, bad: Request) -> Delta:
    """The bad one's end; the others have their solitary answers, and the cache what it had."""
    warm = Request("warm", tuple(range(10, 50)), max_tokens=2)
    run(engine, [warm])
    good = Request("good", (5, 6), max_tokens=20, grammar=script("5|6 7|8 9 5|6 7|8 9|10"))
    expected = tokens_of(run(fake_engine(), [good])["good"])
    deltas = run(engine, [OTHER, bad, good])
    assert tokens_of(deltas["other"]) == solitary(OTHER)
    assert tokens_of(deltas["good"]) == expected
    again = run(engine, [replace(warm, id="again")])["again"][-1].usage
    assert again is not None
    assert again.cached_tokens == 39
    engine._scheduler.check_integrity()
    assert not engine.has_work
    return deltas["bad"][-1]


@attack
@faults
@pytest.mark.parametrize("method", ["accept_token", "fill_bitmask", "forced_tokens", "is_terminated"])
def test_a_fault_in_a_matcher_is_its_requests(method: str, fault: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it raises, and where: a panic of native code is no Exception."""
    engine = fake_engine()
    made = engine.grammars.matcher
    monkeypatch.setattr(
        engine.grammars, "matcher", lambda grammar: Faulty(method, fault) if grammar.text == "faulty" else made(grammar)
    )
    end = beside_others(engine, Request("bad", (8, 9), max_tokens=30, grammar=script("faulty")))
    assert end.finish_reason is FinishReason.ERROR
    assert "its grammar failed" in (end.error or "")


@attack
def test_a_fault_in_the_first_forced_run_is_said_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before any step, while the request is accepted."""
    engine = fake_engine()

    class AtOnce(ScriptMatcher):
        def forced_tokens(self, limit: int | None = None) -> list[int]:
            raise Panic("at once")

    monkeypatch.setattr(engine.grammars, "matcher", lambda _: AtOnce([frozenset((5,))]))
    deltas = run(engine, [Request("bad", (8,), grammar=script("5"))])
    assert deltas["bad"][-1].finish_reason is FinishReason.ERROR
    assert not engine.has_work


@attack
@pytest.mark.parametrize("fault", [*FAULTS, *WEIGHTS], ids=lambda f: type(f).__name__)
def test_a_fault_in_a_prior_is_its_requests(fault: BaseException | npt.NDArray[np.float32]) -> None:
    """An exception, weights for other tokens, weights that are no numbers."""
    bad = Request("bad", (8, 9), max_tokens=30, grammar=script("5|6 7|8"), prior=FaultyPrior(fault))  # type: ignore[arg-type]
    end = beside_others(fake_engine(), bad)
    assert end.finish_reason is FinishReason.ERROR
    assert "its prior failed" in (end.error or "")


@attack
@faults
def test_a_fault_in_streaming_text_is_its_requests(fault: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """The detokenizer, and the search for stop strings."""
    engine = fake_engine()
    submit = engine.submit

    def spoiled(request: Request) -> None:
        submit(request)
        if request.id == "bad":

            def add(token: int) -> str:
                raise fault

            monkeypatch.setattr(engine._live["bad"].detokenizer, "add", add)

    monkeypatch.setattr(engine, "submit", spoiled)
    end = beside_others(engine, Request("bad", (8, 9), max_tokens=30))
    assert end.finish_reason is FinishReason.ERROR
    assert "its text failed" in (end.error or "")


@attack
def test_a_row_that_cant_be_sampled_leaves_the_others_of_its_step() -> None:
    """Bias for tokens that there are none of, states that don't fit."""
    state = SamplingState(SamplingParams(temperature=0), 0, 0)
    rows = tuple(Row(slot, (5,), 0, (slot,), (0,), state) for slot in range(3))
    logits = np.zeros((3, 40), np.float32)
    logits[:, 7] = 1
    step = HostStep(StepPlan(rows), logits)
    result = step.finish(bias={1: (np.array([41]), np.array([1.0], np.float32))})
    assert result.failed_rows == (1,)
    assert (result.tokens[0], result.tokens[2]) == ((7,), (7,))


@dataclass
class DamagingExecutor(FakeExecutor):
    """States become no numbers once a row has the token `poison`; later rows that read such blocks fail too."""

    poison: int = 200
    bad_blocks: set[int] = field(default_factory=set)

    def submit(self, plan: StepPlan) -> FakeStep:
        for op in plan.kv_ops:
            for block in (getattr(op, "block", None), getattr(op, "target", None)):
                self.bad_blocks.discard(block)  # type: ignore[arg-type]
        step = super().submit(plan)
        damaged = []
        for i, row in enumerate(plan.rows):
            first, last = row.start // 16, (row.start + len(row.tokens) - 1) // 16
            if self.poison in row.tokens or self.bad_blocks & set(row.block_table[:first]):
                self.bad_blocks |= set(row.block_table[first : last + 1])
                damaged.append(i)
        finish = step.finish

        def failing(*args: Any) -> StepResult:
            result = finish(*args)
            emptied = tuple(() if i in damaged else tokens for i, tokens in enumerate(result.tokens))
            return result._replace(tokens=emptied, failed_rows=(*result.failed_rows, *damaged))

        step.finish = failing  # type: ignore[method-assign]
        return step


@attack
@pytest.mark.parametrize("step_tokens", [16, 64])
def test_what_is_no_number_is_never_cached_or_saved(tmp_path: Path, step_tokens: int) -> None:
    """Found in the chunk that computed it, with logits or without; the prompt up to there isn't trusted either."""
    executor = DamagingExecutor(vocab_size=269, step_tokens=step_tokens)
    engine = fake_engine(executor, kv_dir=tmp_path)
    poisoned = (*range(10, 60), 200, *range(60, 100))
    bad = Request("bad", poisoned, max_tokens=4, keep=len(poisoned), pin=60)
    deltas = run(engine, [OTHER, bad])
    assert deltas["bad"][-1].finish_reason is FinishReason.ERROR
    assert deltas["bad"][-1].error == "the model's output is not a number"
    assert tokens_of(deltas["other"]) == solitary(OTHER)
    usage = run(engine, [replace(bad, id="again")])["again"][-1].usage
    assert usage is not None
    assert usage.cached_tokens == 0
    engine.close()
    assert not list(tmp_path.rglob("*.kv"))


@attack
def test_a_damaged_block_on_disk_is_deleted_once_it_shows(tmp_path: Path) -> None:
    """What another process saved and this one loaded makes a row fail: it is not loaded again, by nobody."""
    prompt = tuple(range(10, 60))
    first = fake_engine(FakeExecutor(vocab_size=269), kv_dir=tmp_path)
    run(first, [Request("a", prompt, max_tokens=2, keep=50)])
    first.close()
    assert len(list(tmp_path.rglob("*.kv"))) == 3
    executor = DamagingExecutor(vocab_size=269, poison=-1)
    second = fake_engine(executor, kv_dir=tmp_path)
    table = second._kv.allocate(prompt)
    assert table.computed == 48
    executor.submit(StepPlan((), second._kv.take_ops()))
    executor.bad_blocks |= set(table.blocks)
    second._kv.free(table, prompt)
    assert run(second, [Request("b", prompt, max_tokens=2)])["b"][-1].finish_reason is FinishReason.ERROR
    executor.bad_blocks.clear()
    again = run(second, [Request("c", prompt, max_tokens=2)])["c"][-1]
    assert (again.finish_reason, again.usage and again.usage.cached_tokens) == (FinishReason.LENGTH, 0)
    second.close()
    assert not list(tmp_path.rglob("*.kv"))


def within(seconds: float, main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, seconds))


async def answer(engine: Any, request: Request) -> Delta:
    return [delta async for delta in engine.generate(request)][-1]


@attack
@faults
def test_a_step_that_raises_anything_ends_its_requests_and_the_thread_goes_on(fault: BaseException) -> None:
    """Native code's panics among it."""

    class Once(FakeExecutor):
        def submit(self, plan: StepPlan) -> FakeStep:
            step = super().submit(plan)
            if len(self.steps) == 2:
                raise fault
            return step

    async def main() -> None:
        async with AsyncEngine(fake_engine(Once(vocab_size=269))) as engine:
            assert (await answer(engine, OTHER)).finish_reason is FinishReason.ERROR
            assert (await answer(engine, OTHER)).finish_reason is FinishReason.LENGTH

    within(60, main())


@attack
@faults
@pytest.mark.parametrize("late", [False, True])
def test_a_step_that_raises_anything_ends_the_request_whose_row_it_was(late: bool, fault: BaseException) -> None:
    """Found by halving the batch; the others' tokens, and what the cache knows, are as if nothing had been."""
    executor = FaultyExecutor(vocab_size=269, poison=200, fault=lambda: fault, late=late)
    end = beside_others(fake_engine(executor), Request("bad", (8, 200, 9), max_tokens=30))
    assert end.finish_reason is FinishReason.ERROR
    assert "its step failed" in (end.error or "")


@attack
@pytest.mark.parametrize("name", ["torch-cpu", "llama_cpp"])
def test_a_fault_in_a_real_executor_is_one_requests(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After keys and values of the whole batch were written: the others are computed again over the same places."""

    def answers(engine: Engine) -> dict[str, list[int]]:
        good = [
            Request(each, tuple(range(at, at + 21)), GREEDY, max_tokens=12) for at, each in ((5, "a"), (40, "b"), (80, "c"))
        ]
        bad = Request("bad", (*range(5, 26), POISON, 8), GREEDY, max_tokens=12)
        deltas = run(engine, [good[0], bad, *good[1:]])
        assert deltas["bad"][-1].finish_reason is (FinishReason.ERROR if faulty else FinishReason.LENGTH)
        engine._scheduler.check_integrity()
        again = run(engine, [replace(good[0], id="again")])
        return {each: tokens_of(of) for each, of in (deltas | again).items() if each != "bad"}

    path = write_tiny_llama(tmp_path / "tiny.gguf")
    found: list[dict[str, list[int]]] = []
    for faulty in (False, True):
        try:
            engine = load_engine(path, executor=name, context=128)
        except ModelError as error:
            pytest.skip(str(error))
        if faulty:
            spoil(engine._executor, monkeypatch)
        found.append(answers(engine))
        engine.close()
    assert found[0] == found[1]


GREEDY = SamplingParams(temperature=0)
POISON = 250


def spoil(executor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It computes, and panics behind that where a row had the poison."""
    for owner, method in (("_decoder", "hidden"), ("_layers", "hidden"), ("_context", "decode")):
        if (part := getattr(executor, owner, None)) is not None:
            monkeypatch.setattr(part, method, panicking(getattr(part, method)))


def panicking(compute: Callable[..., Any]) -> Callable[..., Any]:
    def computing(tokens: Any, *rest: Any) -> Any:
        made = compute(tokens, *rest)
        if POISON in (tokens if isinstance(tokens, list) else tokens.tolist()):
            raise Panic("half-way")
        return made

    return computing


@attack
def test_a_lost_device_ends_the_engine_at_once() -> None:
    """Nothing that is tried again would be computed: another process goes on."""

    async def main() -> None:
        executor = FaultyExecutor(vocab_size=269, poison=200, fault=lambda: DeviceLost("the GPU is gone"))
        engine = await AsyncEngine(fake_engine(executor)).__aenter__()
        ends = await asyncio.gather(answer(engine, OTHER), answer(engine, Request("bad", (200,), max_tokens=3)))
        assert {end.finish_reason for end in ends} == {FinishReason.ERROR}
        await asyncio.wait_for(engine.ended(), 1)
        await engine.aclose()

    within(60, main())


@attack
@pytest.mark.parametrize("fault", [RuntimeError("broken for good"), Panic("broken for good")])
def test_an_executor_that_always_fails_ends_the_engine(fault: BaseException) -> None:
    """Else every request would fail for ever, and nobody would start the engine again."""

    class Always(FakeExecutor):
        def submit(self, plan: StepPlan) -> FakeStep:
            raise fault

    async def main() -> None:
        engine = await AsyncEngine(fake_engine(Always(vocab_size=269))).__aenter__()
        for _ in range(MOST_FAILED_STEPS):
            end = await answer(engine, OTHER)
            assert end.finish_reason is FinishReason.ERROR
            assert "broken for good" in (end.error or "")
        await asyncio.wait_for(engine.ended(), 1)
        with pytest.raises(EngineError):
            await answer(engine, OTHER)
        await engine.aclose()

    within(60, main())


@attack
@pytest.mark.parametrize("load", [loads.load_always_failing, loads.load_dying])
def test_a_process_whose_engine_is_broken_ends_within_a_second(load: Callable[..., Engine]) -> None:
    """Its thread dies, or every step fails: its parent hears, and every request ends."""

    async def main() -> None:
        engine = await EngineProcess.open(load)
        try:
            begun = time.monotonic()
            for _ in range(MOST_FAILED_STEPS):
                try:
                    assert (await answer(engine, OTHER)).finish_reason is FinishReason.ERROR
                except EngineDied:
                    break
            assert "exit code 1" in await engine.ended()
            assert time.monotonic() - begun < 15
        finally:
            await engine.aclose()

    within(60, main())


@attack
def test_the_end_of_the_thread_is_said_before_the_engine_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing waits for the disk: up to ten seconds."""
    inner = fake_engine()
    monkeypatch.setattr(inner, "step", lambda: (_ for _ in ()).throw(Panic("dead")))
    monkeypatch.setattr(inner, "fail_all", lambda _: (_ for _ in ()).throw(Panic("dead")))
    monkeypatch.setattr(inner, "close", lambda: time.sleep(5))

    async def main() -> None:
        engine = await AsyncEngine(inner).__aenter__()
        begun = time.monotonic()
        assert (await answer(engine, OTHER)).finish_reason is FinishReason.ERROR
        await engine.ended()
        assert time.monotonic() - begun < 4
        await engine.aclose()

    within(60, main())


def test_a_store_forgets_blocks_that_are_not_there(tmp_path: Path) -> None:
    DiskStore(tmp_path, b"\x01" * 32, block_bytes=16, max_bytes=1 << 20).discard([b"\x02" * 32])


@attack
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_rows_whose_states_are_no_numbers_are_told_from_the_others(bad: float) -> None:
    """Also in a chunk of a prompt, after which nothing is sampled."""
    rows = [Row(0, (1, 2, 3), 0, (0,)), Row(1, (4,), 0, (1,)), Row(2, (5, 6), 0, (2,))]
    hidden = torch.randn(6, 8)
    assert damaged_rows(hidden, rows) == []
    hidden[1, 3] = hidden[5, 0] = bad
    assert damaged_rows(hidden, rows) == [0, 2]
    assert damaged_rows(torch.full((6, 8), 3e38), rows) == [], "large numbers, whose sum is none"


@attack
@pytest.mark.parametrize("executor", ["torch-cpu", "llama_cpp"])
def test_a_context_that_changes_rotation_has_keys_and_values_of_its_own(tmp_path: Path, executor: str) -> None:
    """LongRoPE has other factors for contexts beyond the original one: blocks on disk belong to one of both."""
    path = families.write(tmp_path / "long.gguf", "phi3, long factors", gguf.GGMLQuantizationType.F16)
    ids: dict[int, str] = {}
    for context in (64, 65, 256):
        try:
            engine = load_engine(path, executor=executor, context=context, kv_tokens=256 * (1 + context // 256))
        except ModelError as error:
            pytest.skip(str(error))
        ids[context] = engine.info.numerics_id
        engine.close()
    assert ids[64] != ids[256]
    if executor == "torch-cpu":
        assert ids[65] == ids[256]


@attack
def test_other_models_keep_their_blocks_over_contexts(tmp_path: Path) -> None:
    """What doesn't change keys and values is no part of their name."""
    path = write_tiny_llama(tmp_path / "tiny.gguf")
    found = {load_engine(path, executor="torch-cpu", context=context).info.numerics_id for context in (64, 128)}
    assert len(found) == 1
    assert "longrope" not in found.pop()
