"""Faults of every kind at every seam of a request: it ends with words, and others' tokens, blocks and cache are as before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.engine.beside_others import OTHER, Panic, Unsayable, assert_whole, beside_others, on_a_thread
from tests.engine.fake_executor import FakeExecutor, FakeStep, next_token
from tests.engine.fakes import ScriptMatcher, fake_adapter, fake_engine, run, script, solitary, tokens_of
from tests.engine.faulty_executor import FaultyExecutor
from tests.engine.tiny_model import write_tiny_llama

from portico_engine import Engine, EngineError, FinishReason, ModelError, Request, RequestError, load_engine
from portico_engine import constraints as constraints_module
from portico_engine.executors.host_step import HostStep
from portico_engine.plan import Copy, Fetch, KVOp, Load, Offload, Save, StepPlan
from portico_engine.request import Delta, Pooling, SamplingParams

pytestmark = pytest.mark.attack("7 the engine outlives a request")

FAULTS: list[BaseException] = [
    RuntimeError("a fault"),
    AssertionError(),
    MemoryError(),
    RecursionError("deep"),
    Unsayable(),
    StopIteration(),
    Panic("index out of bounds"),
    KeyboardInterrupt(),
    SystemExit(3),
    GeneratorExit(),
]
faults = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
VOCABULARY = 269
ENDLESS = script("5|6 " * 40)


def raising(fault: BaseException) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise fault

    return fail


class Faulty(ScriptMatcher):
    """One of its methods fails, once it has accepted `after` tokens."""

    def __init__(self, method: str, fault: BaseException, after: int) -> None:
        super().__init__([frozenset((5,)), *[frozenset((5, 6))] * 40])
        self._method, self._fault, self._after, self._accepted = method, fault, after, 0
        if not after:
            setattr(self, method, raising(fault))

    def accept_token(self, token: int) -> bool:
        self._accepted += 1
        if self._accepted == self._after:
            setattr(self, self._method, raising(self._fault))
        return super().accept_token(token)


MATCHER = [
    ("closing_tokens", 0),
    *((method, after) for method in ("prepare", "accept_token", "fill_bitmask", "forced_tokens") for after in (0, 3)),
    ("is_terminated", 3),
]


@faults
@pytest.mark.parametrize(("method", "after"), MATCHER)
def test_a_matcher(method: str, after: int, fault: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the moment it is asked whether the answer may be so short, to its end by length."""
    engine = fake_engine()
    made = engine.grammars.matcher
    faulty = Faulty(method, fault, after)
    monkeypatch.setattr(engine.grammars, "matcher", lambda grammar: faulty if grammar == ENDLESS else made(grammar))
    end = on_a_thread(lambda: beside_others(engine, Request("bad", (8, 9), max_tokens=60, grammar=ENDLESS)))
    assert end.finish_reason is FinishReason.ERROR
    assert "its grammar failed" in (end.error or "")


