"""What a prior believes of each tool's arguments follows its request, the likeliest tool first.

Such beliefs may be made only as they are looked at, and making all of them takes longer than many a prompt. So they are made in
the parent while the child computes the prompt; a step that needs one which is not there yet waits for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace

from portico_engine.prior import CallPrior, ToolCallPrior
from portico_engine.request import Prior


class Arriving(Mapping[str, CallPrior]):
    """Beliefs by name. It is pickled without any: they `arrive` at its copy, and looking one up waits for it."""

    def __init__(self, names: Sequence[str]) -> None:
        self._parts: dict[str, Future[CallPrior]] = {name: Future() for name in names}

    def arrive(self, name: str, part: CallPrior | Exception) -> bool:
        """Are all there now? An exception is raised to whoever looks the part up."""
        if isinstance(part, Exception):
            self._parts[name].set_exception(part)
        else:
            self._parts[name].set_result(part)
        return all(part.done() for part in self._parts.values())

    def __getitem__(self, name: str) -> CallPrior:
        return self._parts[name].result()

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def __reduce__(self) -> tuple[type[Arriving], tuple[tuple[str, ...]]]:
        return Arriving, (tuple(self._parts),)


def split(prior: Prior | None) -> tuple[Prior | None, Mapping[str, CallPrior]]:
    """The prior as it crosses with its request, and what follows it."""
    if not isinstance(prior, ToolCallPrior) or isinstance(prior.calls, dict):
        return prior, {}
    names = prior.names
    order = sorted(prior.calls, key=lambda name: -names.get(name, 0.0))
    return replace(prior, calls=Arriving(order)), prior.calls
