"""What a prior believes of each tool's arguments stays in the parent until a step of the child looks at it.

Such beliefs may be made only as they are looked at: a question calls one tool of many.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from portico_engine.faults import faults_of
from portico_engine.priors.call_prior import CallPrior
from portico_engine.priors.protocol import Prior
from portico_engine.priors.tool_call_prior import ToolCallPrior


class SplitPrior(NamedTuple):
    """A prior as it crosses; `names` are the tools whose part is asked for when it is needed, none where it crosses whole."""

    prior: Prior | None
    names: tuple[str, ...]


def split_prior(prior: Prior | None) -> SplitPrior:
    """Whole where it is plain data already."""
    if not isinstance(prior, ToolCallPrior) or isinstance(prior.calls, dict):
        return SplitPrior(prior, ())
    return SplitPrior(replace(prior, calls={}), tuple(prior.calls))


def pack_prior(prior: SplitPrior | CallPrior | Exception) -> bytes:
    """A prior, a part of one or why there is none, as it lies in its message. Raises EngineError for what can't be pickled."""
    with faults_of("its prior"):
        return pickle.dumps(prior, pickle.HIGHEST_PROTOCOL)


def unpack_prior(data: bytes) -> Any:
    """The inverse of `pack_prior`. Raises EngineError for what this process has no code for."""
    with faults_of("its prior"):
        return pickle.loads(data)


def join_prior(given: SplitPrior, ask: Callable[[str], CallPrior]) -> Prior | None:
    """The prior again; `ask` is called, once a tool, for what it believes of that one's arguments."""
    if not given.names:
        return given.prior
    assert isinstance(given.prior, ToolCallPrior)
    return replace(given.prior, calls=_LazyCalls(given.names, ask))


class _LazyCalls(Mapping[str, CallPrior]):
    def __init__(self, names: tuple[str, ...], ask: Callable[[str], CallPrior]) -> None:
        self._names = dict.fromkeys(names)
        self._ask = ask
        self._known: dict[str, CallPrior] = {}

    def __getitem__(self, name: str) -> CallPrior:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._known:
            self._known[name] = self._ask(name)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
