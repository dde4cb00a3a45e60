"""Which blocks hold which prefixes: full blocks by chained key, and every block, full or not, as a child of its parent by first
token.

So reuse ends at the first token that differs, as fine as in a radix tree. It knows blocks by number only: neither who holds
them nor when they go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from portico_engine.kv.hashing import BlockKeys, chain_key


@dataclass(frozen=True, slots=True)
class IndexedBlock:
    """What an indexed block holds: these tokens, behind the prefix `parent`. `key` is set where the block is full."""

    block: int
    parent: bytes
    tokens: tuple[int, ...]
    key: bytes | None


class PrefixMatch(NamedTuple):
    """The longest known beginning: whole blocks, then the first `tail_tokens` of one more."""

    blocks: tuple[int, ...]
    keys: tuple[bytes, ...]
    tail: int | None
    tail_tokens: int


class PrefixIndex:
    """Blocks by content."""

    def __init__(self, block_tokens: int) -> None:
        self._block_tokens = block_tokens
        self._entries: dict[int, IndexedBlock] = {}
        self._by_key: dict[bytes, int] = {}
        self._children: dict[bytes, dict[int, list[int]]] = {}
        self.version = 0  # counts every change

    def __contains__(self, block: int) -> bool:
        return block in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def entry(self, block: int) -> IndexedBlock:
        return self._entries[block]

    def full(self, key: bytes) -> IndexedBlock | None:
        """The block of this key."""
        block = self._by_key.get(key)
        return None if block is None else self._entries[block]

    def match(self, keys: BlockKeys, tokens: Sequence[int], limit: int, first: int = 0) -> PrefixMatch:
        """The longest known prefix of `tokens[:limit]` from block number `first` on, by the sequence's own keys. Token ids are
        compared, so that no collision serves another's KV.
        """
        size, by_key, entries, key_of, parent_of = self._block_tokens, self._by_key, self._entries, keys.key, keys.parent
        blocks: list[int] = []
        found: list[bytes] = []
        at = first
        while (at + 1) * size <= limit:
            key = key_of(at, tokens)
            block = by_key.get(key)
            if block is None:
                break
            entry = entries[block]
            if entry.parent != parent_of(at) or entry.tokens != tuple(tokens[at * size : (at + 1) * size]):
                break
            blocks.append(block)
            found.append(key)
            at += 1
        tail, tail_tokens = self._best_child(keys.parent(at), tokens, at * size, limit)
        return PrefixMatch(tuple(blocks), tuple(found), tail, tail_tokens)

    def _best_child(self, parent: bytes, tokens: Sequence[int], at: int, limit: int) -> tuple[int | None, int]:
        best, best_tokens = None, 0
        if at < limit:
            rest = tuple(tokens[at : min(limit, at + self._block_tokens)])
            for block in self._children.get(parent, {}).get(rest[0], ()):
                same = _common(self._entries[block].tokens, rest)
                if same > best_tokens:
                    best, best_tokens = block, same
        return best, best_tokens

    def match_state(self, keys: BlockKeys, tokens: Sequence[int], limit: int) -> tuple[int | None, int]:
        """The block all of whose tokens end the longest beginning of `tokens[:limit]` of which there is such a block, and the
        length of that beginning.
        """
        size = self._block_tokens
        for at in range((limit - 1) // size, -1, -1):
            if at:
                keys.key(at - 1, tokens)
            rest = tuple(tokens[at * size : min(limit, (at + 1) * size)])
            ends = [self._entries[block] for block in self._children.get(keys.parent(at), {}).get(rest[0], ())]
            ends = [entry for entry in ends if entry.tokens == rest[: len(entry.tokens)]]
            if ends:
                best = max(ends, key=lambda entry: len(entry.tokens))
                return best.block, at * size + len(best.tokens)
        return None, 0

    def add_state(self, block: int, parent: bytes, tokens: tuple[int, ...], key: bytes | None) -> bool:
        """Index a block that stands for all up to its last token; False where another one stands for the same."""
        assert block not in self._entries
        assert 0 < len(tokens) <= self._block_tokens
        if any(self._entries[other].tokens == tokens for other in self._children.get(parent, {}).get(tokens[0], ())):
            return False
        if key is not None:
            self._by_key[key] = block
        self._add(IndexedBlock(block, parent, tokens, key))
        return True

    def add_full(self, block: int, parent: bytes, tokens: tuple[int, ...], key: bytes) -> bool:
        """Index a full block; False where its prefix is indexed already, in another block."""
        assert block not in self._entries
        assert len(tokens) == self._block_tokens
        if key in self._by_key:
            return False
        self._by_key[key] = block
        self._add(IndexedBlock(block, parent, tokens, key))
        return True

    def add_tail(self, block: int, parent: bytes, tokens: tuple[int, ...]) -> bool:
        """Index an unfilled block; False where an indexed block holds these tokens already."""
        assert block not in self._entries
        assert 0 < len(tokens) < self._block_tokens
        for other in self._children.get(parent, {}).get(tokens[0], ()):
            if self._entries[other].tokens[: len(tokens)] == tokens:
                return False
        self._add(IndexedBlock(block, parent, tokens, None))
        return True

    def remove(self, block: int) -> None:
        """Forget a block. What was indexed behind it stays, and becomes reachable again with it."""
        self.version += 1
        entry = self._entries.pop(block)
        if entry.key is not None:
            del self._by_key[entry.key]
        siblings = self._children[entry.parent]
        same_start = siblings[entry.tokens[0]]
        same_start.remove(block)
        if not same_start:
            del siblings[entry.tokens[0]]
            if not siblings:
                del self._children[entry.parent]

    def __iter__(self) -> Iterator[IndexedBlock]:
        return iter(self._entries.values())

    def _add(self, entry: IndexedBlock) -> None:
        self.version += 1
        self._entries[entry.block] = entry
        self._children.setdefault(entry.parent, {}).setdefault(entry.tokens[0], []).append(entry.block)

    def check_integrity(self) -> None:
        """Assert that the three views agree."""
        listed = [b for siblings in self._children.values() for same in siblings.values() for b in same]
        assert sorted(listed) == sorted(self._entries)
        assert {e.key: e.block for e in self if e.key is not None} == self._by_key
        for entry in self:
            assert (entry.key is not None) == (len(entry.tokens) == self._block_tokens)
            assert entry.block in self._children[entry.parent][entry.tokens[0]]
            if entry.key is not None:
                assert entry.key == chain_key(entry.parent, entry.tokens)


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    same = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        same += 1
    return same
