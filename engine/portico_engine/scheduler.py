"""Who runs in the next step: continuous batching under a budget of tokens, prefills cut into chunks and mixed with decodes.

It owns the two queues and the decisions: admission first come, first served within a priority, preemption by recompute of the
youngest of the lowest priority. It makes no difference between prompt, forced run and sampled token: what isn't computed yet is
pending. It sees no logits.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass

from portico_engine.executors.protocol import Capabilities
from portico_engine.kv.cache import KVCache
from portico_engine.plan import Row, StepPlan
from portico_engine.sequence import Sequence, SequenceState

_SHORT = 32  # pending tokens up to here are a decode or a forced run: they don't wait behind a prefill


@dataclass(frozen=True, slots=True)
class ScheduledStep:
    """A plan and whose rows they are."""

    plan: StepPlan
    sequences: tuple[Sequence, ...]


class Scheduler:
    """Both queues are kept in order: (priority, arrival)."""

    def __init__(self, kv: KVCache, caps: Capabilities) -> None:
        self._kv = kv
        self._caps = caps
        self._waiting: list[Sequence] = []
        self._running: list[Sequence] = []
        self._slots = list(range(caps.rows - 1, -1, -1))
        self.preemptions = 0

    @property
    def n_waiting(self) -> int:
        return len(self._waiting)

    @property
    def n_running(self) -> int:
        return len(self._running)

    @property
    def has_work(self) -> bool:
        return bool(self._waiting or self._running)

    def sequences(self) -> list[Sequence]:
        """All that are not finished."""
        return [*self._running, *self._waiting]

    def add(self, seq: Sequence) -> None:
        """Queue a sequence, new or preempted."""
        seq.state = SequenceState.WAITING
        insort(self._waiting, seq, key=_order)

    def finish(self, seq: Sequence, *, pin: float = 0.0, trusted: bool = True) -> None:
        """Take a sequence out, wherever it is; for `pin` seconds its blocks are the last to be evicted. What isn't `trusted` is
        forgotten instead.
        """
        if seq.state is SequenceState.RUNNING:
            assert seq.table is not None
            if trusted:
                self._kv.persist(seq.table, seq.request.keep)
            else:
                self._kv.discard(seq.table)
            if pin:
                self._kv.pin(seq.table, seq.request.prompt, pin)
            self._stop(seq)
        elif seq.state is SequenceState.WAITING:
            self._waiting.remove(seq)
        seq.state = SequenceState.FINISHED

    def schedule(self) -> ScheduledStep | None:
        """The next step, or None where nothing can run."""
        rows: list[Row] = []
        planned: list[Sequence] = []
        budget = self._caps.step_tokens
        preemptions = self.preemptions
        reserved = sum(seq.pending for seq in self._running if seq.pending <= _SHORT)
        for seq in list(self._running):
            if seq.state is not SequenceState.RUNNING:  # preempted by one before it
                continue
            short = seq.pending <= _SHORT
            if short:
                reserved -= seq.pending
            count = min(seq.pending, budget if short else budget - reserved)
            if count > 0 and self._make_room(seq, count):
                rows.append(self._row(seq, count))
                planned.append(seq)
                budget -= count
        while self._waiting and budget > 0 and self._slots and self.preemptions == preemptions:
            seq = self._waiting[0]
            if not self._kv.can_allocate(seq.tokens):
                break
            self._admit(seq)
            count = min(seq.pending, budget)
            if not self._make_room(seq, count):
                break
            rows.append(self._row(seq, count))
            planned.append(seq)
            budget -= count
        return ScheduledStep(StepPlan(tuple(rows), self._kv.take_ops()), tuple(planned)) if rows else None

    def computed(self, seq: Sequence, count: int) -> None:
        """A step computed `count` more tokens of a sequence."""
        assert seq.table is not None
        self._kv.commit(seq.table, seq.tokens, seq.table.computed + count)

    def preempt_last(self) -> bool:
        """Take the blocks from the youngest of the lowest priority, which is computed again later; False where none runs."""
        if not self._running:
            return False
        victim = self._running[-1]
        self._stop(victim)
        victim.preemptions += 1
        self.preemptions += 1
        self.add(victim)
        return True

    def _admit(self, seq: Sequence) -> None:
        self._waiting.remove(seq)
        seq.table = self._kv.allocate(seq.tokens)
        if seq.cached_tokens is None:
            seq.cached_tokens = min(seq.table.computed, len(seq.request.prompt))
        seq.slot = self._slots.pop()
        seq.state = SequenceState.RUNNING
        insort(self._running, seq, key=_order)

    def _make_room(self, seq: Sequence, count: int) -> bool:
        """Blocks for `count` more tokens; False where the sequence itself had to go. Rows planned before it are never victims:
        they stand before it in the order."""
        assert seq.table is not None
        while not self._kv.reserve(seq.table, seq.table.computed + count):
            itself = self._running[-1] is seq
            self.preempt_last()
            if itself:
                return False
        return True

    def _stop(self, seq: Sequence) -> None:
        assert seq.table is not None
        assert seq.slot is not None
        self._kv.free(seq.table, seq.tokens)
        seq.table = None
        self._slots.append(seq.slot)
        seq.slot = None
        self._running.remove(seq)

    def _row(self, seq: Sequence, count: int) -> Row:
        assert seq.table is not None
        assert seq.slot is not None
        start = seq.table.computed
        last = start + count == len(seq.tokens)
        return Row(
            slot=seq.slot,
            tokens=tuple(seq.tokens[start : start + count]),
            start=start,
            block_table=tuple(seq.table.blocks),
            logits_indices=(count - 1,) if last else (),
            sampling=seq.sampling_state() if last else None,
        )

    def check_integrity(self) -> None:
        """Assert that queues, slots and tables agree."""
        self._kv.check_integrity()
        for queue, state in ((self._running, SequenceState.RUNNING), (self._waiting, SequenceState.WAITING)):
            assert [s.order for s in queue] == sorted(s.order for s in queue)
            assert all(s.state is state for s in queue)
        assert all(
            (s.table is not None) == (s.slot is not None) == (s.state is SequenceState.RUNNING) for s in self.sequences()
        )
        slots = [s.slot for s in self._running if s.slot is not None]
        assert sorted([*slots, *self._slots]) == list(range(self._caps.rows))


def _order(seq: Sequence) -> tuple[int, int]:
    return seq.order
