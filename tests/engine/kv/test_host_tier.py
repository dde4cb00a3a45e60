"""The host's slots beside a device's blocks: what goes there, what comes back, and no slot serves another block's content."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.engine.fakes import Clock

from portico_engine.kv.block_pool import BlockPool
from portico_engine.kv.block_table import BlockTable
from portico_engine.kv.cache import KVCache
from portico_engine.kv.eviction import CostAware
from portico_engine.kv.hashing import chain_key, root_key
from portico_engine.kv.host_tier import HostTier
from portico_engine.kv.swap_cost import SwapCost
from portico_engine.kv.tier import FullBlock
from portico_engine.plan import Copy, Drop, Fetch, KVOp, Offload

ROOT = root_key("model")
SIZE = 4


def block_of(*tokens: int) -> FullBlock:
    return FullBlock(chain_key(ROOT, tokens), ROOT, tokens)


def host(n: int, policy: CostAware | None = None) -> HostTier:
    return HostTier(n, SwapCost(0.0, SIZE), policy)


class Cache:
    """A pool of `n` blocks over a host of `slots`, and an executor that moves what they hold."""

    def __init__(self, n: int, slots: int) -> None:
        self.host = host(slots)
        self.kv = KVCache(BlockPool(n, SIZE, CostAware(), host=self.host), ROOT)
        self.blocks: dict[int, dict[int, tuple[int, ...]]] = {}  # block -> offset -> all tokens up to there
        self.slots: dict[int, dict[int, tuple[int, ...]]] = {}

    def run_ops(self) -> tuple[KVOp, ...]:
        ops = self.kv.take_ops()
        for op in ops:
            match op:
                case Copy(source, target, n_tokens):
                    self.blocks[target] = {i: self.blocks[source][i] for i in range(n_tokens)}
                case Drop(block):
                    self.blocks.pop(block, None)
                case Offload(block, slot):
                    assert len(self.blocks[block]) == SIZE
                    self.slots[slot] = dict(self.blocks[block])
                case Fetch(slot, block):
                    self.blocks[block] = dict(self.slots[slot])
        return ops

    def write(self, table: BlockTable, tokens: Sequence[int]) -> bool:
        """Compute all tokens of a table."""
        if not self.kv.reserve(table, len(tokens)):
            return False
        self.run_ops()
        for p in range(table.computed, len(tokens)):
            self.blocks.setdefault(table.blocks[p // SIZE], {})[p % SIZE] = tuple(tokens[: p + 1])
        self.kv.commit(table, tokens, len(tokens))
        return True

    def compute(self, tokens: Sequence[int]) -> int:
        """A sequence's whole life; how much of it was known."""
        table = self.kv.allocate(tokens)
        self.run_ops()
        known = table.computed
        self.check(table, tokens)
        assert self.write(table, tokens)
        self.kv.free(table, tokens)
        self.kv.check_integrity()
        return known

    def check(self, table: BlockTable, tokens: Sequence[int]) -> None:
        for p in range(table.computed):
            assert self.blocks[table.blocks[p // SIZE]][p % SIZE] == tuple(tokens[: p + 1])


def test_what_is_evicted_comes_back_from_the_host() -> None:
    cache = Cache(4, 8)
    first = list(range(13))
    cache.compute(first)
    cache.compute(list(range(50, 66)))
    assert len(cache.host) == 3, "the unfilled tail is computed again"
    assert cache.compute(first) == 12
    assert cache.kv.stats()["kv_fetches"] == 3
    assert cache.kv.stats()["prompt_tokens_cached_host"] == 12


def test_a_second_eviction_copies_nothing() -> None:
    cache = Cache(4, 16)
    first, second = list(range(13)), list(range(50, 63))
    for _ in range(3):
        cache.compute(first)
        cache.compute(second)
    assert cache.host.offloads == 6
    assert cache.host.fetches >= 12


def test_a_full_host_lets_the_oldest_go() -> None:
    tier = host(2)
    slots = [tier.place(block_of(i, i, i, i)) for i in range(3)]
    assert slots[2] == slots[0]
    assert not tier.has(block_of(0, 0, 0, 0).key)
    tier.check_integrity()


def test_what_is_pinned_outlives_what_is_newer() -> None:
    tier = host(2, CostAware(Clock()))
    tier.place(block_of(0, 0, 0, 0), pinned_until=60.0)
    tier.place(block_of(1, 1, 1, 1))
    tier.place(block_of(2, 2, 2, 2))
    assert tier.has(block_of(0, 0, 0, 0).key)
    assert not tier.has(block_of(1, 1, 1, 1).key)


def test_a_slot_that_is_to_be_fetched_from_is_nobody_elses() -> None:
    tier = host(1)
    tier.place(block_of(0, 0, 0, 0))
    slot = tier.hold(block_of(0, 0, 0, 0))
    assert slot == 0
    assert tier.place(block_of(1, 1, 1, 1)) is None
    tier.release(slot)
    assert tier.place(block_of(1, 1, 1, 1)) == 0


def test_a_collision_of_keys_serves_nobody_elses_content() -> None:
    tier = host(1)
    tier.place(block_of(0, 0, 0, 0))
    assert tier.hold(block_of(0, 0, 0, 0)._replace(tokens=(1, 1, 1, 1))) is None
    tier.check_integrity()


def test_nothing_is_swapped_where_computing_is_cheaper() -> None:
    cost = SwapCost(1.0, SIZE)
    tier = HostTier(2, cost)
    tier.place(block_of(0, 0, 0, 0))
    cost.note_step(100, 1.0)
    assert tier.place(block_of(1, 1, 1, 1)) is None
    assert tier.hold(block_of(0, 0, 0, 0)) is None
    assert tier.declined == 1


class Swapping(RuleBasedStateMachine):
    """Random sequences over a small pool and a smaller host, and slots whose content was lost."""

    def __init__(self) -> None:
        super().__init__()
        self.cache = Cache(9, 5)
        self.live: list[tuple[BlockTable, list[int]]] = []

    @rule(tokens=st.lists(st.integers(0, 1), min_size=1, max_size=18))
    def allocate(self, tokens: list[int]) -> None:
        if self.cache.kv.can_allocate(tokens):
            table = self.cache.kv.allocate(tokens)
            self.cache.run_ops()
            self.live.append((table, tokens))
            self.cache.check(table, tokens)

    @precondition(lambda self: self.live)
    @rule(which=st.integers(0, 100), more=st.lists(st.integers(0, 1), max_size=3))
    def grow(self, which: int, more: list[int]) -> None:
        table, tokens = self.live[which % len(self.live)]
        if self.cache.kv.reserve(table, len(tokens) + len(more)):
            tokens += more
            assert self.cache.write(table, tokens)

    @precondition(lambda self: self.live)
    @rule(which=st.integers(0, 100))
    def preempt(self, which: int) -> None:
        table, tokens = self.live.pop(which % len(self.live))
        self.cache.kv.free(table, tokens)

    @rule(slot=st.integers(0, 4))
    def lose(self, slot: int) -> None:
        self.cache.run_ops()
        self.cache.host.lose(slot)
        self.cache.slots.pop(slot, None)

    @precondition(lambda self: self.live)
    @rule(which=st.integers(0, 100))
    def distrust(self, which: int) -> None:
        self.cache.run_ops()
        table, tokens = self.live.pop(which % len(self.live))
        self.cache.kv.discard(table)
        self.cache.kv.free(table, tokens)

    @invariant()
    def all_adds_up(self) -> None:
        self.cache.run_ops()
        self.cache.kv.check_integrity()
        for table, tokens in self.live:
            self.cache.check(table, tokens)


Swapping.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestSwapping = Swapping.TestCase
