"""Which blocks hold which prefixes: full blocks by chained key, and every block, full or not, as a child of its parent by first
token.

So reuse ends at the first token that differs, as fine as in a radix tree. It knows blocks by number only: neither who holds
them nor when they go. Contents are bytes (`hashing.block_content`), so that thousands are compared, and looked through for
garbage, at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from portico_engine.kv.hashing import KEY_BYTES, TOKEN_BYTES, BlockKeys, block_content, chain_key, content_tokens

_START = KEY_BYTES + TOKEN_BYTES  # bytes of a content that name a parent and the first token behind it
_LOOKED_UP = 32  # blocks at once at first, then twice as many: a new prompt is not hashed to its end for nothing


@dataclass(frozen=True, slots=True)
class IndexedBlock:
    """What an indexed block holds: these tokens, behind the prefix `parent`. `key` is set where the block is full."""

    block: int
    parent: bytes
    tokens: tuple[int, ...]
    key: bytes | None


class PrefixMatch(NamedTuple):
    """The longest known beginning: whole blocks, then the first `tail_tokens` of one more."""

    blocks: list[int]
    keys: list[bytes]
    tail: int | None
    tail_tokens: int


class PrefixIndex:
    """Blocks by content."""

    def __init__(self, block_tokens: int) -> None:
        self._block_tokens = block_tokens
        self._contents: dict[int, bytes] = {}
        self._keys: dict[int, bytes] = {}  # of the full ones
        self._by_key: dict[bytes, int] = {}
        self._children: dict[bytes, tuple[int, ...]] = {}  # by parent and first token
        self.version = 0  # counts every change

    def __contains__(self, block: int) -> bool:
        return block in self._contents

    def __len__(self) -> int:
        return len(self._contents)

    def entry(self, block: int) -> IndexedBlock:
        content = self._contents[block]
        return IndexedBlock(block, content[:KEY_BYTES], content_tokens(content), self._keys.get(block))

    def key(self, block: int) -> bytes | None:
        """Of an indexed block; None where it is not full."""
        return self._keys.get(block)

    def full(self, key: bytes) -> int | None:
        """The block of this key."""
        return self._by_key.get(key)

    def match(self, names: BlockKeys, tokens: Sequence[int], limit: int, first: int = 0) -> PrefixMatch:
        """The longest known prefix of `tokens[:limit]` from block number `first` on, by the sequence's own keys. Contents are
        compared, so that no collision serves another's KV.
        """
        full = limit // self._block_tokens
        blocks: list[int] = []
        keys: list[bytes] = []
        at, count = first, _LOOKED_UP
        while at < full:
            stop = min(full, at + count)
            found, of_found = self._known(*names.span(at, stop, tokens))
            blocks += found
            keys += of_found
            at, count = at + len(found), 2 * count
            if at < stop:
                break
        tail, tail_tokens = self._best_child(names.parent(at), tokens, at * self._block_tokens, limit)
        return PrefixMatch(blocks, keys, tail, tail_tokens)

    def _known(self, keys: list[bytes], contents: list[bytes]) -> tuple[list[int], list[bytes]]:
        """The blocks of a sequence's keys, up to the first that is in none, and these keys."""
        found = list(map(self._by_key.get, keys))
        n = found.index(None) if None in found else len(found)
        blocks = [block for block in found[:n] if block is not None]
        held = list(map(self._contents.__getitem__, blocks))
        if held != contents[:n]:  # two contents with one key
            n = next(i for i, (one, other) in enumerate(zip(held, contents, strict=False)) if one != other)
        return blocks[:n], keys[:n]

    def _best_child(self, parent: bytes, tokens: Sequence[int], at: int, limit: int) -> tuple[int | None, int]:
        best, best_tokens = None, 0
        if at < limit:
            wanted = block_content(parent, tokens[at : min(limit, at + self._block_tokens)])
            for block in self._children.get(wanted[:_START], ()):
                same = _common_tokens(self._contents[block], wanted)
                if same > best_tokens:
                    best, best_tokens = block, same
        return best, best_tokens

    def add_full(self, block: int, content: bytes, key: bytes) -> bool:
        """Index a full block; False where its prefix is indexed already, in another block."""
        assert block not in self._contents
        assert len(content) == KEY_BYTES + self._block_tokens * TOKEN_BYTES
        if key in self._by_key:
            return False
        self._by_key[key] = block
        self._keys[block] = key
        self._add(block, content)
        return True

    def add_tail(self, block: int, content: bytes) -> bool:
        """Index an unfilled block; False where an indexed block holds these tokens already."""
        assert block not in self._contents
        assert KEY_BYTES < len(content) < KEY_BYTES + self._block_tokens * TOKEN_BYTES
        if any(self._contents[other].startswith(content) for other in self._children.get(content[:_START], ())):
            return False
        self._add(block, content)
        return True

    def remove(self, block: int) -> None:
        """Forget a block. What was indexed behind it stays, and becomes reachable again with it."""
        self.version += 1
        content = self._contents.pop(block)
        key = self._keys.pop(block, None)
        if key is not None:
            del self._by_key[key]
        siblings = self._children[content[:_START]]
        if len(siblings) == 1:
            del self._children[content[:_START]]
        else:
            self._children[content[:_START]] = tuple(other for other in siblings if other != block)

    def __iter__(self) -> Iterator[int]:
        """All indexed blocks."""
        return iter(self._contents)

    def _add(self, block: int, content: bytes) -> None:
        self.version += 1
        self._contents[block] = content
        start = content[:_START]
        self._children[start] = (*self._children.get(start, ()), block)

    def check_integrity(self) -> None:
        """Assert that the four views agree."""
        listed = [block for siblings in self._children.values() for block in siblings]
        assert sorted(listed) == sorted(self._contents)
        assert {key: block for block, key in self._keys.items()} == self._by_key
        for block, content in self._contents.items():
            entry = self.entry(block)
            assert (entry.key is not None) == (len(entry.tokens) == self._block_tokens)
            assert block in self._children[content[:_START]]
            if entry.key is not None:
                assert entry.key == chain_key(entry.parent, entry.tokens)


def _common_tokens(one: bytes, other: bytes) -> int:
    """Tokens from the beginning that two contents behind one parent have in common."""
    size = min(len(one), len(other))
    differs = int.from_bytes(one[:size], "little") ^ int.from_bytes(other[:size], "little")
    same = ((differs & -differs).bit_length() - 1) // 8 if differs else size
    return (same - KEY_BYTES) // TOKEN_BYTES
