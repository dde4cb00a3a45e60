"""How much of a step may go to finding out how texts end, shared by all requests of that step.

What a mask may cost in all is counted elsewhere and is the same on every machine (closing/derivatives.py); a slice only says
how much of it is done now. What is over it is done in the next steps, while others' answers go on.
"""

from __future__ import annotations

from dataclasses import dataclass

SLICE = 1_000  # units of work of a step: 2 to 15 ms, by machine and by what is found out


class SliceOver(Exception):
    """This step's share is used up; asking again, with another slice, goes on. Never leaves a matcher's `prepare`."""


@dataclass(slots=True)
class WorkSlice:
    """What is left of one step's share; below nothing, where a piece of work that can't be cut was the last."""

    left: int = SLICE

    @property
    def is_over(self) -> bool:
        return self.left <= 0
