"""Sequences' block tables over the pool: reuse of known prefixes, growth, and what is known afterwards.

It owns the rules by which content becomes known (full blocks as soon as they are computed, an unfilled tail
when its sequence lets go) and by which it is worth keeping below memory. It knows tokens and positions, not requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from portico_engine.kv.below import Below
from portico_engine.kv.block_pool import BlockPool
from portico_engine.kv.block_table import BlockTable
from portico_engine.kv.hashing import KEY_BYTES, BlockKeys, Salt, adapted_root, block_content, content_tokens
from portico_engine.kv.prefix_index import PrefixMatch
from portico_engine.kv.tier import FullBlock
from portico_engine.plan import KVOp

_REUSES = 2  # a prefix that came this often again is kept below; once more is how every call's answer comes
_SAVE_AT_ONCE = 16
_KINDS = 64  # of prompts, whose newest is kept: the next of its kind begins with the same instructions


class KVCache:
    """A pool and the tables over it."""

    def __init__(self, pool: BlockPool, root: bytes, *, window: int = 0, step_tokens: int = 0) -> None:
        """`window`: no token sees more positions than so many, its own among them (0: it sees all). Steps have at most
        `step_tokens`.
        """
        assert len(root) == KEY_BYTES
        self.pool = pool
        self._window = window
        self._most_blocks = self._blocks_for(window + step_tokens) + 1 if window else pool.n_blocks
        self._root = root
        self._block_tokens = pool.block_tokens
        self._tables: set[BlockTable] = set()
        self._matched: tuple[tuple[BlockKeys, int, int, int], PrefixMatch] | None = None  # the last question and its answer
        self._newest_keys: dict[tuple[bytes, Salt | None], BlockKeys] = {}  # by adapter and salt, the newest last
        self.queried_tokens = 0
        self.hit_tokens = 0
        self._below = Below(pool)

    def block_keys(self, salt: Salt | None = None, adapter: bytes = b"", shared_tokens: int = 0) -> BlockKeys:
        """For a new sequence's blocks; those of another salt, or of an adapter with another digest, are not known to it. Its
        first `shared_tokens` are nobody's text.
        """
        size, kind = self.pool.block_tokens, (adapter, salt)
        like = self._newest_keys.pop(kind, None)
        names = BlockKeys(adapted_root(self._root, adapter), size, salt, shared_tokens // size, like)
        self._newest_keys[kind] = names
        if len(self._newest_keys) > _KINDS:
            del self._newest_keys[next(iter(self._newest_keys))]
        return names

    def can_allocate(self, tokens: Sequence[int], names: BlockKeys | None = None) -> bool:
        """Would a sequence with all these tokens, and one more, find room now?"""
        hit = self._match(names or self.block_keys(), tokens)
        needed = self._blocks_for(len(tokens) + 1) - len(hit.blocks)
        room = self.pool.available - min(needed, self._most_blocks)  # known blocks that nobody holds count among them
        return room >= len(hit.blocks) or room >= self.pool.count_cached(hit.blocks)

    def allocate(self, tokens: Sequence[int], names: BlockKeys | None = None) -> BlockTable:
        """A table that starts with whatever is known of `tokens` but the last one, which must be computed to be answered.

        Blocks that are gone from memory come from the tiers below, if they are there. `names` are the sequence's own.
        """
        table = BlockTable(names or self.block_keys())
        limit = len(tokens) - 1
        while True:
            hit = self._match(table.names, tokens, len(table.keys))
            self.pool.hold(hit.blocks)
            table.extend(hit.blocks)
            table.keys += hit.keys
            table.computed += len(hit.blocks) * self.pool.block_tokens
            if not self._load(table, tokens, limit):
                break
        if hit.tail is not None:
            self.pool.hold([hit.tail])  # so that making room doesn't evict what is to be copied
            own = self.pool.allocate(table.blocks[-1] if table.blocks else None)
            if own is not None:
                self.pool.copy(hit.tail, own, hit.tail_tokens)
                table.blocks.append(own)
                table.computed += hit.tail_tokens
            self.pool.release([hit.tail])
        self._tables.add(table)
        self._note_owner(table, 0)
        self._note_use(table, tokens)
        self.queried_tokens += len(tokens)
        self.hit_tokens += table.computed
        return table

    def _match(self, names: BlockKeys, tokens: Sequence[int], first: int = 0) -> PrefixMatch:
        """What is known of all but the last token. Who asks again before anything changed is answered from memory."""
        asked = (names, len(tokens), first, self.pool.index.version)
        if self._matched is None or self._matched[0] != asked:
            self._matched = asked, self.pool.index.match(names, tokens, len(tokens) - 1, first)
        return self._matched[1]

    def _load(self, table: BlockTable, tokens: Sequence[int], limit: int) -> bool:
        """Go on with full blocks from below, up to one that is in memory, is nowhere, or has no room. Did any come?"""
        size, before = self.pool.block_tokens, table.computed
        while not self._below.is_empty and table.computed + size <= limit:
            at = len(table.keys)
            content = table.names.content(at, tokens)
            block = FullBlock(table.names.key(at, tokens), table.parent, content_tokens(content))
            own = None if self.pool.index.full(block.key) is not None else self._below.bring(table, block)
            if own is None:
                break
            self.pool.index.add_full(own, content, block.key)
            table.blocks.append(own)
            table.keys.append(block.key)
            table.computed += size
        return table.computed > before

    def _note_owner(self, table: BlockTable, first: int) -> None:
        """Whose the full blocks from this one on are."""
        if first < (end := min(len(table.keys), table.names.shared_blocks)):
            self.pool.mark_shared(table.array[first:end])

    def _note_use(self, table: BlockTable, tokens: Sequence[int]) -> None:
        """What came often enough is kept."""
        reuses = self.pool.reuse(table.array[: len(table.keys)], tokens)
        if self.pool.tier is not None:
            self._request_saves(key for key, n in zip(table.keys, reuses.tolist(), strict=True) if n >= _REUSES)
            self.pool.tier.touch(table.keys)

    def fork(self, table: BlockTable, length: int) -> BlockTable | None:
        """A second table over the first `length` computed positions: full blocks shared, an unfilled end copied. None where no
        room.
        """
        assert length <= table.computed
        full, rest = divmod(length, self.pool.block_tokens)
        own = None
        if rest:
            own = self.pool.allocate(table.blocks[full - 1] if full else None)
            if own is None:
                return None
            self.pool.copy(table.blocks[full], own, rest)
        child = BlockTable(table.names.forked(full), table.blocks[:full], table.keys[:full], length, min(table.released, full))
        self.pool.hold(child.held)
        if own is not None:
            child.blocks.append(own)
        self._tables.add(child)
        return child

    def fork_blocks(self, length: int, more: int) -> int:
        """Blocks that a fork of `length` positions takes for itself, with `more` behind them."""
        return self._blocks_for(more) + 1

    def state_points(self, prompt_tokens: int, keep: int) -> tuple[int, ...]:
        """Lengths at which a step of a prompt should end and `keep_state` be called; `keep` of its tokens shall be kept. None
        here: what is computed is known to the token.
        """
        return ()

    def keep_state(self, table: BlockTable, tokens: Sequence[int]) -> None:
        """What the table has computed, all of it, is known from here on, even when it goes on."""

    def reserve(self, table: BlockTable, n_tokens: int) -> bool:
        """Room for `n_tokens` positions in all; False where the pool is exhausted (what was gained so far is kept)."""
        while len(table.blocks) * self._block_tokens < n_tokens:
            block = self.pool.allocate(table.blocks[-1] if table.blocks else None)
            if block is None:
                return False
            table.blocks.append(block)
        return True

    def commit(self, table: BlockTable, tokens: Sequence[int], computed: int) -> None:
        """Positions up to `computed` hold `tokens` now."""
        size = self._block_tokens
        assert table.computed <= computed <= len(table.blocks) * size
        table.computed = computed
        if computed // size > (known := len(table.keys)):
            full = computed // size
            keys, contents = table.names.span(known, full, tokens)
            table.keys += keys
            step = len(contents) // len(keys)
            for n, (block, key) in enumerate(zip(table.blocks[known:full], keys, strict=True)):
                self.pool.index.add_full(block, contents[n * step : (n + 1) * step], key)
            self._note_owner(table, known)
        if self._window:
            self._release_unseen(table)
        else:
            table.quiet = (len(table.keys) + 1) * size - 1

    def _release_unseen(self, table: BlockTable) -> None:
        """Let go of blocks before the window of the next token: they are known as long as nobody needs room."""
        unseen = max(0, table.computed + 1 - self._window) // self._block_tokens
        if unseen > table.released:
            self.pool.release(table.array[table.released : unseen])
            table.released = unseen

    def persist(self, table: BlockTable, n_tokens: int) -> None:
        """The first `n_tokens` are a prefix that shall survive this process. What is no full block of it is left out."""
        if self.pool.tier is not None:
            self._request_saves(table.keys[: n_tokens // self.pool.block_tokens])

    def _request_saves(self, keys: Iterable[bytes]) -> None:
        """The end before the beginning, so that the beginning is the younger file and outlives it."""
        assert self.pool.tier is not None
        new = [key for key in keys if not self.pool.tier.has(key)]
        blocks = [block for key in new if (block := self.pool.index.full(key)) is not None]
        self.pool.tier.request_saves(map(self.pool.full_block, reversed(blocks)))

    def note_step(self, n_tokens: int, seconds: float) -> None:
        """A step of so many tokens took so long: what computing anew costs."""
        if self.pool.host is not None:
            self.pool.host.cost.note_step(n_tokens, seconds)

    @property
    def has_saves(self) -> bool:
        """Is something to be saved when there is time?"""
        return self.pool.tier is not None and self.pool.tier.has_save_requests

    def plan_saves(self) -> None:
        """Plan some of what is to be saved, as the disk keeps up with it. What was evicted meanwhile is saved already."""
        tier = self.pool.tier
        if tier is None or not tier.wait_for_room(_SAVE_AT_ONCE):
            return
        for _ in range(_SAVE_AT_ONCE):
            if not tier.has_save_requests:
                return
            block = self.pool.index.full(tier.pop_save_request().key)
            if block is not None:
                self.pool.save(block)

    def persist_pinned(self) -> None:
        """What is still waited for shall survive this process too."""
        if self.pool.tier is not None:
            full = [block for block in self.pool.retained.pinned() if self.pool.index.key(block) is not None]
            self.pool.tier.request_saves(map(self.pool.full_block, reversed(full)))

    def pin(self, table: BlockTable, prompt: Sequence[int], seconds: float) -> None:
        """Others' blocks go before this table's, until a table begins that goes on from `prompt`, at most for so long."""
        full = min(len(prompt) // self.pool.block_tokens, len(table.keys))
        if full > table.released:
            self.pool.retained.pin(table.held, table.blocks[full - 1], prompt[full * self.pool.block_tokens :], seconds)

    def discard(self, table: BlockTable) -> None:
        """The table's content can't be trusted: it is known no more, in memory or below. Tables that share it go on."""
        self.pool.forget(table.held)
        table.computed = len(table.keys) * self.pool.block_tokens  # so that no tail becomes known

    def distrust(self, block: int) -> list[BlockTable]:
        """A block that should have been filled wasn't: it is known no more. The tables that hold it, which end before it now:
        what they have behind it is to be found, or computed, anew.
        """
        self.pool.forget([block])
        holders = [table for table in self._tables if block in table.held]
        for table in holders:
            at = table.blocks.index(block, table.released)
            del table.keys[at:]
            table.quiet = 0
            table.computed = min(table.computed, at * self.pool.block_tokens)
        return holders

    def free(self, table: BlockTable, tokens: Sequence[int]) -> None:
        """Let go of a table. What it computed stays known as long as there is room."""
        full = len(table.keys)
        rest = table.computed - full * self.pool.block_tokens
        if rest:
            content = block_content(table.parent, tokens[full * self.pool.block_tokens : table.computed])
            self.pool.index.add_tail(table.blocks[full], content)
        self.release(table)

    def release(self, table: BlockTable) -> None:
        """Let go of a table whose end has been written over: only its full blocks stay known."""
        self._tables.remove(table)
        self.pool.release(table.array[table.released :][::-1])
        table.clear()

    def reset(self) -> None:
        """Forget everything after a failure, when no table is left: what memory holds can't be trusted."""
        self.pool.clear()
        self.pool.abandon_ops()

    def take_ops(self) -> tuple[KVOp, ...]:
        """The pool's operations for the executor, in order."""
        return self.pool.take_ops()

    def stats(self) -> dict[str, float]:
        """Counters since the start, and blocks by state: free, cached (the pinned among them), held; and by whose they are."""
        pool, tier, host = self.pool, self.pool.tier, self.pool.host
        fetched, loaded = self._below.fetched_tokens, self._below.loaded_tokens
        owners = pool.count_by_owner()
        return {
            "blocks": pool.n_blocks,
            "blocks_available": pool.available,
            "blocks_free": pool.free,
            "blocks_cached": pool.cached,
            "blocks_held": pool.held,
            "blocks_pinned": owners["pinned", "shared"] + owners["pinned", "callers"],
            **{f"blocks_{state}_{owner}": n for (state, owner), n in owners.items()},
            "evictions": pool.evictions,
            "prompt_tokens": self.queried_tokens,
            "prompt_tokens_cached": self.hit_tokens,
            "prompt_tokens_cached_memory": self.hit_tokens - fetched - loaded,
            "prompt_tokens_cached_host": fetched,
            "prompt_tokens_cached_disk": loaded,
            "kv_saves": tier.saves if tier else 0,
            "kv_saves_lost": tier.lost_saves if tier else 0,
            "kv_loads": tier.loads if tier else 0,
            "kv_load_seconds": tier.load_seconds if tier else 0.0,
            "host_blocks": host.n_slots if host else 0,
            "host_blocks_used": len(host) if host else 0,
            "kv_offloads": host.offloads if host else 0,
            "kv_fetches": host.fetches if host else 0,
        }

    def check_integrity(self) -> None:
        """Assert the pool's and the tables' invariants."""
        self.pool.check_integrity(table.held for table in self._tables)
        for table in self._tables:
            assert len(table.keys) == table.computed // self.pool.block_tokens
            assert table.computed <= len(table.blocks) * self.pool.block_tokens

    def _blocks_for(self, n_tokens: int) -> int:
        return -(-n_tokens // self.pool.block_tokens)
