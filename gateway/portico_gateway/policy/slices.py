"""Long work on the event loop: a slice at a time, one such work at a time, so that everybody else is answered between.

It owns how long a slice is. A work is a generator that yields wherever it may be interrupted and returns what it found; from
one yield to the next it should take a millisecond at most.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Generic, NamedTuple, TypeAlias, TypeVar

import anyio
from anyio.lowlevel import checkpoint

SLICE = 0.004  # seconds of the processor
_Found = TypeVar("_Found")
Work: TypeAlias = Generator[None, None, _Found]


def at_once(work: Work[_Found]) -> _Found:
    """All of it, without anybody in between."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


class Slices:
    """Runs works. What ends within a slice never waits; of all others one has its turn."""

    def __init__(self) -> None:
        self._turn = anyio.Lock()

    async def run(self, work: Work[_Found]) -> _Found:
        """What the work found. What it raises is raised here."""
        ended = _one_slice(work)
        if ended is None:
            async with self._turn:
                while ended is None:
                    await checkpoint()
                    ended = _one_slice(work)
        return ended.found


class _Ended(NamedTuple, Generic[_Found]):
    found: _Found


def _one_slice(work: Work[_Found]) -> _Ended[_Found] | None:
    """What it found, where it came to its end."""
    began = time.thread_time()
    while True:
        try:
            next(work)
        except StopIteration as end:
            return _Ended(end.value)
        if time.thread_time() - began > SLICE:
            return None
