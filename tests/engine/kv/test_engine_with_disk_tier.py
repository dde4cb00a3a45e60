"""The engine over the fake executor and a disk below its memory: answers depend on every key that is read, wherever it was."""

from __future__ import annotations

import errno
import logging
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.engine.fake_executor import FakeExecutor
from tests.engine.fakes import INFO, fake_adapter, fake_engine, run, solitary, tokens_of

from portico_engine import AdapterError, Delta, Engine, EngineError, FinishReason, Request, RequestError
from portico_engine.kv.disk import DiskStore
from portico_engine.plan import Save

PREFIX = tuple(range(10, 60))  # three full blocks and two tokens
KEPT = Request("kept", (*PREFIX, 5), max_tokens=3, keep=len(PREFIX))
AGAIN = Request("again", (*PREFIX, 6, 7), max_tokens=3)


def cached(deltas: Sequence[Delta]) -> int:
    usage = deltas[-1].usage
    assert usage is not None
    return usage.cached_tokens


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.kv"))


def written(engine: Engine) -> None:
    """Wait for the writer's thread."""
    tier = engine._kv.pool.tier
    assert tier is not None
    assert tier.flush(5)


def ask(engine: Engine, request: Request) -> list[Delta]:
    deltas = run(engine, [request])[request.id]
    assert tokens_of(deltas) == solitary(request)
    return deltas


def test_a_kept_prefix_survives_a_restart_by_its_full_blocks(tmp_path: Path) -> None:
    first = fake_engine(kv_dir=tmp_path)
    ask(first, KEPT)
    first.close()
    assert first.stats()["kv_saves"] == len(files(tmp_path)) == 3
    executor = FakeExecutor(vocab_size=INFO.vocab_size)
    second = fake_engine(executor, kv_dir=tmp_path)
    assert cached(ask(second, AGAIN)) == 48
    assert executor.steps[0].rows[0].tokens == AGAIN.prompt[48:]
    stats = second.stats()
    assert (stats["prompt_tokens_cached_disk"], stats["prompt_tokens_cached_memory"], stats["kv_loads"]) == (48, 0, 3)
    assert cached(ask(second, KEPT)) == 50, "the next one finds them in memory"
    assert second.stats()["prompt_tokens_cached_disk"] == 48
    second.close()
    assert second.stats()["kv_saves"] == 0


def test_without_a_request_to_keep_it_only_what_came_twice_again_is_saved(tmp_path: Path) -> None:
    engine = fake_engine(kv_dir=tmp_path)
    for i, expected in enumerate((0, 0, 3)):
        ask(engine, Request(str(i), (*PREFIX, 5 + i), max_tokens=20))
        written(engine)
        assert len(files(tmp_path)) == expected
    engine.close()


def test_saving_waits_until_nothing_else_is_to_be_done(tmp_path: Path) -> None:
    executor = FakeExecutor(vocab_size=INFO.vocab_size)
    engine = fake_engine(executor, kv_dir=tmp_path)
    engine.submit(Request("long", (5, 6), max_tokens=30))
    engine.submit(KEPT)
    run(engine)
    with_saves = [i for i, plan in enumerate(executor.steps) if any(isinstance(op, Save) for op in plan.kv_ops)]
    assert with_saves == [len(executor.steps) - 1]
    assert executor.steps[-1].rows == ()
    engine.close()


def test_what_is_to_be_kept_is_saved_when_it_has_to_make_room_first(tmp_path: Path) -> None:
    engine = fake_engine(kv_dir=tmp_path, blocks=17, rows=2)
    others = [Request(str(i), tuple(range(70 + i, 190 + i)), max_tokens=60) for i in range(2)]
    deltas = run(engine, [KEPT, *others])
    assert engine.stats()["evictions"] > 0
    assert all(tokens_of(deltas[r.id]) == solitary(r) for r in (KEPT, *others))
    written(engine)
    assert cached(ask(engine, AGAIN)) == 48
    engine.close()


def test_another_model_of_the_same_name_and_size_finds_nothing(tmp_path: Path) -> None:
    first = fake_engine(kv_dir=tmp_path)
    ask(first, KEPT)
    first.close()
    second = fake_engine(kv_dir=tmp_path, info=replace(INFO, fingerprint="another"))
    assert cached(ask(second, AGAIN)) == 0
    second.close()


def test_a_damaged_file_costs_its_recomputation_and_is_written_anew(tmp_path: Path) -> None:
    first = fake_engine(kv_dir=tmp_path)
    ask(first, KEPT)
    first.close()
    whole = {path: path.read_bytes() for path in files(tmp_path)}
    for path, data in whole.items():
        path.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
    second = fake_engine(kv_dir=tmp_path)
    assert cached(ask(second, KEPT)) == 0
    second.close()
    assert {path: path.read_bytes() for path in files(tmp_path)} == whole


