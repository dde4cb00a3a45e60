"""Sequences whose grammars have more to find out than fits into a step, in turn.

It owns the order alone: what they find out is their matchers' affair, and how much at a time the engine's.
"""

from __future__ import annotations

from portico_engine.sequence import Sequence, SequenceState


class Settlement:
    """Those that are unsettled; who was asked goes behind the others."""

    def __init__(self) -> None:
        self._waiting: dict[int, Sequence] = {}  # by arrival, who has waited longest first

    def note(self, seq: Sequence) -> None:
        """Whether it has more to find out, now that it was asked."""
        self._waiting.pop(seq.arrival, None)
        if seq.unsettled is not None and seq.finish is None:
            self._waiting[seq.arrival] = seq

    def in_turn(self) -> list[Sequence]:
        """Those that aren't paused; who has ended meanwhile is forgotten."""
        self._waiting = {arrival: seq for arrival, seq in self._waiting.items() if seq.finish is None}
        return [seq for seq in self._waiting.values() if seq.state is not SequenceState.PAUSED]