@faults
def test_a_matcher_that_cant_be_made(fault: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = fake_engine()
    made = engine.grammars.matcher
    monkeypatch.setattr(engine.grammars, "matcher", lambda each: raising(fault)() if each == ENDLESS else made(each))
    end = on_a_thread(lambda: beside_others(engine, Request("bad", (8, 9), max_tokens=60, grammar=ENDLESS)))
    assert "its grammar failed" in (end.error or "")


@faults
def test_a_matcher_at_the_answers_length(fault: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = fake_engine()
    made = engine.grammars.matcher
    faulty = Faulty("is_accepting", fault, 3)
    monkeypatch.setattr(faulty, "closing_tokens", lambda _: None)
    monkeypatch.setattr(faulty, "is_terminated", lambda: False)
    monkeypatch.setattr(engine.grammars, "matcher", lambda grammar: faulty if grammar == ENDLESS else made(grammar))
    end = on_a_thread(lambda: beside_others(engine, Request("bad", (8, 9), max_tokens=10, grammar=ENDLESS)))
    assert end.finish_reason is FinishReason.ERROR
    assert "its grammar failed" in (end.error or "")


@dataclass
class Prior:
    at: str
    fault: BaseException | Any

    def bind(self, _vocabulary: object) -> Prior:
        if self.at == "bind":
            raise self.fault
        return self

    def bias(self, _text: str, allowed: np.ndarray) -> Any:
        if isinstance(self.fault, BaseException):
            raise self.fault
        return self.fault(len(allowed))


@faults
@pytest.mark.parametrize("at", ["bind", "bias"])
def test_a_prior(at: str, fault: BaseException) -> None:
    bad = Request("bad", (8, 9), max_tokens=60, grammar=ENDLESS, prior=Prior(at, fault))
    end = on_a_thread(lambda: beside_others(fake_engine(), bad))
    assert end.finish_reason is FinishReason.ERROR
    assert "its prior failed" in (end.error or "")


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        (lambda n: np.full(n, np.inf, np.float32), "its prior failed"),
        (lambda n: np.full(n, np.nan, np.float32), "its prior failed"),
        (lambda n: np.full(n, 1e300), "its prior failed"),
        (lambda n: np.zeros(n + 1, np.float32), "its prior failed"),
        (lambda n: np.zeros((n, 1), np.float32), "its prior failed"),
        (lambda n: np.full(n, "x", dtype=object), "its prior failed"),
        (lambda n: ["x"] * n, "its prior failed"),
        (lambda n: 3.5, "its prior failed"),
        (lambda n: np.full(n, -np.inf, np.float32), "its grammar allows nothing"),
        (lambda n: np.full(n, -1e300), "its grammar allows nothing"),
    ],
)
def test_a_priors_weights(weights: Callable[[int], Any], said: str) -> None:
    """What no weight is, and weights that bar all that the grammar allows: the model's numbers are not to blame, so that
    nobody's cached prefix is forgotten.
    """
    shared = tuple(range(10, 50))  # what `beside_others` finds in the cache afterwards
    bad = Request("bad", (*shared, 8, 9), max_tokens=60, grammar=ENDLESS, prior=Prior("bias", weights))
    end = beside_others(sampling_engine(), bad, fresh=sampling_engine())
    assert end.finish_reason is FinishReason.ERROR
    assert said in (end.error or "")


def barring(tokens: range | tuple[int, ...]) -> SamplingParams:
    return SamplingParams(temperature=0, logit_bias=tuple((token, -np.inf) for token in tokens))


@pytest.mark.parametrize(
    ("sampling", "grammar", "said"),
    [
        (barring(range(VOCABULARY)), None, "its biases allow nothing"),
        (barring((5, 6)), ENDLESS, "its grammar allows nothing"),
        (SamplingParams(min_tokens=5, stop_token_ids=tuple(range(VOCABULARY))), None, "its biases allow nothing"),
        (
            replace(barring(range(5)), min_tokens=5, stop_token_ids=tuple(range(5, VOCABULARY))),
            None,
            "its biases allow nothing",
        ),
        (SamplingParams(logit_bias=((5, 1e308),)), None, "logit_bias for the token 5 is 1e+308; it must be from -1e"),
        (SamplingParams(logit_bias=((5, float("nan")),)), None, "logit_bias"),
        (SamplingParams(logit_bias=((5, float("inf")),)), None, "logit_bias"),
    ],
)
def test_biases_that_leave_nothing(sampling: SamplingParams, grammar: Any, said: str) -> None:
    """Refused, or said by their name: the model's numbers are not to blame."""
    bad = Request("bad", (*range(10, 50), 8), sampling, max_tokens=60, grammar=grammar)
    end = beside_others(sampling_engine(), bad, fresh=sampling_engine())
    assert end.finish_reason is FinishReason.ERROR
    assert said in (end.error or "")


