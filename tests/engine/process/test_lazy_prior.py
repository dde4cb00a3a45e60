from __future__ import annotations

import pickle
from types import MappingProxyType

from portico_engine import CallPrior, TextPrior, ToolCallPrior
from portico_engine.process.lazy_prior import join_prior, split_prior

PART = CallPrior(keys={"": {"a": 1.0}})


def refuse(name: str) -> CallPrior:
    raise AssertionError(f"{name} was asked for")


def test_what_is_plain_data_already_crosses_whole() -> None:
    for prior in (None, TextPrior({"a": 1.0}), ToolCallPrior({"t": 1.0}, {"t": PART})):
        given = split_prior(prior)
        assert given == (prior, ())
        assert join_prior(given, refuse) == prior


def test_what_cannot_be_pickled_is_asked_for_when_it_is_looked_at_and_once() -> None:
    asked: list[str] = []

    def ask(name: str) -> CallPrior:
        asked.append(name)
        return PART

    prior = ToolCallPrior({"a": -1.0}, MappingProxyType({"a": CallPrior(), "b": PART}), strength=3.0)
    again = join_prior(pickle.loads(pickle.dumps(split_prior(prior))), ask)
    assert isinstance(again, ToolCallPrior)
    assert (again.names, again.strength, list(again.calls), len(again.calls)) == ({"a": -1.0}, 3.0, ["a", "b"], 2)
    assert asked == []
    assert again.calls["b"] == again.calls["b"] == PART
    assert again.calls.get("missing") is None
    assert asked == ["b"]
