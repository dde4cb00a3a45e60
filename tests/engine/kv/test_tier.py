"""The cache over a tier whose store is a dict: what goes down, what comes up, and in which order."""

from __future__ import annotations

from collections.abc import Sequence

from portico_engine.kv.block_pool import BlockPool
from portico_engine.kv.cache import KVCache
from portico_engine.kv.eviction import CostAware
from portico_engine.kv.hashing import chain_key, root_key
from portico_engine.kv.tier import FullBlock, Tier
from portico_engine.plan import KVOp, Load, Save

ROOT = root_key("model")
SIZE = 4


class Shelf:
    """`tier.TierStore` in memory."""

    def __init__(self) -> None:
        self.content: dict[bytes, bytes] = {}
        self.touched: list[list[bytes]] = []

    def get(self, block: FullBlock) -> memoryview | None:
        found = self.content.get(block.key)
        return None if found is None else memoryview(found)

    def put(self, block: FullBlock, content: bytes) -> None:
        self.content[block.key] = content

    def touch(self, keys: Sequence[bytes]) -> None:
        self.touched.append(list(keys))


class Cache:
    """A pool of `n` blocks, the tier below it, and an executor that moves their tokens."""

    def __init__(self, n: int, shelf: Shelf | None = None) -> None:
        self.shelf = shelf or Shelf()
        self.tier = Tier(self.shelf)
        self.kv = KVCache(BlockPool(n, SIZE, CostAware(), self.tier), ROOT)

    def run_ops(self) -> tuple[KVOp, ...]:
        ops = self.kv.take_ops()
        for op in ops:
            if isinstance(op, Save):
                self.tier.put(op.key, op.key)
            elif isinstance(op, Load):
                assert bytes(self.tier.get(op.key)) == op.key
        assert self.tier.flush(5)
        return ops

    def compute(self, tokens: Sequence[int], keep: int = 0) -> int:
        """A sequence's whole life; how much of it was known."""
        table = self.kv.allocate(tokens)
        known = table.computed
        assert self.kv.reserve(table, len(tokens))
        self.run_ops()
        self.kv.commit(table, tokens, len(tokens))
        self.kv.persist(table, keep)
        self.kv.free(table, tokens)
        self.kv.check_integrity()
        return known

    def save(self) -> list[bytes]:
        """Save what waits; the keys in their order."""
        keys: list[bytes] = []
        while self.kv.has_saves:
            self.kv.plan_saves()
            keys += [op.key for op in self.run_ops() if isinstance(op, Save)]
        return keys


def chain(tokens: Sequence[int]) -> list[bytes]:
    keys = [ROOT]
    for i in range(0, len(tokens) - SIZE + 1, SIZE):
        keys.append(chain_key(keys[-1], tokens[i : i + SIZE]))
    return keys[1:]


def filled(tokens: Sequence[int]) -> Shelf:
    """A shelf on which another process left these tokens."""
    shelf = Shelf()
    shelf.content = {key: key for key in chain(tokens)}
    return shelf


def test_the_end_is_saved_before_the_beginning_so_that_the_beginning_outlives_it() -> None:
    cache = Cache(8)
    tokens = list(range(14))
    cache.compute(tokens, keep=13)
    assert cache.save() == chain(tokens)[::-1]


def test_a_gap_in_memory_is_filled_from_below_and_what_is_behind_it_is_found_again() -> None:
    tokens = list(range(17))
    cache = Cache(5, filled(tokens[:8]))
    table = cache.kv.allocate(tokens)
    cache.kv.reserve(table, 17)
    cache.run_ops()
    cache.kv.commit(table, tokens, 17)
    cache.kv.free(table, tokens)
    first = cache.kv.pool.index.full(chain(tokens)[0])
    assert first is not None
    cache.compute([90, 91])
    gone = [cache.kv.pool.index.full(key) is None for key in chain(tokens)]
    assert gone == [False, True, False, False], "what is below is evicted before what isn't, the end first"
    table = cache.kv.allocate(tokens)
    assert table.computed == 16
    assert [op.key for op in cache.run_ops() if isinstance(op, Load)] == [chain(tokens)[1]]


def test_the_same_block_is_loaded_twice_where_the_first_place_was_lost_before_the_step() -> None:
    tokens, other = list(range(9)), list(range(50, 62))
    cache = Cache(3, filled(tokens))
    cache.kv.free(cache.kv.allocate(tokens), tokens)
    crowd = cache.kv.allocate(other)
    assert cache.kv.reserve(crowd, 12)
    cache.kv.free(crowd, other)
    table = cache.kv.allocate(tokens)
    assert table.computed == 8
    cache.kv.check_integrity()
    loads = [op for op in cache.run_ops() if isinstance(op, Load)]
    assert [op.key for op in loads] == chain(tokens) * 2
    cache.kv.check_integrity()


def test_what_is_loaded_leaves_the_last_token_to_be_computed() -> None:
    tokens = list(range(8))
    cache = Cache(4, filled(tokens))
    assert cache.kv.allocate(tokens).computed == 4


def test_a_full_pool_loads_what_it_has_room_for() -> None:
    tokens = list(range(13))
    cache = Cache(3, filled(tokens))
    held = cache.kv.allocate([90])
    assert cache.kv.reserve(held, 1)
    assert cache.kv.allocate(tokens).computed == 8
    cache.kv.check_integrity()


def test_of_two_prefixes_the_one_below_makes_room_though_it_was_used_later() -> None:
    cache = Cache(7)
    dear, cheap = list(range(12)), list(range(50, 62))
    cache.compute(cheap, keep=12)
    cache.save()
    cache.compute(dear)
    cache.compute(cheap)
    cache.compute(list(range(80, 92)))
    assert [cache.kv.pool.index.full(key) is None for key in chain(dear)] == [False] * 3
    assert cache.compute(cheap) == 8


def test_every_use_of_a_prefix_is_told_to_the_store_once_in_a_while() -> None:
    tokens = list(range(9))
    cache = Cache(8, filled(tokens))
    for _ in range(3):
        cache.compute([*tokens, 1])
    assert cache.shelf.touched == [chain(tokens)]
