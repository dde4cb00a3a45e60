from __future__ import annotations

import gc
import random
from collections import Counter

import pytest
from tests.engine.fake_executor import FakeExecutor
from tests.engine.fakes import EOS, INFO, ScriptMatcher, fake_engine, run, script, solitary, tiny_tokenizer, tokens_of
from tests.engine.faulty_executor import FaultyExecutor

from portico_engine import FinishReason, Request, RequestError, SamplingParams
from portico_engine.kv.block_table import BlockTable
from portico_engine.kv.hashing import BlockKeys
from portico_engine.sequence import Sequence


def test_a_request_ends_with_length_and_says_what_it_cost() -> None:
    request = Request("a", (5, 6, 7), max_tokens=4)
    deltas = run(fake_engine(), [request])["a"]
    assert tokens_of(deltas) == solitary(request)
    last = deltas[-1]
    assert last.finish_reason is FinishReason.LENGTH
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens, last.usage.sampled_steps, last.usage.forced_tokens) == (
        3,
        4,
        4,
        0,
    )
    assert last.usage.time_to_first_token > 0
    assert all(d.usage is None for d in deltas[:-1])


def test_the_answer_is_cut_where_the_context_ends() -> None:
    engine = fake_engine(context_length=20)
    deltas = run(engine, [Request("a", tuple(range(3, 18)), max_tokens=100)])["a"]
    assert len(tokens_of(deltas)) == 5
    assert deltas[-1].finish_reason is FinishReason.LENGTH


def test_an_id_in_flight_is_refused_and_the_first_request_goes_on() -> None:
    engine = fake_engine()
    engine.submit(Request("a", (5,), max_tokens=2))
    with pytest.raises(RequestError, match="in flight"):
        engine.submit(Request("a", (6,)))
    assert tokens_of(run(engine)["a"]) == solitary(Request("a", (5,), max_tokens=2))
    engine.submit(Request("a", (6,), max_tokens=1))  # and is free again afterwards


def test_an_aborted_request_ends_with_cancelled_once_and_frees_its_blocks() -> None:
    engine = fake_engine()
    engine.submit(Request("a", tuple(range(3, 60)), max_tokens=50))
    engine.step()
    engine.abort("a")
    engine.abort("a")
    events = engine.step()
    assert [d.finish_reason for d in events] == [FinishReason.CANCELLED]
    assert not engine.has_work
    assert engine.stats()["blocks_available"] == 32
    engine.abort("a")
    assert engine.step() == []


def test_closing_the_iterator_aborts_the_request() -> None:
    engine = fake_engine()
    stream = engine.generate(Request("a", (5,), max_tokens=50))
    next(stream)
    stream.close()
    assert engine.stats()["running"] == 0


def test_forced_tokens_are_one_run_of_the_next_step_and_are_not_sampled() -> None:
    executor = FakeExecutor(vocab_size=269)
    engine = fake_engine(executor)
    deltas = run(engine, [Request("a", (5, 6), grammar=script("10 11 12|13 14 15 16 17|18"))])["a"]
    tokens = tokens_of(deltas)
    assert tokens[:2] == [10, 11]
    assert tokens[2] in (12, 13)
    assert tokens[3:6] == [14, 15, 16]
    assert tokens[6] in (17, 18)
    assert [plan.n_tokens for plan in executor.steps] == [4, 4], "the prompt with its run, then the sampled token with its run"
    usage = deltas[-1].usage
    assert usage is not None
    assert (usage.forced_tokens, usage.sampled_steps, usage.completion_tokens) == (5, 2, 7)
    assert deltas[-1].finish_reason is FinishReason.STOP


def test_a_grammar_with_no_choice_ends_without_a_step() -> None:
    executor = FakeExecutor(vocab_size=269)
    engine = fake_engine(executor)
    deltas = run(engine, [Request("a", (5,), grammar=script("10 11"))])["a"]
    assert tokens_of(deltas) == [10, 11]
    assert deltas[-1].finish_reason is FinishReason.STOP
    assert not executor.steps


def test_forced_tokens_survive_preemption() -> None:
    """Two constrained answers that don't fit the pool together: the one that was preempted says the same as alone."""
    grammar = script("20 " + " ".join(["30|31 40 41 42 43 44 45 46"] * 16))
    prompts = {"a": tuple(range(3, 70)), "b": tuple(range(70, 137))}
    alone = {
        name: tokens_of(run(fake_engine(), [Request(name, prompt, max_tokens=200, grammar=grammar)])[name])
        for name, prompt in prompts.items()
    }
    engine = fake_engine(blocks=17)
    together = run(engine, [Request(name, prompt, max_tokens=200, grammar=grammar) for name, prompt in prompts.items()])
    assert engine.stats()["preemptions"] > 0
    assert {name: tokens_of(deltas) for name, deltas in together.items()} == alone


