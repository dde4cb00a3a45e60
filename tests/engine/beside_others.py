"""One request that goes wrong beside others that must not notice: their tokens, the cache and the blocks are as without it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from tests.engine.fakes import fake_engine, run, script, solitary, tokens_of

from portico_engine import Delta, Engine, EngineError, FinishReason, Request, SamplingParams

T = TypeVar("T")
OTHER = Request("other", (5, 6, 7), max_tokens=12)
_WARM = Request("warm", tuple(range(10, 50)), max_tokens=2)
_GOOD = Request("good", (5, 6), SamplingParams(temperature=0), max_tokens=20, grammar=script("5|6 7|8 9 5|6 7|8 9|10"))


class Panic(BaseException):
    """As pyo3's PanicException: no Exception."""


class Unsayable(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


def beside_others(engine: Engine, bad: Request, *, fresh: Engine | None = None) -> Delta:
    """The bad one's end; one that is refused has ended, too. `fresh` is another such engine, where that isn't the fake one."""
    run(engine, [_WARM])
    expected = tokens_of(run(fresh or fake_engine(), [_GOOD])["good"])
    refusal: EngineError | None = None
    engine.submit(OTHER)
    try:
        engine.submit(bad)
    except EngineError as error:
        refusal = error
    deltas = run(engine, [_GOOD])
    assert tokens_of(deltas["other"]) == solitary(OTHER)
    assert tokens_of(deltas["good"]) == expected
    again = run(engine, [replace(_WARM, id="again")])["again"][-1].usage
    assert again is not None
    assert again.cached_tokens == 39, "the cache has forgotten what it had"
    assert_whole(engine)
    if refusal is not None:
        return Delta(bad.id, finish_reason=FinishReason.ERROR, error=str(refusal))
    assert [delta.finish_reason for delta in deltas["bad"][:-1]] == [None] * (len(deltas["bad"]) - 1)
    return deltas["bad"][-1]


def assert_whole(engine: Engine) -> None:
    """Nothing is left of requests that ended: no block, row, adapter or id."""
    engine._scheduler.check_integrity()
    engine._adapters.check_integrity()
    assert not engine.has_work
    assert not engine._live
    stats = engine.stats()
    assert stats["blocks_held"] == stats["waiting"] == stats["running"] == stats["paused"] == 0


def on_a_thread(fn: Callable[[], T]) -> T:
    """Where engines run: there Ctrl-C and the like are nobody's order, but faults."""
    found: list[Any] = []

    def work() -> None:
        try:
            found.extend((fn(), None))
        except BaseException as error:  # noqa: BLE001 - raised again below
            found.extend((None, error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if isinstance(error := found[1], Exception):
        raise error
    assert error is None, f"{type(error).__name__} came out"
    result: T = found[0]
    return result
