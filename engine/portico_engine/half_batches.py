"""Two steps that take turns, each of about half of the running sequences: the device computes for one half while the processor
sees what the other has said.

Sequences whose next token depends on the last one have no part in a step that is begun before that is seen. It owns who has a
row in which half; steps and queues are the scheduler's.
"""

from __future__ import annotations

from portico_engine.scheduled_step import ScheduledStep
from portico_engine.sequence import Sequence

LEAST = 32  # running sequences: of fewer, one step costs little more than half of it


def pay(n_running: int) -> bool:
    """Are so many sequences worth two steps?"""
    return n_running >= LEAST


def halve(running: list[Sequence], counts: list[int | None]) -> None:
    """No more than half of the sequences keep a count that isn't 0, those whose last row is longest ago; all do where none must
    be seen.
    """
    most = (len(running) + 1) // 2
    there = [at for at, count in enumerate(counts) if count != 0]
    if len(there) <= most or all(running[at].may_be_followed for at in there):
        return
    there.sort(key=lambda at: running[at].planned)
    for at in there[most:]:
        counts[at] = 0


def leaves_a_half(step: ScheduledStep, n_running: int) -> bool:
    """Have so many of those that run no part in this step that the next one is theirs?"""
    return n_running - len(step.sequences) >= LEAST // 4 and not any(row.drafts for row in step.plan.rows)