def test_stop_strings_are_found_inside_forced_runs() -> None:
    tokenizer = tiny_tokenizer()
    text = tokenizer.encode("helloworld")
    grammar = script("5|6 " + " ".join(str(t) for t in text))
    deltas = run(fake_engine(), [Request("a", (7,), grammar=grammar, stop=("owo",))])["a"]
    assert "".join(d.text for d in deltas)[1:] == "hell"
    assert deltas[-1].finish_reason is FinishReason.STOP


def test_an_end_token_stops_an_answer_and_has_no_text() -> None:
    engine = fake_engine()
    deltas = run(engine, [Request("a", (5, 6), SamplingParams(temperature=0), max_tokens=9, grammar=script(f"7|8 9|{EOS}"))])[
        "a"
    ]
    assert deltas[-1].finish_reason is FinishReason.STOP
    assert "im_end" not in "".join(d.text for d in deltas)


def test_a_broken_step_leaves_every_request_to_fail_and_the_engine_usable() -> None:
    executor = FaultyExecutor(vocab_size=269)
    engine = fake_engine(executor)
    for name in ("a", "b"):
        engine.submit(Request(name, (5, 6), max_tokens=9))
    engine.step()
    executor.most_tokens = 0
    with pytest.raises(MemoryError):
        engine.step()
    executor.most_tokens = 64
    events = engine.step()
    assert {(d.request_id, d.finish_reason, d.error) for d in events} == {
        (name, FinishReason.ERROR, "the engine failed in a step (MemoryError)") for name in ("a", "b")
    }
    again = Request("c", (5, 6), max_tokens=3)
    assert tokens_of(run(engine, [again])["c"]) == solitary(again)


def test_an_answer_that_its_length_cuts_inside_its_grammar_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    cut, whole, free = (
        Request("cut", (5, 6), max_tokens=2, grammar=script("5|6 7|8 9|10")),
        Request("whole", (5, 6), max_tokens=3, grammar=script("5|6 7|8 9|10")),
        Request("free", (5, 6), max_tokens=2),
    )
    monkeypatch.setattr(ScriptMatcher, "closing_tokens", lambda self, limit: None)  # nobody knows how it ends
    engine = fake_engine()
    ends = {name: deltas[-1] for name, deltas in run(engine, [cut, whole, free]).items()}
    assert (ends["cut"].finish_reason, ends["cut"].unfinished) == (FinishReason.LENGTH, True)
    assert not ends["whole"].unfinished
    assert (ends["free"].finish_reason, ends["free"].unfinished) == (FinishReason.LENGTH, False)


def test_closing_cancels_and_closes_the_executor() -> None:
    executor = FakeExecutor(vocab_size=269)
    engine = fake_engine(executor)
    engine.submit(Request("a", (5,)))
    engine.close()
    assert executor.closed
    assert [d.finish_reason for d in engine.step()] == [FinishReason.CANCELLED]


def test_requests_that_end_leave_no_block_held_and_nothing_of_themselves() -> None:
    executor = FakeExecutor(blocks=24, rows=4, vocab_size=INFO.vocab_size)
    engine = fake_engine(executor)
    rng = random.Random(5)
    kept: Counter[type] | None = None  # after the first ones: what is known of the last prompt looked up, say
    for batch in range(60):
        for i in range(6):
            prompt = (*range(3, 20 + 8 * (i % 3)), *(rng.randrange(3, 200) for _ in range(rng.randrange(1, 12))))
            engine.submit(Request(f"{batch}:{i}", prompt, max_tokens=rng.randrange(1, 6), pin=30.0 if i == 2 else 0.0))
        engine.step()
        engine.abort(f"{batch}:{rng.randrange(6)}")
        while engine.has_work:
            engine.step()
        executor.steps.clear()
        stats = engine.stats()
        assert stats["blocks_held"] == 0
        assert stats["blocks_free"] + stats["blocks_cached"] == 24
        kept = kept or _objects()
    assert stats["evictions"] > 0
    assert _objects() == kept


def _objects() -> Counter[type]:
    """What of requests is still alive, by type."""
    gc.collect()
    return Counter(kind for kind in map(type, gc.get_objects()) if kind in (Sequence, BlockTable, BlockKeys))
