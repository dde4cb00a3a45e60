from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from portico_engine import CallPrior, TextPrior, ToolCallPrior
from portico_engine.process.parts import Arriving, split

PART = CallPrior(keys={"": {"a": 1.0}})


class Lazy(Mapping[str, CallPrior]):
    def __getitem__(self, name: str) -> CallPrior:
        raise AssertionError("not looked at")

    def __iter__(self) -> Iterator[str]:
        return iter(("a", "b", "c"))

    def __len__(self) -> int:
        return 3


def test_what_is_plain_data_already_crosses_at_once() -> None:
    for prior in (None, TextPrior({"a": 1.0}), ToolCallPrior({"t": 1.0}, {"t": PART})):
        assert split(prior) == (prior, {})


def test_what_is_made_later_follows_the_likeliest_first() -> None:
    lazy = Lazy()
    prior, rest = split(ToolCallPrior({"a": -1.0, "c": 2.0}, lazy, strength=3.0))
    assert rest is lazy
    assert isinstance(prior, ToolCallPrior)
    assert list(pickle.loads(pickle.dumps(prior)).calls) == ["c", "b", "a"]
    assert (prior.names, prior.strength) == ({"a": -1.0, "c": 2.0}, 3.0)


def test_a_part_is_waited_for() -> None:
    arriving = Arriving(["a", "b"])
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(arriving.__getitem__, "b")
        assert not arriving.arrive("b", PART)
        assert waiting.result(10) == PART
    assert arriving.get("missing") is None


def test_a_part_that_could_not_be_made_is_an_error_where_it_is_looked_up() -> None:
    arriving = Arriving(["a", "b"])
    arriving.arrive("a", PART)
    assert arriving.arrive("b", ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        arriving["b"]
