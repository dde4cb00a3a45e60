"""How many of a set of tasks are answered rightly, with intervals, by what is to be answered."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from portico_engine.tune.calling.caller import Answer
from portico_engine.tune.calling.scoring import is_right, names_right
from portico_engine.tune.calling.task import Task


class Figure(NamedTuple):
    """Of so many tasks, percent."""

    tasks: int
    name: float
    call: float
    low: float  # of `call`, 95%
    high: float


def figures(tasks: Sequence[Task], answers: Sequence[Answer]) -> dict[str, Figure]:
    """By kind of answer, and of all."""
    found: dict[str, Figure] = {}
    for kind in ("one", "several", "none", "all"):
        of = [(task, answer) for task, answer in zip(tasks, answers, strict=True) if kind in (task.kind, "all")]
        if of:
            right = sum(is_right(task, answer) for task, answer in of)
            named = sum(names_right(task, answer) for task, answer in of)
            low, high = wilson(right, len(of))
            found[kind] = Figure(len(of), 100 * named / len(of), 100 * right / len(of), 100 * low, 100 * high)
    return found


def wilson(right: int, count: int) -> tuple[float, float]:
    """The 95% interval of a share (Wilson 1927)."""
    z, p = 1.96, right / count
    middle, half = p + z * z / (2 * count), z * math.sqrt(p * (1 - p) / count + z * z / (4 * count * count))
    whole = 1 + z * z / count
    return (middle - half) / whole, (middle + half) / whole
