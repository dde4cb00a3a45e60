"""A grammar that has more to find out than fits into a step holds its own answer up, and nobody else's."""

from __future__ import annotations

from tests.engine.fakes import ScriptMatcher, fake_engine

from portico_engine import Delta, Engine, FinishReason, Request, SamplingParams
from portico_engine.grammar.compiled import CompiledGrammar
from portico_engine.grammar.protocol import Prepared
from portico_engine.grammar.work_slice import WorkSlice

SCRIPT = CompiledGrammar("5 6|7 8 9|10")


class SlowMatcher(ScriptMatcher):
    """Needs so many slices for each thing that is asked of it."""

    slices = 3
    asked: list[tuple[Prepared, int]]
    left = slices

    def prepare(self, what: Prepared, remaining: int, slice: WorkSlice) -> bool:
        self.__dict__.setdefault("asked", []).append((what, remaining))
        slice.left -= 10**9
        self.left -= 1
        if self.left:
            return False
        self.left = self.slices
        return True


def slow(engine: Engine) -> Engine:
    grammars = engine.grammars
    plain = grammars.matcher
    grammars.matcher = lambda grammar: SlowMatcher(plain(grammar).script[:-1])  # type: ignore[attr-defined, method-assign]
    return engine


def steps_of(engine: Engine, *requests: Request) -> list[list[Delta]]:
    for request in requests:
        engine.submit(request)
    found = []
    while engine.has_work:
        found.append(engine.step())
        assert len(found) < 500
    return found


def tokens_of(steps: list[list[Delta]], request_id: str) -> list[int]:
    return [token for step in steps for delta in step if delta.request_id == request_id for token in delta.tokens]


def test_it_says_the_same_some_steps_later() -> None:
    request = Request("a", (5, 6, 7), SamplingParams(seed=1), max_tokens=20, grammar=SCRIPT)
    at_once, later = steps_of(fake_engine(), request), steps_of(slow(fake_engine()), request)
    assert tokens_of(later, "a") == tokens_of(at_once, "a")
    assert later[-1][-1].finish_reason is FinishReason.STOP
    assert len(later) > len(at_once) + 3


def test_others_go_on_meanwhile_a_token_a_step() -> None:
    slow_one = Request("slow", (5, 6, 7), SamplingParams(seed=1), max_tokens=20, grammar=SCRIPT)
    plain = Request("plain", (9, 8, 7), SamplingParams(seed=1), max_tokens=30)
    steps = steps_of(slow(fake_engine()), slow_one, plain)
    counts = [sum(len(delta.tokens) for delta in step if delta.request_id == "plain") for step in steps]
    begun, ended = counts.index(1), len(counts) - counts[::-1].index(1)
    assert counts[begun:ended] == [1] * 30


def test_two_that_wait_take_turns() -> None:
    requests = [Request(f"r{i}", (5, 6, 7), SamplingParams(seed=1), max_tokens=20, grammar=SCRIPT) for i in range(2)]
    steps = steps_of(slow(fake_engine()), *requests)
    ends = [i for i, step in enumerate(steps) for delta in step if delta.finish_reason]
    assert len(ends) == 2
    assert ends[1] - ends[0] <= SlowMatcher.slices


def test_one_that_is_given_up_or_fails_while_it_waits_is_out() -> None:
    engine = slow(fake_engine())
    engine.submit(Request("gone", (5, 6, 7), SamplingParams(seed=1), max_tokens=20, grammar=SCRIPT))
    engine.step()
    engine.abort("gone")
    (delta,) = engine.step()
    assert delta.finish_reason is FinishReason.CANCELLED
    assert not engine.has_work

    class Fails(SlowMatcher):
        def prepare(self, what: Prepared, remaining: int, slice: WorkSlice) -> bool:
            if what == "mask":
                raise RuntimeError("broken")
            return True

    engine = fake_engine()
    plain = engine.grammars.matcher
    engine.grammars.matcher = lambda grammar: Fails(plain(grammar).script[:-1])  # type: ignore[attr-defined, method-assign]
    steps = steps_of(engine, Request("broken", (5, 6, 7), SamplingParams(seed=1), max_tokens=20, grammar=SCRIPT))
    last = steps[-1][-1] if steps[-1] else steps[-2][-1]
    assert last.finish_reason is FinishReason.ERROR
    assert "its grammar" in str(last.error)