def test_a_pinned_conversation_outlives_what_is_newer_until_it_goes_on(tmp_path: Path) -> None:
    """17 blocks: the conversation's four and the newcomer's twelve don't fit beside the bystander's four."""
    for pin, expected in ((60.0, 53), (0.0, 16)):
        engine = fake_engine(blocks=17)
        waiting = Request("waiting", (*PREFIX, 5), max_tokens=3, pin=pin)
        answer = tokens_of(ask(engine, waiting))
        ask(engine, Request("bystander", tuple(range(100, 150)), max_tokens=3))
        assert engine.stats()["blocks_pinned"] == (4 if pin else 0)
        ask(engine, Request("newcomer", tuple(range(70, 255)), max_tokens=3))
        result = Request("result", (*waiting.prompt, *answer, 5, 6), max_tokens=3)
        assert cached(ask(engine, result)) == expected
        assert engine.stats()["blocks_pinned"] == 0, "whoever comes back waits no more"


def test_an_answer_without_a_calls_mark_waits_for_nothing() -> None:
    """What it says is a hash; of some texts it holds, the one is pinned and the other is not."""
    engine = fake_engine(blocks=17)
    said = "".join(delta.text for delta in ask(engine, Request("asked", (*PREFIX, 5), max_tokens=9)))
    for mark, pinned in ((said[2:4], True), ("no such text", False)):
        ask(engine, Request(mark, (*PREFIX, 5), max_tokens=9, pin=60.0, pin_where=mark))
        assert (engine.stats()["blocks_pinned"] > 0) == pinned
        ask(engine, Request("on" + mark, (*PREFIX, 5, 5), max_tokens=1))
    engine.close()


def test_pins_are_soft_a_runnable_request_runs_and_pinned_blocks_go_to_disk_first(tmp_path: Path) -> None:
    engine = fake_engine(blocks=17, kv_dir=tmp_path)
    waiting = Request("waiting", (*PREFIX, 5), max_tokens=3, pin=60)
    answer = tokens_of(ask(engine, waiting))
    assert files(tmp_path) == []
    ask(engine, Request("large", tuple(range(3, 240)), max_tokens=10))
    assert engine.stats()["preemptions"] == 0
    written(engine)
    assert cached(ask(engine, Request("result", (*waiting.prompt, *answer, 5, 6), max_tokens=3))) == 48
    engine.close()


def test_a_conversation_that_waits_when_the_engine_closes_is_there_after_a_restart(tmp_path: Path) -> None:
    first = fake_engine(kv_dir=tmp_path)
    waiting = Request("waiting", (*PREFIX, 5), max_tokens=20, pin=60)
    answer = tokens_of(ask(first, waiting))
    first.close()
    second = fake_engine(kv_dir=tmp_path)
    assert cached(ask(second, Request("result", (*waiting.prompt, *answer, 5, 6), max_tokens=3))) == 64
    second.close()


def test_blocks_are_counted_once_by_state_and_hits_once_by_tier(tmp_path: Path) -> None:
    first = fake_engine(kv_dir=tmp_path)
    ask(first, KEPT)
    first.close()
    engine = fake_engine(kv_dir=tmp_path)
    for request in (AGAIN, Request("pinned", (*PREFIX, 8), max_tokens=3, pin=60), Request("long", (5, 6), max_tokens=40)):
        engine.submit(request)
    while engine.has_work:
        engine.step()
        stats = engine.stats()
        assert stats["blocks_free"] + stats["blocks_cached"] + stats["blocks_held"] == stats["blocks"]
        assert stats["blocks_pinned"] <= stats["blocks_cached"]
        for state, total in (("held", "held"), ("pinned", "pinned")):
            assert stats[f"blocks_{state}_shared"] + stats[f"blocks_{state}_callers"] == stats[f"blocks_{total}"]
        by_tier = stats["prompt_tokens_cached_memory"] + stats["prompt_tokens_cached_disk"]
        assert by_tier == stats["prompt_tokens_cached"]
    assert (stats["prompt_tokens_cached_memory"], stats["prompt_tokens_cached_disk"]) == (48, 48)
    assert stats["blocks_pinned"] == 4
    engine.close()


