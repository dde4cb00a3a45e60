"""Where the time of the engine's steps goes, part by part.

It owns the clock and the sums, in seconds; what a part is and when it is over is `engine.py`'s and `step_runner.py`'s to say.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import TypeAlias

from portico_engine.request import STEP_PARTS, StepPart

Lap: TypeAlias = Callable[[StepPart], None]  # what went by since the last one was this part's


class StepTiming:
    """A stopwatch whose laps are added up by part."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._last = clock()
        self._seconds: dict[StepPart, float] = dict.fromkeys(STEP_PARTS, 0.0)

    def start(self) -> None:
        """A step begins: what went by before is nobody's."""
        self._last = self._clock()

    def lap(self, part: StepPart) -> None:
        """What went by since the last lap, or the start, was this part's."""
        now = self._clock()
        self._seconds[part] += now - self._last
        self._last = now

    @property
    def total(self) -> float:
        """Seconds of all parts."""
        return sum(self._seconds.values())

    def stats(self) -> dict[str, float]:
        """Seconds by part, as `step_seconds_PART`, and their sum."""
        return {"step_seconds": self.total, **{f"step_seconds_{part}": seconds for part, seconds in self._seconds.items()}}


def no_lap(_part: StepPart) -> None:
    """A `Lap` for steps that nobody times."""
