from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from portico_engine.kv.block_pool import BlockPool
from portico_engine.kv.block_table import BlockTable
from portico_engine.kv.cache import KVCache
from portico_engine.kv.hashing import chain_key, root_key
from portico_engine.plan import Copy, Drop

ROOT = root_key("model")


def test_neighbours_are_handed_out_where_they_are_free() -> None:
    pool = BlockPool(8)
    first = pool.allocate()
    assert first is not None
    second = pool.allocate(after=first)
    other = pool.allocate()
    assert second == first + 1
    assert other not in (first, second)


def test_a_block_is_held_until_its_last_reference_goes_and_then_dropped() -> None:
    pool = BlockPool(2)
    block = pool.allocate()
    assert block is not None
    pool.hold([block])
    pool.release([block])
    assert pool.available == 1
    pool.release([block])
    assert pool.available == 2
    assert pool.take_ops() == (Drop(block),)


def test_an_exhausted_pool_hands_out_nothing() -> None:
    pool = BlockPool(1)
    assert pool.allocate() == 0
    assert pool.allocate() is None


def test_blocks_beyond_those_that_may_be_held_keep_what_was_let_go_of() -> None:
    kv = KVCache(BlockPool(9, 4, most_held=3), ROOT)
    for i in range(3):
        tokens = [10 * i + j for j in range(8)]
        table = kv.allocate(tokens)
        assert kv.reserve(table, 8)
        assert not kv.can_allocate(tokens)
        kv.commit(table, tokens, 8)
        kv.free(table, tokens)
    assert (kv.pool.available, kv.pool.held, kv.pool.cached) == (3, 0, 6)
    again = kv.allocate([0, 1, 2, 3, 4, 5, 6, 7])
    assert again.computed == 7
    assert not kv.reserve(again, 13)
    kv.check_integrity()


def test_what_a_sequence_computed_is_found_by_the_next_one_up_to_the_first_changed_token() -> None:
    kv = KVCache(BlockPool(16, 4), ROOT)
    tokens = list(range(10))
    table = kv.allocate(tokens)
    assert kv.reserve(table, 10)
    kv.commit(table, tokens, 10)
    kv.free(table, tokens)

    same = kv.allocate(tokens)
    assert same.computed == 9, "the last token is computed again, to be answered"
    changed = kv.allocate([*range(6), 99, 7])
    assert changed.computed == 6
    copies = [op for op in kv.take_ops() if isinstance(op, Copy)]
    assert [op.n_tokens for op in copies] == [1, 2]
    assert changed.blocks[0] == same.blocks[0], "full blocks are shared"
    assert changed.blocks[1] != same.blocks[1]


def test_the_tail_of_one_sequence_is_not_changed_by_the_one_that_reuses_it() -> None:
    kv = KVCache(BlockPool(16, 4), ROOT)
    table = kv.allocate([1, 2, 3])
    kv.reserve(table, 3)
    kv.commit(table, [1, 2, 3], 3)
    kv.free(table, [1, 2, 3])
    a, b = kv.allocate([1, 2, 3, 4]), kv.allocate([1, 2, 3, 5])
    assert a.blocks != b.blocks
    assert a.computed == b.computed == 3


def test_a_collision_of_hashes_serves_nobody_elses_blocks() -> None:
    kv = KVCache(BlockPool(16, 4), ROOT)
    tokens = [1, 2, 3, 4, 5]
    table = kv.allocate(tokens)
    kv.reserve(table, 4)
    kv.commit(table, tokens, 4)
    kv.free(table, tokens)
    index = kv.pool.index
    index._by_key[chain_key(ROOT, [9, 9, 9, 9])] = index._by_key[chain_key(ROOT, [1, 2, 3, 4])]  # as if the two collided
    assert index.match(kv.block_keys(), [9, 9, 9, 9, 9], 4).blocks.tolist() == []


def test_the_end_of_a_prefix_is_evicted_before_its_beginning() -> None:
    kv = KVCache(BlockPool(3, 4), ROOT)
    tokens = list(range(12))
    table = kv.allocate(tokens)
    kv.reserve(table, 12)
    kv.commit(table, tokens, 12)
    kv.free(table, tokens)
    other = kv.allocate([50, 51])
    kv.reserve(other, 2)
    assert kv.pool.evictions == 1
    assert kv.pool.index.match(kv.block_keys(), tokens, 12).keys == [
        chain_key(ROOT, tokens[:4]),
        chain_key(chain_key(ROOT, tokens[:4]), tokens[4:8]),
    ]


def test_keys_are_the_same_in_every_process() -> None:
    assert chain_key(root_key("m", "n"), [1, 2, 3]).hex() == "87e4782a86acd9043e73364f1dcfe2d5006036056ed75cc0a9f0a9a4f73903f4"
    assert root_key("ab", "c") != root_key("a", "bc")


class Cache(RuleBasedStateMachine):
    """Random sequences over a small pool, beside a model of what every block must hold."""

    def __init__(self) -> None:
        super().__init__()
        self.kv = KVCache(BlockPool(10, 4), ROOT)
        self.live: list[tuple[BlockTable, list[int]]] = []
        self.content: dict[int, dict[int, tuple[int, ...]]] = {}  # block -> offset -> all tokens up to there

    def run_ops(self) -> None:
        for op in self.kv.take_ops():
            if isinstance(op, Copy):
                self.content[op.target] = {i: self.content[op.source][i] for i in range(op.n_tokens)}
            elif isinstance(op, Drop):
                self.content.pop(op.block, None)

    @rule(tokens=st.lists(st.integers(0, 1), min_size=1, max_size=18))
    def allocate(self, tokens: list[int]) -> None:
        if self.kv.can_allocate(tokens):
            table = self.kv.allocate(tokens)
            self.run_ops()
            self.live.append((table, list(tokens)))
            self.check(table, tokens)

    @precondition(lambda self: self.live)
    @rule(which=st.integers(0, 100), more=st.lists(st.integers(0, 1), max_size=3))
    def grow(self, which: int, more: list[int]) -> None:
        table, tokens = self.live[which % len(self.live)]
        tokens += more
        if self.kv.reserve(table, len(tokens)):
            self.run_ops()
            for p in range(table.computed, len(tokens)):
                self.content.setdefault(table.blocks[p // 4], {})[p % 4] = tuple(tokens[: p + 1])
            self.kv.commit(table, tokens, len(tokens))

    @precondition(lambda self: self.live)
    @rule(which=st.integers(0, 100), length=st.integers(0, 18))
    def fork(self, which: int, length: int) -> None:
        table, tokens = self.live[which % len(self.live)]
        length = min(length, table.computed)
        child = self.kv.fork(table, length)
        if child is not None:
            self.run_ops()
            self.live.append((child, tokens[:length]))
            self.check(child, tokens)

    @precondition(lambda self: self.live)
    @rule(which=st.integers(0, 100))
    def free(self, which: int) -> None:
        table, tokens = self.live.pop(which % len(self.live))
        self.kv.free(table, tokens)

    def check(self, table: BlockTable, tokens: list[int]) -> None:
        for p in range(table.computed):
            assert self.content[table.blocks[p // 4]][p % 4] == tuple(tokens[: p + 1])

    @invariant()
    def blocks_add_up(self) -> None:
        self.kv.check_integrity()
        for table, tokens in self.live:
            self.check(table, tokens)


Cache.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestCache = Cache.TestCase