def test_blocks_are_counted_by_whose_text_they_hold_while_they_are_used_and_afterwards(tmp_path: Path) -> None:
    def of(state: str) -> tuple[float, float]:
        stats = engine.stats()
        return stats[f"blocks_{state}_shared"], stats[f"blocks_{state}_callers"]

    engine = fake_engine(kv_dir=tmp_path)
    engine.submit(Request("first", (*PREFIX, *range(60, 78)), max_tokens=3, shared_prefix_tokens=40, salt=b"tenant", keep=32))
    engine.step()
    assert of("held") == (2, 2), "the block that 40 tokens end in has a caller's text, too"
    run(engine)
    assert (of("held"), of("cached"), of("pinned")) == ((0, 0), (2, 3), (0, 0))
    ask(engine, Request("waits", (*PREFIX, *range(60, 78)), max_tokens=3, shared_prefix_tokens=40, salt=b"tenant", pin=60))
    assert (of("cached"), of("pinned")) == ((0, 1), (2, 2)), "the first one's end waits for nobody"
    engine.close()
    again = fake_engine(kv_dir=tmp_path)
    again.submit(Request("later", (*PREFIX, 5), max_tokens=3, shared_prefix_tokens=48, salt=b"another"))
    again.step()
    assert again.stats()["blocks_held_shared"] == 2 + 1, "from the disk, or computed"
    again.close()


def test_a_folder_that_cannot_be_made_is_a_warning_and_no_tier(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING):
        engine = fake_engine(kv_dir=tmp_path / "file" / "kv")
    assert "prefixes are not kept on disk" in caplog.text
    ask(engine, KEPT)
    engine.close()


@pytest.mark.parametrize("method", ["put", "get", "touch"])
def test_a_disk_that_fails_is_one_warning_and_no_failed_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    first = fake_engine(kv_dir=tmp_path)
    ask(first, KEPT)
    first.close()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(DiskStore, method, full)
    engine = fake_engine(kv_dir=tmp_path)
    with caplog.at_level(logging.WARNING):
        for i in range(3):
            ask(engine, Request(str(i), (*PREFIX, *range(100, 150), 5), max_tokens=3, keep=100))
        engine.close()
    assert (engine.stats()["kv_saves_lost"] > 0) == (method == "put")
    assert [record.getMessage() for record in caplog.records] == [
        "prefixes are not kept on disk any more: [Errno 28] No space left on device"
    ]


def test_a_step_that_fails_with_loads_in_it_leaves_nothing_half_loaded(tmp_path: Path) -> None:
    first = fake_engine(kv_dir=tmp_path)
    ask(first, KEPT)
    first.close()
    engine = fake_engine(FakeExecutor(vocab_size=INFO.vocab_size, fail_at=1), kv_dir=tmp_path)
    assert [d.finish_reason for d in run(engine, [AGAIN])[AGAIN.id]] == [FinishReason.ERROR]
    engine._scheduler.check_integrity()
    assert cached(ask(engine, AGAIN)) == 48
    engine.close()


