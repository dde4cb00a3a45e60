"""Steps in which something fails: who ends, who goes on, and what is known afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.fakes import INFO, fake_engine, run, script, solitary, tokens_of
from tests.engine.faulty_executor import FaultyExecutor, Panic

from portico_engine import Engine, EngineError, FinishReason, Request
from portico_engine.errors import DeviceLost
from portico_engine.plan import Copy, Drop, Fetch, Load, Offload, Save

VOCABULARY = INFO.vocab_size
POISON = 200
GOOD = [Request(name, (5, 6, number), max_tokens=8) for number, name in enumerate("abc", 10)]
BAD = Request("bad", (5, 6, POISON), max_tokens=8)


def faulty(**options: object) -> FaultyExecutor:
    return FaultyExecutor(vocab_size=VOCABULARY, **options)  # type: ignore[arg-type]


def ended_well(engine: Engine, requests: list[Request]) -> None:
    deltas = run(engine, requests)
    for request in requests:
        if POISON in request.prompt:
            assert deltas[request.id][-1].finish_reason is FinishReason.ERROR
        else:
            assert tokens_of(deltas[request.id]) == solitary(request)
    engine._scheduler.check_integrity()
    assert not engine.has_work


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    "fault", [lambda: RuntimeError("a bad row"), lambda: Panic("a bad row"), lambda: MemoryError("a bad row")]
)
@pytest.mark.parametrize("place", range(4))
def test_only_the_row_that_fails_ends(place: int, fault: type[BaseException], late: bool, ahead: bool) -> None:
    requests = [*GOOD[:place], BAD, *GOOD[place:]]
    executor = faulty(poison=POISON, fault=lambda: fault("a bad row"), late=late, runs_ahead=ahead)
    ended_well(fake_engine(executor), requests)


def test_what_the_request_hears_is_what_happened() -> None:
    end = run(fake_engine(faulty(poison=POISON)), [BAD, *GOOD])["bad"][-1]
    assert end.error == "its step failed (RuntimeError: a bad row)"


def test_a_fault_that_does_not_come_again_ends_nobody() -> None:
    executor = faulty(faults_at={2, 5})
    ended_well(fake_engine(executor), GOOD)


def test_a_row_alone_with_its_fault_ends_and_the_executor_is_asked_whether_it_lives() -> None:
    engine = fake_engine(faulty(poison=POISON))
    ended_well(engine, [BAD])
    ended_well(engine, GOOD)


def test_an_executor_that_does_nothing_any_more_raises_its_own_error() -> None:
    engine = fake_engine(faulty(most_tokens=0))
    for request in GOOD:
        engine.submit(request)
    with pytest.raises(MemoryError):
        engine.step()


def test_a_lost_device_is_not_tried_again() -> None:
    executor = faulty(poison=POISON, fault=lambda: DeviceLost("gone"))
    engine = fake_engine(executor)
    for request in (*GOOD, BAD):
        engine.submit(request)
    with pytest.raises(DeviceLost):
        engine.step()
    assert executor.attempts == 1


def test_a_step_too_large_for_memory_is_computed_in_parts() -> None:
    """Rows fewer at a time, and a row that is too long by itself in pieces."""
    requests = [Request(name, tuple(range(number, number + 60)), max_tokens=5) for number, name in enumerate("abc", 3)]
    ended_well(fake_engine(faulty(most_tokens=16)), requests)
    ended_well(fake_engine(faulty(most_tokens=2, step_tokens=64)), GOOD[:1])


def test_masks_stay_with_their_rows() -> None:
    """Where a batch is cut, each row has its own grammar's mask still."""
    grammars = ["5|6 7|8", "9|10 11|12", "13|14 15|16"]
    requests = [Request(str(i), (5, i), max_tokens=5, grammar=script(text)) for i, text in enumerate(grammars)]
    expected = {request.id: tokens_of(run(fake_engine(), [request])[request.id]) for request in requests}
    deltas = run(fake_engine(faulty(poison=POISON)), [*requests[:1], BAD, *requests[1:]])
    assert {name: tokens_of(of) for name, of in deltas.items() if name != "bad"} == expected


def test_what_a_failed_row_wrote_is_not_known() -> None:
    """Neither its full blocks nor its tail: the same prompt without the poison is computed."""
    engine = fake_engine(faulty(poison=POISON))
    prompt = tuple(range(10, 42))
    ended_well(engine, [Request("bad", (*prompt, POISON), max_tokens=3)])
    last = run(engine, [Request("again", (*prompt, 7), max_tokens=3)])["again"][-1]
    assert last.usage is not None
    assert last.usage.cached_tokens == 0


def test_a_failed_score_ends_no_request() -> None:
    engine = fake_engine(faulty(poison=POISON))
    engine.submit(GOOD[0])
    deltas = engine.step()
    with pytest.raises(EngineError, match="a bad row"):
        engine.score((5, 6), [[7, 8], [POISON, 9]])
    assert tokens_of([*deltas, *run(engine).get("a", [])]) == solitary(GOOD[0])
    engine._scheduler.check_integrity()


