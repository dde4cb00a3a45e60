"""Work that is asked for often, held to a share of the time. It knows nothing of the work."""

from __future__ import annotations

import time
from collections.abc import Callable


class Throttle:
    """Work that is asked for often and must not take more than a share of the time: a build that writes thousands of ignored
    files would have the tree walked without end. `due` says whether it was asked for and has rested long enough; the work goes
    inside `with`."""

    REST = 4  # times what the work last took

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._requested = False
        self._began = 0.0
        self._next = 0.0

    def request(self) -> None:
        self._requested = True

    def due(self) -> bool:
        return self._requested and self._clock() >= self._next

    def __enter__(self) -> None:
        self._requested = False
        self._began = self._clock()

    def __exit__(self, *_: object) -> None:
        now = self._clock()
        self._next = now + self.REST * (now - self._began)