def test_a_score_that_fails_with_loads_in_it_leaves_nothing_half_loaded(tmp_path: Path) -> None:
    first = fake_engine(kv_dir=tmp_path)
    ask(first, KEPT)
    first.close()
    engine = fake_engine(FakeExecutor(vocab_size=INFO.vocab_size, fail_at=1), kv_dir=tmp_path)
    with pytest.raises(EngineError, match="told to fail"):
        engine.score(AGAIN.prompt, [[5]])
    engine._scheduler.check_integrity()
    assert cached(ask(engine, AGAIN)) == 48
    engine.close()


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request("a", (5,), keep=2), "keep is 2; it must be from 0 to the prompt's 1"),
        (Request("a", (5,), keep=-1), "keep is -1"),
        (Request("a", (5,), pin=-1), "pin is -1"),
        (Request("a", (5,), pin=float("nan")), "pin is nan"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(request_: Request, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        fake_engine().submit(request_)


class Tiers(RuleBasedStateMachine):
    """Random requests, aborts, restarts and damage over a small pool; preemption, eviction, saving and loading follow. A third
    of the requests have no adapter; adapters come and go under the names of the others.
    """

    host_blocks = 0

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.n = 0
        self.requests: dict[str, Request] = {}
        self.events: dict[str, list[Delta]] = {}
        self.adapters: dict[str, str] = {}  # what each request's was read from
        self.versions = {"one": 0, "two": 0}
        self.start()

    def start(self) -> None:
        sizes = {"blocks": 17, "rows": 3, "step_tokens": 48, "host_blocks": self.host_blocks}
        executor = FakeExecutor(vocab_size=INFO.vocab_size, n_adapters=3, **sizes)
        self.engine = fake_engine(executor, kv_dir=Path(self.folder.name))
        for name in self.versions:
            self.load(name)

    def load(self, name: str) -> None:
        self.engine.load_adapter(name, f"{name} {self.versions[name]}")

    def collect(self, deltas: Sequence[Delta]) -> None:
        for delta in deltas:
            self.events[delta.request_id].append(delta)

    def accept(self, prompt: tuple[int, ...], **options: Any) -> None:
        adapter = (None, "one", "two")[self.n % 3]
        request = Request(str(self.n), prompt, adapter=adapter, **options)
        self.adapters[request.id] = f"{adapter} {self.versions[adapter]}" if adapter else ""
        self.n += 1
        self.requests[request.id] = request
        self.events[request.id] = []
        self.engine.submit(request)

    @rule(branches=st.lists(st.tuples(st.integers(0, 1), st.integers(50, 110)), min_size=1, max_size=3), keep=st.booleans())
    def submit(self, branches: list[tuple[int, int]], keep: bool) -> None:
        """Prompts that share a beginning, of lengths that don't fit the pool together."""
        for branch, shared in branches:
            prefix = tuple(10 + branch + i for i in range(shared))
            own = (3 + self.n % 3,) * (1 + self.n % 5)
            pin = 60.0 * (self.n % 2)
            self.accept((*prefix, *own), max_tokens=20 + self.n % 60, priority=self.n % 2, keep=keep * shared, pin=pin)

    @rule(n=st.integers(30, 60))
    def fill(self, n: int) -> None:
        """Something else that takes the memory."""
        self.accept(tuple(3 + (i * i + self.n) % 250 for i in range(3 * n)), max_tokens=n)

    @precondition(lambda self: self.n)
    @rule(which=st.integers(0, 100))
    def follow_up(self, which: int) -> None:
        """The conversation's next turn, where the first one is answered."""
        request = self.requests[str(which % self.n)]
        answer = tokens_of(self.events[request.id])
        prompt = (*request.prompt, *answer, 3)
        if self.events[request.id] and self.events[request.id][-1].finish_reason and len(prompt) < 200:
            self.accept(prompt, max_tokens=5)

    @rule(name=st.sampled_from(["one", "two"]), other=st.booleans())
    def change_adapter(self, name: str, other: bool) -> None:
        """Under the same name, the same one again or another, while requests have it; no room is an answer too."""
        if len(self.engine._executor.adapters) == 3:
            with pytest.raises(AdapterError, match="there is no room: adapters=3"):
                self.engine.load_adapter("three", "three")
        else:
            self.engine.unload_adapter(name)
            self.versions[name] += other
            self.load(name)

    @rule(n=st.integers(1, 40))
    def step(self, n: int) -> None:
        for _ in range(n):
            self.collect(self.engine.step())
            self.engine._scheduler.check_integrity()
            written(self.engine)

    @precondition(lambda self: self.n)
    @rule(which=st.integers(0, 100))
    def abort(self, which: int) -> None:
        self.engine.abort(str(which % self.n))

    @rule(seed=st.integers(0, 1000), how=st.sampled_from(["delete", "flip", "cut", "swap"]))
    def damage(self, seed: int, how: str) -> None:
        found = files(Path(self.folder.name))
        if not found:
            return
        rng = random.Random(seed)
        path = rng.choice(found)
        data = bytearray(path.read_bytes())
        if how == "delete":
            path.unlink()
        elif how == "flip":
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            path.write_bytes(data)
        elif how == "cut":
            path.write_bytes(data[: rng.randrange(len(data))])
        else:
            path.write_bytes(rng.choice(found).read_bytes())

    @rule()
    def restart(self) -> None:
        self.engine.close()
        while self.engine.has_work:
            self.collect(self.engine.step())
        self.start()

    @invariant()
    def blocks_add_up(self) -> None:
        self.engine._scheduler.check_integrity()

    def teardown(self) -> None:
        steps = 0
        while self.engine.has_work:
            self.collect(self.engine.step())
            steps += 1
            assert steps < 5000, "nothing may starve"
        self.engine.close()
        self.folder.cleanup()
        for name, events in self.events.items():
            assert [d.finish_reason for d in events if d.finish_reason] == [events[-1].finish_reason]
            adapter = fake_adapter(Path(self.adapters[name])) if self.adapters[name] else None
            expected, got = solitary(self.requests[name], adapter=adapter), tokens_of(events)
            if events[-1].finish_reason is FinishReason.CANCELLED:
                expected = expected[: len(got)]
            assert got == expected


Tiers.TestCase.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
TestTiers = Tiers.TestCase


class TiersWithHost(Tiers):
    """The same with the host's memory between the device's and the disk."""

    host_blocks = 9


TiersWithHost.TestCase.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
TestTiersWithHost = TiersWithHost.TestCase
