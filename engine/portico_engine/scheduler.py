"""Who runs in the next step: continuous batching under a budget of tokens, prefills cut into chunks and mixed with decodes.

It owns the running sequences and the decisions: admission in the order of `fair_queue`, preemption by recompute for a lower
priority number, for a caller who has fewer rows, and where blocks lack. It makes no difference between prompt, forced run and
sampled token: what isn't computed yet is pending. It sees no logits. A paused sequence has neither row nor blocks, so that
nobody waits for its reader; its KV stays in the prefix index like that of one that ended, for when it comes back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from portico_engine.executors.protocol import Capabilities
from portico_engine.fairness.fair_queue import FairQueue, fair_shares
from portico_engine.fairness.turns import Turns
from portico_engine.kv.cache import KVCache
from portico_engine.plan import BLOCK_TOKENS
from portico_engine.scheduled_step import ScheduledStep, StepBatch
from portico_engine.sequence import Sequence, SequenceState

_MOST_YIELDS = 4  # times that a sequence gives its row to lower ranks: then it is let alone, and ends
_LATELY = 500  # steps since several callers were there: then one who comes again shall not wait for a long step
_BRIEF = 8  # times the executor's `light_tokens`: such a step's most tokens; smaller pieces of a prompt take longer together
_SHORT = 32  # pending tokens up to here are a decode or a forced run: they don't wait behind a prefill


class _Only(NamedTuple):
    """The adapter that all rows of a step have."""

    place: int | None


class Scheduler:
    """Running sequences are in an order of which the last are the first to be preempted: by rank; in it every caller's oldest,
    then every caller's second, and so on; then by arrival.
    """

    def __init__(self, kv: KVCache, caps: Capabilities, *, drafts: int = 0) -> None:
        """`drafts`: tokens that may be guessed of a sequence in a step, where the executor can take them back."""
        self._kv = kv
        self._drafts = drafts if caps.rewrites else 0
        self._caps = caps
        self._queue = FairQueue()
        self._running: list[Sequence] = []
        self._paused: dict[int, Sequence] = {}  # by arrival
        self._in_order = True
        self._rows: Counter[str] = Counter()  # running sequences by caller
        self._accounts: Counter[tuple[int, str]] = Counter()  # the same by rank and caller
        self._slots = list(range(caps.rows - 1, -1, -1))
        self._step = 0
        self._shared = -_LATELY  # the last step in which there were several callers
        self.preemptions = 0

    @property
    def n_waiting(self) -> int:
        return len(self._queue)

    @property
    def n_running(self) -> int:
        return len(self._running)

    @property
    def n_paused(self) -> int:
        return len(self._paused)

    @property
    def has_work(self) -> bool:
        return bool(self._queue or self._running)

    def sequences(self) -> list[Sequence]:
        """All that are not finished."""
        return [*self._running, *self._queue, *self._paused.values()]

    def add(self, seq: Sequence) -> None:
        """Queue a new sequence."""
        seq.alike = self._caps.alike_tokens
        seq.state_points = self._kv.state_points(len(seq.request.prompt), seq.request.keep)
        if seq.block_keys is None:
            digest = seq.adapter.digest if seq.adapter else b""
            seq.block_keys = self._kv.block_keys(seq.salt, digest, seq.request.shared_prefix_tokens)
        self._queue.enter(seq)
        self._wait(seq)

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
        self._take_out(seq)
        seq.state = SequenceState.FINISHED

    def pause(self, seq: Sequence) -> None:
        """It gives up its row and its blocks and its place in the queue, until `resume`. No effect on one that is paused."""
        if seq.state is not SequenceState.PAUSED:
            self._take_out(seq)
            self._paused[seq.arrival] = seq
            seq.state = SequenceState.PAUSED

    def resume(self, seq: Sequence) -> None:
        """Queue a paused sequence again, its caller level with the others as one who comes anew. No effect on others."""
        if seq.state is SequenceState.PAUSED:
            del self._paused[seq.arrival]
            self.add(seq)

    def schedule(self, under_way: ScheduledStep | None = None) -> ScheduledStep | None:
        """The next step, or None where nothing can run. Behind one that is `under_way`, not `computed` yet, rows begin where
        those of that one end, and follow them where they sample a token.
        """
        followed = [] if under_way is None else list(under_way.rows())
        for _, seq, row in followed:
            seq.known += len(row.tokens)
            seq.awaited = int(bool(row.logits_indices) and seq.remaining > 1)
        planned = self._plan()
        for _, seq, _ in followed:
            seq.known, seq.awaited = 0 if seq.table is None else seq.table.computed, 0
        return planned

    def _plan(self) -> ScheduledStep | None:
        self._step += 1
        self._queue.begin_step(self._step)
        self._sort_running()
        self._make_way()
        budget = self._budget()
        only = self._only_adapter()
        heads = [*self._queue.heads().values()] if self._slots else []
        turns = Turns(self._running, heads, self._caps.light_tokens, budget) if self._is_shared(heads) else None
        preemptions = self.preemptions
        batch = StepBatch(self._step, budget)
        self._continue_running(batch, only, turns)
        if self._slots and self.preemptions == preemptions:
            self._admit_waiting(batch, only, turns)
        return batch.scheduled(self._kv.take_ops(), self._running) if batch.rows else None

    def _continue_running(self, batch: StepBatch, only: _Only | None, turns: Turns | None) -> None:
        """Rows of those that run already: short ones whatever there is of long ones before them, which get what is left."""
        running, reserve = list(self._running), self._kv.reserve
        counts = self._counts(running, only, turns)
        reserved = sum(filter(None, counts))
        if None not in counts and not self._drafts and reserved <= batch.budget:  # as most steps are
            for seq, count in zip(running, counts, strict=True):
                table = seq.table
                if count and table is not None:  # else it is not its turn, or it was preempted by one before it
                    until = seq.known + count
                    if until <= len(table.blocks) * BLOCK_TOKENS or reserve(table, until) or self._make_room(seq, until):
                        batch.add(seq, count)
            return
        shares = self._shares(batch.budget - reserved)
        for seq, short in zip(running, counts, strict=True):
            table = seq.table
            if short == 0 or table is None:
                continue
            if short is not None:
                reserved -= short
                count = short
            else:
                most = seq.at_once if turns is None else turns.tokens(seq)
                count = min(most, batch.budget - reserved, shares.get(seq.request.caller, batch.budget))
            if count > batch.budget:
                count = batch.budget
            if count > 0 and (reserve(table, seq.known + count) or self._make_room(seq, seq.known + count)):
                drafts = self._draft(seq, count, batch.budget - reserved - count) if self._drafts else ()
                batch.add(seq, count, drafts)
                if shares and short is None:
                    shares[seq.request.caller] -= count

    def _counts(self, running: list[Sequence], only: _Only | None, turns: Turns | None) -> list[int | None]:
        """Tokens of each one's row, 0 where it has none in this step; None of long ones."""
        pending = [0 if seq.unsettled is not None else len(seq.tokens) + seq.awaited - seq.known for seq in running]
        if only is not None:
            pending = [n if seq.place == only.place else 0 for seq, n in zip(running, pending, strict=True)]
        if turns is not None:
            return [0 if not n else turns.tokens(seq) if n <= _SHORT else None for seq, n in zip(running, pending, strict=True)]
        if max(pending, default=0) <= 1:
            return list[int | None](pending)
        return [n if n <= 1 else seq.at_once if n <= _SHORT else None for seq, n in zip(running, pending, strict=True)]

    def _admit_waiting(self, batch: StepBatch, only: _Only | None, turns: Turns | None) -> None:
        """Begin to run who waits, as long as there is room."""
        preemptions = self.preemptions
        while batch.budget > 0 and self._slots and self.preemptions == preemptions:
            first = self._queue.first()
            if first is None or not self._fits(first):
                return
            self._admit(first)
            count = 0
            settled = first.unsettled is None and (only is None or first.place == only.place)
            if settled and not self._awaits_blocks(first, batch):
                count = min(turns.tokens(first) if turns is not None else first.at_once, batch.budget)
            if count <= 0:
                continue  # it runs, and its turn comes
            if not self._make_room(first, first.known + count):
                return
            batch.add(first, count)

    def computed(self, seq: Sequence, count: int) -> None:
        """A step computed `count` more tokens of a sequence."""
        table = seq.table
        assert table is not None
        seq.known = known = table.computed + count
        if known <= table.quiet:
            table.computed = known
        else:
            self._kv.commit(table, seq.tokens, known)
        if seq.state_points and known in seq.state_points:
            self._kv.keep_state(table, seq.tokens)
        self._queue.charge(seq, count)

    def preempt_last(self) -> bool:
        """Take the blocks from the last of the running, which is computed again later; False where none runs."""
        if not self._running:
            return False
        self._preempt(self._running[-1])
        return True

    def restart(self, damaged: Iterable[int]) -> list[Sequence]:
        """Preempt those that hold one of these blocks, which could not be filled; who they are."""
        cut = {id(table) for block in damaged for table in self._kv.distrust(block)}
        holders = [seq for seq in self._running if id(seq.table) in cut]
        for seq in holders:
            self._preempt(seq)
            seq.restarts += 1
        return holders

    def _preempt(self, seq: Sequence) -> None:
        self._stop(seq)
        seq.preemptions += 1
        self.preemptions += 1
        self._wait(seq)

    def _take_out(self, seq: Sequence) -> None:
        """It neither runs nor waits nor is paused any more."""
        if seq.state is SequenceState.PAUSED:
            del self._paused[seq.arrival]
            return
        if seq.state is SequenceState.RUNNING:
            self._stop(seq)
        else:
            self._queue.remove(seq)
        self._queue.leave(seq)

    def _wait(self, seq: Sequence) -> None:
        seq.state = SequenceState.WAITING
        self._queue.add(seq)

    def _sort_running(self) -> None:
        if self._in_order:
            return
        self._running.sort(key=lambda seq: (seq.rank, seq.arrival))
        if len(self._rows) > 1:
            nth: Counter[tuple[int, str]] = Counter()
            place: dict[int, int] = {}
            for seq in self._running:
                place[seq.arrival] = nth[seq.rank, seq.request.caller]
                nth[seq.rank, seq.request.caller] += 1
            self._running.sort(key=lambda seq: (seq.rank, place[seq.arrival], seq.arrival))
        self._in_order = True

    def _make_way(self) -> None:
        """Preempt for the first of the waiting, where it lacks a row or blocks and others must yield to it."""
        while self._running and (first := self._queue.first()) is not None:
            last = self._running[-1]
            if not self._yields(last, first) or (self._slots and self._fits(first)):
                return
            last.yielded += 1
            self.preempt_last()

    def _only_adapter(self) -> _Only | None:
        """Where an executor can't mix adapters: that of the sequence which waits longest for a step; else all have a part."""
        if self._caps.mixed_adapters:
            return None
        settled = (seq for seq in self._running if seq.unsettled is None)
        first = min(settled, key=lambda seq: seq.planned, default=None) or self._queue.first()
        return None if first is None else _Only(first.place)

    def _is_shared(self, heads: Iterable[Sequence]) -> bool:
        """Are several callers, or ranks, in this step?"""
        return len(self._accounts.keys() | {(seq.rank, seq.request.caller) for seq in heads}) > 1

    def _fits(self, seq: Sequence) -> bool:
        """Is there memory for all that it has so far?"""
        return self._kv.can_allocate(seq.tokens, seq.block_keys)

    def _yields(self, running: Sequence, waiting: Sequence) -> bool:
        """To a lower rank, though not for ever; within a rank who has several rows to a caller who has none, or has far fewer
        (a small difference evens out by itself, as rows end).
        """
        if running.rank != waiting.rank:
            return running.rank > waiting.rank and running.yielded < _MOST_YIELDS
        theirs, own = self._rows[running.request.caller], self._rows[waiting.request.caller]
        return theirs > 1 if own == 0 else theirs > 2 * (own + 1)

    def _budget(self) -> int:
        """Tokens of this step."""
        if self._queue.n_callers > 1:
            self._shared = self._step
        answers = any(seq.sampled for seq in self._running)  # somebody may be reading one as it comes
        if self._step - self._shared >= _LATELY and not answers:
            return self._caps.step_tokens
        return min(self._caps.step_tokens, max(self._caps.rows, _BRIEF * self._caps.light_tokens))

    def _shares(self, budget: int) -> dict[str, int]:
        """Tokens of this step for each caller's prefills, beside those that may be admitted; none where one caller is alone."""
        heads = self._queue.heads() if self._slots else {}
        if len(self._rows.keys() | heads.keys()) < 2:
            return {}
        demands: Counter[str] = Counter()
        for seq in self._running:
            if seq.pending > _SHORT:
                demands[seq.request.caller] += seq.pending
        for caller, seq in sorted(heads.items(), key=lambda item: item[1].arrival)[: len(self._slots)]:
            demands[caller] += len(seq.tokens)
        return fair_shares(budget, demands)

    def _admit(self, seq: Sequence) -> None:
        """It runs, for the rest of this step as the last."""
        self._queue.admit(seq)
        seq.table = self._kv.allocate(seq.tokens, seq.block_keys)
        seq.known = seq.table.computed
        if seq.cached_tokens is None:
            seq.cached_tokens = min(seq.table.computed, len(seq.request.prompt))
        seq.slot = self._slots.pop()
        seq.state = SequenceState.RUNNING
        last = self._running[-1] if self._running else seq
        self._running.append(seq)
        self._rows[seq.request.caller] += 1
        self._accounts[seq.rank, seq.request.caller] += 1
        in_turn = (last.rank, last.arrival) <= (seq.rank, seq.arrival)
        self._in_order = self._in_order and in_turn and len(self._rows) == 1

    def _awaits_blocks(self, seq: Sequence, batch: StepBatch) -> bool:
        """Is its prefix on its way from the host's memory, and are there others whose step that goes beside?"""
        assert seq.table is not None
        arriving, seq.table.arriving = seq.table.arriving, False
        return arriving and bool(batch.rows)

    def _make_room(self, seq: Sequence, n_tokens: int) -> bool:
        """Blocks for `n_tokens` in all; False where the sequence itself had to go. Rows planned before it are never victims:
        they stand before it.
        """
        table = seq.table
        assert table is not None
        while not self._kv.reserve(table, n_tokens):
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
        seq.known = seq.awaited = 0
        self._slots.append(seq.slot)
        seq.slot = None
        self._running.remove(seq)
        self._in_order = self._in_order and len(self._rows) == 1
        self._rows[seq.request.caller] -= 1
        if not self._rows[seq.request.caller]:
            del self._rows[seq.request.caller]
        account = seq.rank, seq.request.caller
        self._accounts[account] -= 1
        if not self._accounts[account]:
            del self._accounts[account]

    def _draft(self, seq: Sequence, count: int, budget: int) -> tuple[int, ...]:
        """Guesses behind its last `count` tokens: where nobody else's steps are made longer by them, and there is room."""
        if count < seq.pending or not seq.may_draft or len(self._rows) > 1:
            return ()
        assert seq.table is not None
        assert seq.lookup is not None
        drafts = seq.lookup.propose(seq.tokens, min(self._drafts, seq.remaining - 1, budget))
        known = seq.known + count
        return drafts if drafts and self._kv.reserve(seq.table, known + len(drafts)) else ()

    def check_integrity(self) -> None:
        """Assert that queues, slots and tables agree."""
        self._kv.check_integrity()
        self._queue.check_integrity()
        assert all(seq.state is SequenceState.RUNNING for seq in self._running)
        assert all(seq.state is SequenceState.WAITING for seq in self._queue)
        assert all(seq.state is SequenceState.PAUSED for seq in self._paused.values())
        assert self._rows == Counter(seq.request.caller for seq in self._running)
        assert self._accounts == Counter((seq.rank, seq.request.caller) for seq in self._running)
        assert all(
            (s.table is not None) == (s.slot is not None) == (s.state is SequenceState.RUNNING) for s in self.sequences()
        )
        slots = [s.slot for s in self._running if s.slot is not None]
        assert sorted([*slots, *self._slots]) == list(range(self._caps.rows))
        assert all(s.known == (s.table.computed if s.table else 0) and not s.awaited for s in self.sequences())