@pytest.mark.parametrize(
    "sampling",
    [
        SamplingParams(temperature=1e-46),
        SamplingParams(temperature=5e-324, top_p=0.5),
        SamplingParams(temperature=0, repetition_penalty=1e-300),
        SamplingParams(temperature=0.5, repetition_penalty=5e-324),
        SamplingParams(temperature=0, dry_multiplier=100, dry_base=8, dry_allowed_length=1),
        SamplingParams(temperature=0, logit_bias=((5, 1e6), (5, 1e6), (6, -1e6))),
    ],
)
def test_parameters_at_the_end_of_their_ranges(sampling: SamplingParams) -> None:
    """Numbers so small that a division by them has no result are as good as the smallest that has one."""
    bad = Request("bad", (8, 9, 8, 9, 8, 9), sampling, max_tokens=12)
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        end = beside_others(sampling_engine(), bad, fresh=sampling_engine())
    assert (end.finish_reason, end.error) == (FinishReason.LENGTH, None)


class SamplingExecutor(FakeExecutor):
    """Its model is the fake one's, and its sampling real."""

    def submit(self, plan: StepPlan) -> Any:
        super().submit(plan)
        wanted = [(row, row.start + i) for row in plan.rows for i in row.logits_indices]
        logits = np.zeros((len(wanted), self.vocab_size), np.float32)
        for line, (row, position) in zip(logits, wanted, strict=True):
            line[next_token(self.read(row, position), self.vocab_size)] = 50
        return HostStep(plan, logits)


def sampling_engine() -> Engine:
    return fake_engine(SamplingExecutor(vocab_size=VOCABULARY))


