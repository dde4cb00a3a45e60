"""Replays a trace through the real scheduler, block pool and prefix index, with answers that are written beforehand and a clock
that steps move; beside it, what an unlimited radix tree of tokens would have saved at each request.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count

from kv_trace_inputs import Tokens, Trace, Turn
from portico_engine.executors.protocol import Capabilities
from portico_engine.kv.block_pool import BlockPool
from portico_engine.kv.cache import KVCache
from portico_engine.kv.eviction import Blocks, EvictionPolicy
from portico_engine.kv.hashing import BlockKeys, root_key
from portico_engine.plan import BLOCK_TOKENS, blocks_for
from portico_engine.request import Request, SamplingParams
from portico_engine.sampling import SampledToken
from portico_engine.scheduler import Scheduler
from portico_engine.sequence import Sequence
from portico_engine.text.detokenizer import IncrementalDetokenizer, StopStrings

ROOT_KEY = root_key("trace")
ROWS, STEP_TOKENS = 16, 2048
STEP_SECONDS, TOKEN_SECONDS = 8e-3, 5e-5  # of the clock: a model of 8 billion parameters on a GPU, about
GREEDY = SamplingParams(temperature=0.0)
TurnId = tuple[int, int]  # conversation, turn
MakePolicy = Callable[[Callable[[], float], "Future", "Replay"], EvictionPolicy]


@dataclass(slots=True)
class Replayed:
    """Of all requests: tokens of prompts, those that were found at admission, those that a radix tree would have had, and those
    that were computed in all, preempted work among it; when each turn was admitted."""

    prompt: int = 0
    found: int = 0
    radix: int = 0
    computed: int = 0
    preemptions: int = 0
    evictions: int = 0
    most_held: int = 0
    admitted: dict[TurnId, float] = field(default_factory=dict)


class Radix:
    """An unlimited radix tree of tokens: the longest beginning that any sequence had, computed so far."""

    def __init__(self) -> None:
        self._done: list[Tokens] = []

    def add(self, tokens: Tokens) -> None:
        insort(self._done, tokens)

    def common(self, prompt: Tokens, running: Iterator[Tokens]) -> int:
        """Of what ended a sorted neighbour has most in common."""
        at = bisect_left(self._done, prompt)
        near = [*self._done[max(0, at - 1) : at + 1], *running]
        return min(max((_common(prompt, other) for other in near), default=0), len(prompt) - 1)


class Future:
    """Which turns are to come, when they came where nothing was evicted, and the blocks that they use."""

    def __init__(self, trace: Trace, admitted: Mapping[TurnId, float]) -> None:
        self._uses: dict[bytes, list[tuple[float, TurnId]]] = {}
        self._behind: dict[bytes, list[tuple[float, TurnId, int]]] = {}  # by parent: the first token behind it
        self.keys: dict[TurnId, list[bytes]] = {}
        self._come: set[TurnId] = set()
        for turn, (c, k) in _turns(trace):
            at, keys = admitted.get((c, k), 0.0), BlockKeys(ROOT_KEY, BLOCK_TOKENS)
            n_blocks = (len(turn.prompt) - 1) // BLOCK_TOKENS
            self.keys[c, k] = [keys.key(i, turn.prompt) for i in range(n_blocks)]
            for key in self.keys[c, k]:
                self._uses.setdefault(key, []).append((at, (c, k)))
            behind = self._behind.setdefault(keys.parent(n_blocks), [])
            behind.append((at, (c, k), turn.prompt[n_blocks * BLOCK_TOKENS]))

    def came(self, turn: TurnId) -> None:
        self._come.add(turn)

    def next_use(self, key: bytes | None, parent: bytes, first: int) -> float:
        """Of a full block by its key, else of an unfilled one."""
        if key is not None:
            times = [at for at, turn in self._uses.get(key, ()) if turn not in self._come]
        else:
            times = [at for at, turn, token in self._behind.get(parent, ()) if turn not in self._come and token == first]
        return min(times, default=float("inf"))


class Belady:
    """`EvictionPolicy` that knows the future: what is needed last goes first (Belady 1966), of equals the one let go first."""

    def __init__(self, future: Future, replay: Replay) -> None:
        self._future, self._replay = future, replay
        self._live: dict[int, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, int]] = []
        self._order = count()

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, block: object) -> bool:
        return block in self._live

    @property
    def unpinned(self) -> int:
        return len(self._live)

    def pinned_blocks(self) -> list[int]:
        return []

    def add(self, blocks: Blocks, cost: float = 1.0, pinned_until: float | None = None) -> None:
        for block in map(int, blocks):
            entry = self._replay.kv.pool.index.entry(block)
            self._live[block] = (-self._future.next_use(entry.key, entry.parent, entry.tokens[0]), next(self._order))
            heapq.heappush(self._heap, (*self._live[block], block))

    def remove(self, blocks: Blocks) -> None:
        for block in map(int, blocks):
            del self._live[block]

    def pop(self) -> int:
        while True:
            use, order, block = heapq.heappop(self._heap)
            if self._live.get(block) == (use, order):
                del self._live[block]
                return block

    def came(self, turn: TurnId) -> None:
        """What was to be used by this turn is used by the next one now."""
        self._future.came(turn)
        for key in self._future.keys[turn]:
            block = self._replay.kv.pool.index.full(key)
            if block is not None and block in self._live:
                self.remove([block])
                self.add([block])


class Replay:
    """One trace over a pool of `n_blocks`."""

    def __init__(
        self,
        trace: Trace,
        n_blocks: int,
        policy: MakePolicy | None = None,
        future: Future | None = None,
        *,
        radix: bool = False,
    ) -> None:
        self.now = 0.0
        self._trace = trace
        self._radix = Radix() if radix else None
        made = None if policy is None or future is None else policy(lambda: self.now, future, self)
        self._belady = made if isinstance(made, Belady) else None
        self.kv = KVCache(BlockPool(n_blocks, policy=made, clock=lambda: self.now), ROOT_KEY)
        longest = max(len(turn.prompt) + len(turn.answer) for turn, _ in _turns(trace)) + 1
        caps = Capabilities(n_blocks, ROWS, STEP_TOKENS, 1 << 16, longest, "none", light_tokens=STEP_TOKENS)
        self.scheduler = Scheduler(self.kv, caps)
        self._coming = [(one.begins, (c, 0)) for c, one in enumerate(trace)]
        heapq.heapify(self._coming)
        self._running: dict[str, tuple[TurnId, Sequence]] = {}
        self._arrivals = count()
        self.result = Replayed()

    def run(self) -> Replayed:
        """All of it."""
        while self._coming or self.scheduler.has_work:
            if not self.scheduler.has_work:
                self.now = max(self.now, self._coming[0][0])
            while self._coming and self._coming[0][0] <= self.now:
                self._submit(heapq.heappop(self._coming)[1])
            self._step()
        self.result.preemptions = self.scheduler.preemptions
        self.result.evictions = self.kv.pool.evictions
        return self.result

    def _submit(self, turn_id: TurnId) -> None:
        turn, arrival = self._turn(turn_id), next(self._arrivals)
        request = Request(str(arrival), turn.prompt, GREEDY, len(turn.answer), pin=turn.pin)
        seq = Sequence(request, arrival, len(turn.answer), 0, IncrementalDetokenizer([], ()), StopStrings([]))
        self._running[request.id] = turn_id, seq
        self.scheduler.add(seq)

    def _turn(self, turn_id: TurnId) -> Turn:
        return self._trace[turn_id[0]].turns[turn_id[1]]

    def _step(self) -> None:
        planned = self.scheduler.schedule()
        assert planned is not None
        for turn_id, seq in self._running.values():
            if seq.cached_tokens is not None and turn_id not in self.result.admitted:
                self._note_admission(turn_id, seq)
        self.now += STEP_SECONDS + TOKEN_SECONDS * planned.plan.n_tokens
        pool = self.kv.pool
        self.result.most_held = max(self.result.most_held, pool.n_blocks - pool.available)
        for seq, row in zip(planned.sequences, planned.plan.rows, strict=True):
            self.scheduler.computed(seq, len(row.tokens))
            self.result.computed += len(row.tokens)
            if not row.logits_indices:
                continue
            turn_id = self._running[seq.request.id][0]
            answer = self._turn(turn_id).answer
            seq.append(SampledToken(answer[seq.n_new], 0.0, ()), forced=False)
            if seq.remaining <= 0:
                self._end(turn_id, seq)

    def _note_admission(self, turn_id: TurnId, seq: Sequence) -> None:
        prompt, cached = seq.request.prompt, seq.cached_tokens
        assert cached is not None
        self.result.admitted[turn_id] = self.now
        self.result.prompt += len(prompt)
        self.result.found += cached
        if self._radix is not None:
            others = (tuple(o.tokens[: o.table.computed]) for _, o in self._running.values() if o is not seq and o.table)
            self.result.radix += self._radix.common(prompt, others)
        if self._belady is not None:
            self._belady.came(turn_id)

    def _end(self, turn_id: TurnId, seq: Sequence) -> None:
        tokens = tuple(seq.tokens[: seq.table.computed]) if seq.table else ()
        self.scheduler.finish(seq, pin=seq.request.pin)
        del self._running[seq.request.id]
        if self._radix is not None:
            self._radix.add(tokens)
        c, k = turn_id
        if k + 1 < len(self._trace[c].turns):
            heapq.heappush(self._coming, (self.now + self._trace[c].turns[k + 1].pause, (c, k + 1)))


def unlimited(trace: Trace) -> int:
    """Blocks that hold every sequence of a trace, none shared."""
    return sum(blocks_for(len(turn.prompt) + len(turn.answer)) + 1 for turn, _ in _turns(trace))


def _turns(trace: Trace) -> Iterator[tuple[Turn, TurnId]]:
    for c, one in enumerate(trace):
        for k, turn in enumerate(one.turns):
            yield turn, (c, k)


def _common(a: Tokens, b: Tokens) -> int:
    """By halves: slices are compared faster than single tokens."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