KEPT = Request("kept", tuple(range(10, 60)), max_tokens=2, keep=48)


@pytest.mark.parametrize("kind", [Load, Copy, Save])
def test_an_operation_that_fails_costs_what_it_was_for(kind: type, tmp_path: Path) -> None:
    """A prefix that can't be loaded or copied is computed; one that can't be saved is not there next time."""
    first = fake_engine(faulty(), kv_dir=tmp_path)
    run(first, [KEPT])
    first.close()
    failed: list[object] = []

    def fails(op: object) -> bool:
        return isinstance(op, kind) and not failed and not failed.append(op)  # type: ignore[func-returns-value]

    engine = fake_engine(faulty(faulty_ops=fails), kv_dir=tmp_path)
    more = Request("more", (*KEPT.prompt[:40], 7, 8), max_tokens=6)
    other = Request("other", (*range(100, 140), 7, 8), max_tokens=6, keep=32)
    ended_well(engine, [KEPT, more, other])
    ended_well(engine, [Request("again", KEPT.prompt[:45], max_tokens=6), more])
    engine.close()
    assert failed
    third = fake_engine(faulty(), kv_dir=tmp_path)
    ended_well(third, [KEPT, more, other])
    third.close()


@pytest.mark.parametrize("kind", [Offload, Fetch])
def test_a_block_that_the_hosts_memory_fails_at_is_computed(kind: type) -> None:
    engine = fake_engine(faulty(faulty_ops=lambda op: isinstance(op, kind), blocks=17, host_blocks=20))
    large = Request("large", tuple(i for i in range(3, 240) if i != POISON), max_tokens=3)
    again = Request("again", (*KEPT.prompt, 9), max_tokens=6)
    ended_well(engine, [KEPT])
    ended_well(engine, [large])
    ended_well(engine, [again])
    engine._scheduler.check_integrity()


def test_a_copy_that_always_fails_ends_its_request_and_no_other() -> None:
    engine = fake_engine(faulty(faulty_ops=lambda op: isinstance(op, Copy)))
    run(engine, [KEPT])
    deltas = run(engine, [Request("same", KEPT.prompt, max_tokens=4), GOOD[0]])
    assert deltas["same"][-1].error == "its cached prefix can't be read"
    assert tokens_of(deltas["a"]) == solitary(GOOD[0])
    engine._scheduler.check_integrity()


def test_a_drop_that_fails_is_the_executors_end() -> None:
    """What is dead may be read by others: nothing of memory is known any more."""
    engine = fake_engine(faulty(faulty_ops=lambda op: isinstance(op, Drop)))
    run(engine, [GOOD[0]])
    run(engine, [GOOD[0]])  # knows nothing new: its blocks die
    with pytest.raises(RuntimeError):
        run(engine, [GOOD[0]])


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_whatever_fails_the_others_say_what_they_say_alone(data: st.DataObject) -> None:
    """Random batches over few blocks, with rows that always fail or an attempt that fails once, operations that fail at times,
    and little memory.
    """
    once = data.draw(st.none() | st.integers(1, 30))
    failing = {Load: 0, Copy: 0, Save: 0, Offload: 0, Fetch: 0}

    def fails(op: object) -> bool:
        if type(op) not in failing or failing[type(op)] >= 2 or not data.draw(st.booleans()):
            return False
        failing[type(op)] += 1
        return True

    executor = faulty(
        poison=POISON if once is None else None,
        late=data.draw(st.booleans()),
        blocks=data.draw(st.sampled_from([18, 24, 32])),
        host_blocks=data.draw(st.sampled_from([0, 4, 20])),
        most_tokens=data.draw(st.sampled_from([8, 20, 1000])),
        step_tokens=data.draw(st.sampled_from([16, 64])),
        faults_at=set() if once is None else {once},
        faulty_ops=fails,
        runs_ahead=data.draw(st.booleans()),
    )
    engine = fake_engine(executor)
    requests: list[Request] = []
    for i in range(data.draw(st.integers(1, 6))):
        prompt = [*range(10, 10 + data.draw(st.integers(1, 50))), *data.draw(st.lists(st.integers(3, 6), max_size=20))]
        if data.draw(st.integers(0, 4)) == 0:
            prompt[data.draw(st.integers(0, len(prompt) - 1))] = POISON
        requests.append(Request(str(i), tuple(prompt), max_tokens=data.draw(st.integers(1, 12))))
    deltas = run(engine, requests)
    for request in requests:
        end, said = deltas[request.id][-1], tokens_of(deltas[request.id])
        if end.finish_reason is FinishReason.ERROR:
            assert executor.faults_at or POISON in (*request.prompt, *said, *solitary(request))
        expected = solitary(request)
        assert said == expected[: len(said)]
    engine._scheduler.check_integrity()