@faults
@pytest.mark.parametrize("part", ["add", "stops.add", "stops.flush"])
def test_streaming_text(part: str, fault: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes to characters, the search for stop strings, and what was held back for them when the answer ends."""
    engine = fake_engine()
    submit = engine.submit

    def spoiled(request: Request) -> None:
        submit(request)
        if request.id == "bad":
            seq = engine._live["bad"]
            owner, _, name = part.rpartition(".")
            monkeypatch.setattr(seq.stops if owner else seq.detokenizer, name, raising(fault))

    monkeypatch.setattr(engine, "submit", spoiled)
    end = on_a_thread(lambda: beside_others(engine, Request("bad", (8, 9), max_tokens=10)))
    assert end.finish_reason is FinishReason.ERROR
    assert "its text failed" in (end.error or "")


@faults
def test_penalties(fault: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    real = constraints_module.dry_penalties

    def penalties(tokens: Any, params: SamplingParams, breakers: Any) -> Any:
        return raising(fault)() if params.dry_multiplier else real(tokens, params, breakers)

    monkeypatch.setattr(constraints_module, "dry_penalties", penalties)
    bad = Request("bad", (8, 9), SamplingParams(dry_multiplier=1), max_tokens=10)
    end = on_a_thread(lambda: beside_others(fake_engine(), bad))
    assert end.finish_reason is FinishReason.ERROR
    assert "its sampling failed" in (end.error or "")


@faults
@pytest.mark.parametrize("late", [False, True])
def test_a_row_of_a_step(late: bool, fault: BaseException) -> None:
    executor = FaultyExecutor(vocab_size=VOCABULARY, poison=200, fault=lambda: fault, late=late)
    end = on_a_thread(lambda: beside_others(fake_engine(executor), Request("bad", (8, 200, 9), max_tokens=30)))
    assert end.finish_reason is FinishReason.ERROR
    assert "its step failed" in (end.error or "")


@faults
@pytest.mark.parametrize("part", ["queue", "keys"])
def test_what_fails_while_a_request_is_accepted(part: str, fault: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its id, and the adapter that it names, are free again."""
    engine = fake_engine(FakeExecutor(vocab_size=VOCABULARY, n_adapters=1))
    engine.add_adapter("a", fake_adapter(Path("a")))
    owner, name = (engine._scheduler._queue, "enter") if part == "queue" else (engine._kv, "block_keys")
    real = getattr(owner, name)
    failing = raising(fault)

    def enter(*args: Any) -> Any:
        spoiled = args[0].request.id == "bad" if part == "queue" else any(args[1:2])  # those with an adapter's digest
        return failing() if spoiled else real(*args)

    monkeypatch.setattr(owner, name, enter)
    bad = Request("bad", (8, 9), max_tokens=10, adapter="a")

    def attempt() -> None:
        beside_others(engine, bad)
        monkeypatch.setattr(owner, name, real)
        engine.unload_adapter("a")
        engine.add_adapter("b", fake_adapter(Path("b")))
        assert run(engine, [Request("bad", (8, 9), max_tokens=10)])["bad"][-1].finish_reason is FinishReason.LENGTH

    on_a_thread(attempt)


KINDS = [
    {"priority": "high"},
    {"priority": 1.5},
    {"caller": 3},
    {"caller": ["a"]},
    {"salt": "text"},
    {"keep": "all"},
    {"keep": None},
    {"shared_prefix_tokens": 1.0},
    {"max_tokens": 2.5},
    {"pin": "long"},
    {"pin": float("nan")},
    {"pin_where": None},
    {"prompt": (8, 9.5)},
    {"prompt": (8, "9")},
    {"prompt": (8, None)},
    {"prompt": (8, -1)},
    {"prompt": (8, 1 << 70)},
    {"prompt": ("a", "b")},
    {"stop": (3,)},
    {"stop": "text"},
    {"id": 3},
    {"sampling": SamplingParams(temperature="hot")},  # type: ignore[arg-type]
    {"sampling": SamplingParams(top_k=2.5)},  # type: ignore[arg-type]
    {"sampling": SamplingParams(logit_bias=((5, "x"),))},  # type: ignore[arg-type]
    {"sampling": SamplingParams(logit_bias=(("5", 1.0),))},  # type: ignore[arg-type]
    {"sampling": SamplingParams(stop_token_ids=("x",))},  # type: ignore[arg-type]
    {"sampling": SamplingParams(min_tokens=None)},  # type: ignore[arg-type]
    {"sampling": SamplingParams(dry_multiplier=1, dry_sequence_breakers=(3,))},  # type: ignore[arg-type]
]


@pytest.mark.parametrize("field", KINDS, ids=[f"{n}" for n in range(len(KINDS))])
def test_fields_of_another_kind(field: dict[str, Any]) -> None:
    """Refused by name: what queues are sorted by, and caches know requests by, would fail in everybody's step."""
    fields: dict[str, Any] = {"id": "bad", "prompt": (8, 9), "max_tokens": 10, **field}
    engine = fake_engine()
    end = beside_others(engine, Request(**fields))
    assert end.finish_reason is FinishReason.ERROR


MEMORY_OPS: list[type] = [Save, Load, Copy, Offload, Fetch]


@faults
@pytest.mark.parametrize("op", MEMORY_OPS, ids=lambda op: op.__name__)
def test_an_operation_on_a_block(op: type, fault: BaseException, tmp_path: Path) -> None:
    """Between a device, this machine's memory and the disk: what fails is computed anew, and answers are the same."""
    left = 0

    def faulty(each: KVOp) -> bool:
        nonlocal left
        left -= isinstance(each, op)
        return left >= 0 and isinstance(each, op)

    def make() -> Engine:
        executor = FaultyExecutor(vocab_size=VOCABULARY, blocks=12, host_blocks=8, fault=lambda: fault, faulty_ops=faulty)
        return fake_engine(executor, kv_dir=tmp_path)

    prompts = [tuple(range(start, start + 50)) for start in (10, 70, 130, 10, 10, 70)]
    asked = [Request(f"{i}", prompt, max_tokens=4, keep=48) for i, prompt in enumerate(prompts)]

    def attempt() -> None:
        nonlocal left
        for failures in (2, 0):
            left = failures
            engine = make()
            for request in [*asked, Request("part", (*prompts[0][:40], 5), max_tokens=4)]:
                assert tokens_of(run(engine, [request])[request.id]) == solitary(request)
            assert_whole(engine)
            engine.close()

    on_a_thread(attempt)


@dataclass
class EmbeddingExecutor(FakeExecutor):
    vector: float = 1.0
    fault: BaseException | None = None

    @property
    def caps(self) -> Any:
        return replace(super().caps, embedding_size=4)

    def embed(self, texts: Any, pooling: Pooling | None = None) -> Any:
        if self.fault is not None:
            raise self.fault
        return np.full((len(texts), 4), self.vector, np.float32)


@faults
def test_embeddings(fault: BaseException) -> None:
    engine = fake_engine(EmbeddingExecutor(vocab_size=VOCABULARY, fault=fault))
    engine.submit(OTHER)
    with pytest.raises(EngineError, match="the embedding failed"):
        on_a_thread(lambda: engine.embed(["text"]))
    assert tokens_of(run(engine)["other"]) == solitary(OTHER)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_embeddings_that_are_no_numbers(bad: float) -> None:
    with pytest.raises(EngineError, match="is not a number"):
        fake_engine(EmbeddingExecutor(vocab_size=VOCABULARY, vector=bad)).embed(["text"])


SCORED: list[tuple[Any, Any]] = [
    ((), [(5,)]),
    ((5, "x"), [(5,)]),
    ((5, 1.5), [(5,)]),
    ((5,), [("x",)]),
    ((5,), [(None,)]),
    ((5,), [(VOCABULARY,)]),
    ((5,), [(-1,)]),
    ((1 << 80,), [(5,)]),
]


@pytest.mark.parametrize(("prompt", "continuations"), SCORED, ids=repr)
def test_scores_of_no_tokens(prompt: Any, continuations: Any) -> None:
    """Refused before anything is touched: requests under way go on."""
    engine = fake_engine()
    engine.submit(OTHER)
    engine.step()
    with pytest.raises(RequestError):
        engine.score(prompt, continuations)
    rest = tokens_of(run(engine)["other"])
    assert rest == solitary(OTHER)[-len(rest) :]
    assert len(rest) >= 10


@faults
def test_a_score(fault: BaseException) -> None:
    """Its step fails: the executor is well, and who was answered meanwhile is answered on."""
    engine = fake_engine(FaultyExecutor(vocab_size=VOCABULARY, poison=200, fault=lambda: fault))
    engine.submit(OTHER)
    with pytest.raises(EngineError, match="the score can't be computed"):
        on_a_thread(lambda: engine.score((5, 6, 200), [(7,), (8,)]))
    assert tokens_of(run(engine)["other"]) == solitary(OTHER)
    assert engine.score((5, 6), [(7,)]) == fake_engine().score((5, 6), [(7,)])
    assert_whole(engine)


class AdapterExecutor(FakeExecutor):
    fault: BaseException | None = None
    at = ""

    def load_adapter(self, place: int, adapter: Any) -> None:
        if self.at == "load" and self.fault is not None:
            raise self.fault
        super().load_adapter(place, adapter)

    def unload_adapter(self, place: int) -> None:
        if self.at == "unload" and self.fault is not None:
            raise self.fault
        super().unload_adapter(place)


@faults
def test_an_adapter_that_cant_be_loaded(fault: BaseException) -> None:
    executor = AdapterExecutor(vocab_size=VOCABULARY, n_adapters=1)
    engine = fake_engine(executor)
    engine.submit(OTHER)
    executor.fault, executor.at = fault, "load"
    with pytest.raises(EngineError, match="loading the adapter failed"):
        on_a_thread(lambda: engine.load_adapter("a", "a"))
    executor.at = ""
    engine.load_adapter("a", "a")
    good = Request("good", (5, 6), max_tokens=6, adapter="a")
    deltas = run(engine, [good])
    assert tokens_of(deltas["other"]) == solitary(OTHER)
    assert tokens_of(deltas["good"]) == solitary(good, adapter=fake_adapter(Path("a")))
    assert_whole(engine)


@faults
@pytest.mark.parametrize("last", ["unload", "end", "abort"])
def test_an_adapter_that_cant_be_unloaded(last: str, fault: BaseException) -> None:
    """By whoever lets go of it last: its request ends as it would, and only its place is lost."""
    executor = AdapterExecutor(vocab_size=VOCABULARY, n_adapters=2)
    executor.fault, executor.at = fault, "unload"
    engine = fake_engine(executor)
    engine.load_adapter("a", "a")
    asked = Request("asked", (5, 6), max_tokens=6, adapter="a")

    def attempt() -> None:
        if last == "unload":
            run(engine, [asked])
            engine.unload_adapter("a")
        else:
            engine.submit(asked)
            engine.submit(OTHER)
            engine.step()
            engine.unload_adapter("a")
            if last == "abort":
                engine.abort("asked")
            deltas = run(engine)
            rest = tokens_of(deltas["other"])
            assert rest == solitary(OTHER)[-len(rest) :]
            reason = FinishReason.CANCELLED if last == "abort" else FinishReason.LENGTH
            assert deltas["asked"][-1].finish_reason is reason
        assert engine.adapters() == ()
        engine.load_adapter("b", "b")
        with pytest.raises(EngineError, match="there is no room"):
            engine.load_adapter("c", "c")
        assert_whole(engine)

    on_a_thread(attempt)


def flipped(at: float) -> Callable[[bytes], bytes]:
    def flip(data: bytes) -> bytes:
        place = min(int(at * len(data)), len(data) - 1)
        return data[:place] + bytes((data[place] ^ 0x10,)) + data[place + 1 :]

    return flip


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    **{f"a bit at {at:g}": flipped(at) for at in (0, 0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99, 1)},
    "empty": lambda _: b"",
    "cut by a byte": lambda data: data[:-1],
    "cut in half": lambda data: data[: len(data) // 2],
    "a byte more": lambda data: data + b"\0",
    "twice": lambda data: data * 2,
    "zeros": lambda data: bytes(len(data)),
    "another's": lambda data: b"\xff" * len(data),
}


def kept_on_disk(folder: Path) -> tuple[Request, list[Path]]:
    """A request that an engine has answered, and the files of the three blocks that it keeps."""
    asked = Request("a", tuple(range(10, 60)), max_tokens=4, keep=48)
    engine = fake_engine(kv_dir=folder)
    run(engine, [asked])
    engine.close()
    files = sorted(folder.rglob("*.kv"))
    assert len(files) == 3
    return asked, files


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_block_on_disk(damage: str, tmp_path: Path) -> None:
    """It is not loaded but deleted, and the answer is what it would be without it."""
    asked, files = kept_on_disk(tmp_path)
    for file in files:
        file.write_bytes(DAMAGE[damage](file.read_bytes()))
    second = fake_engine(kv_dir=tmp_path)
    deltas = run(second, [asked])["a"]
    assert tokens_of(deltas) == solitary(asked)
    assert deltas[-1].usage is not None
    assert deltas[-1].usage.cached_tokens == 0
    assert_whole(second)
    second.close()


@pytest.mark.parametrize("change", ["exchanged", "a folder", "a link to nothing"])
def test_a_block_on_disk_that_is_something_else(change: str, tmp_path: Path) -> None:
    asked, (one, two, _) = kept_on_disk(tmp_path)
    if change == "exchanged":
        content = one.read_bytes()
        one.write_bytes(two.read_bytes())
        two.write_bytes(content)
    else:
        one.unlink()
        one.mkdir() if change == "a folder" else one.symlink_to(tmp_path / "nothing")
    second = fake_engine(kv_dir=tmp_path)
    assert tokens_of(run(second, [asked])["a"]) == solitary(asked)
    assert_whole(second)
    second.close()


STATES = ["waiting", "prefill", "decode", "paused", "unsettled", "under way", "ended", "twice"]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("runs_ahead", [False, True])
def test_an_end_in_every_state(state: str, runs_ahead: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Aborted wherever it is: one last delta, and the others go on."""
    engine = fake_engine(FakeExecutor(vocab_size=VOCABULARY, rows=2, step_tokens=32, runs_ahead=runs_ahead))
    prompt = tuple(range(10, 110)) if state == "prefill" else (8, 9)
    grammar = script("5 6|7 8|9 10|11 12") if state == "unsettled" else None
    bad = Request("bad", prompt, max_tokens=40, grammar=grammar)
    if state == "unsettled":
        monkeypatch.setattr(ScriptMatcher, "prepare", lambda *_: False)
    others = [Request(f"{i}", (5 + i, 6), max_tokens=12) for i in range(2)]
    for request in [*others, bad] if state == "waiting" else [bad, *others]:
        engine.submit(request)
    deltas: list[Delta] = []
    for _ in range({"waiting": 1, "prefill": 1, "unsettled": 2, "ended": 60}.get(state, 3)):
        deltas += engine.step()
    if state == "paused":
        engine.pause("bad")
        deltas += engine.step()
    engine.abort("bad")
    if state == "twice":
        engine.abort("bad")
    deltas += [delta for each in run(engine).values() for delta in each]
    ends = [delta for delta in deltas if delta.request_id == "bad" and delta.finish_reason is not None]
    assert [end.finish_reason for end in ends] == [FinishReason.LENGTH if state == "ended" else FinishReason.CANCELLED]
    for other in others:
        assert tokens_of(delta for delta in deltas if delta.request_id == other.id) == solitary(other)
    assert_whole(engine)


class Interrupted(FakeExecutor):
    """Ctrl-C comes in the call numbered `at`, before, amid or behind its work."""

    at = 0
    where = ""
    calls = 0

    def submit(self, plan: StepPlan) -> FakeStep:
        self.calls += 1
        if self.calls != self.at:
            return super().submit(plan)
        if self.where == "before":
            raise KeyboardInterrupt
        if self.where == "amid":
            super().submit(StepPlan((), tuple(plan.kv_ops)[:1]))
            raise KeyboardInterrupt
        step = super().submit(plan)
        if self.where == "behind":
            raise KeyboardInterrupt
        step.finish = raising(KeyboardInterrupt())  # type: ignore[method-assign]
        return step


@pytest.mark.parametrize("where", ["before", "amid", "behind", "finish"])
@pytest.mark.parametrize("at", range(1, 6))
def test_ctrl_c_in_a_program_that_goes_on(at: int, where: str, tmp_path: Path) -> None:
    """An order to end, and the program's to obey: an engine that it uses again knows nothing that is not so."""
    prompt = tuple(range(10, 80))
    first = fake_engine(kv_dir=tmp_path)
    run(first, [Request("kept", prompt, max_tokens=2, keep=64)])
    first.close()
    executor = Interrupted(vocab_size=VOCABULARY, step_tokens=32)
    executor.at, executor.where = at, where
    engine = fake_engine(executor, kv_dir=tmp_path)
    asked = [Request("a", prompt, max_tokens=5), Request("b", (*prompt[:40], 5, 6), max_tokens=5)]
    with pytest.raises(KeyboardInterrupt):
        run(engine, asked)
    deltas = run(engine)
    assert {delta.finish_reason for each in deltas.values() for delta in each} <= {FinishReason.ERROR}
    for request in asked:
        assert tokens_of(run(engine, [request])[request.id]) == solitary(request)
    assert_whole(engine)
    engine.close()


@pytest.mark.parametrize("name", ["torch-cpu", "llama_cpp"])
def test_a_chunk_of_a_prompt_that_is_no_number_is_found_before_anybody_has_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sampled behind it: with a seed a prompt's last token is read by itself."""
    try:
        engine = load_engine(write_tiny_llama(tmp_path / "tiny.gguf"), executor=name, context=128)
    except ModelError as error:
        pytest.skip(str(error))
    executor: Any = engine._executor
    if name == "torch-cpu":
        executor._layers = None  # which would read as much as this in one call of native code where AVX2 is all there is
    owner, method = (executor._decoder, "hidden") if name == "torch-cpu" else (executor._context, "decode")
    compute, calls = getattr(owner, method), 0

    def computing(tokens: Any, *rest: Any) -> Any:
        nonlocal calls
        calls += 1
        made = compute(tokens, *rest)
        if calls == 1:
            made[:] = np.nan
        return made

    monkeypatch.setattr(owner, method, computing)
    asked = Request("a", tuple(range(5, 55)), SamplingParams(temperature=1, seed=3), max_tokens=3)
    end = run(engine, [asked])["a"][-1]
    assert (end.finish_reason, end.error) == (FinishReason.ERROR, "the model's output is not a number")
    assert calls == 1, "it was found in its own step"
    again = run(engine, [asked])["a"][-1]
    assert again.finish_reason is FinishReason.LENGTH
    assert again.usage is not None
    assert again.usage.cached_tokens == 0
    assert_whole(engine)
    engine.close()
