"""Which blocks hold which prefixes: full blocks by chained key, and every block, full or not, as a child of its parent by first
token.

So reuse ends at the first token that differs, as fine as in a radix tree. It knows blocks by number only: neither who holds
them nor when they go. Contents are bytes (`hashing.block_content`), so that thousands are compared, and looked through for
garbage, at once.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from portico_engine.kv.hashing import KEY_BYTES, TOKEN_BYTES, BlockKeys, block_content, chain_key, content_tokens

_START = KEY_BYTES + TOKEN_BYTES  # bytes of a content that name a parent and the first token behind it
_NONE = array("l")
_NO_BLOCKS = np.empty(0, np.int64)
_COMPARED = 32  # contents at once at first, then many times as many: a run of neighbours may be short
_LOOKED_UP = 128  # blocks at once at first, then twice as many: a new prompt is not hashed to its end for nothing


@dataclass(frozen=True, slots=True)
class IndexedBlock:
    """What an indexed block holds: these tokens, behind the prefix `parent`. `key` is set where the block is full."""

    block: int
    parent: bytes
    tokens: tuple[int, ...]
    key: bytes | None


class PrefixMatch(NamedTuple):
    """The longest known beginning: whole blocks, then the first `tail_tokens` of one more."""

    blocks: npt.NDArray[np.int64]
    keys: list[bytes]
    tail: int | None
    tail_tokens: int


class PrefixIndex:
    """Blocks by content."""

    def __init__(self, n_blocks: int, block_tokens: int) -> None:
        self._block_tokens = block_tokens
        self._size = KEY_BYTES + block_tokens * TOKEN_BYTES  # of a full block's content
        self._indexed = np.zeros(n_blocks, np.bool_)
        self._full = bytearray(n_blocks * self._size)  # contents of the full ones, by number; zeros for others
        self._words = np.frombuffer(self._full, np.uint32)  # the same, to be compared by thousands
        self._tails: dict[int, bytes] = {}  # contents of those that are not
        self._keys: dict[int, bytes] = {}  # of the full ones
        self._by_key: dict[bytes, int] = {}
        # By parent and first token, in the order of their contents: what has most in common with another content stands beside
        # its place, however many conversations part behind one prompt.
        self._children: dict[bytes, array[int]] = {}
        self.version = 0  # counts every change

    def __contains__(self, block: int) -> bool:
        return bool(self._indexed[block])

    def __len__(self) -> int:
        return len(self._keys) + len(self._tails)

    def contains(self, blocks: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Of each of these, whether it is indexed."""
        return self._indexed[blocks]

    def entry(self, block: int) -> IndexedBlock:
        content = self._content(block)
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
        runs: list[npt.NDArray[np.int64]] = []
        keys: list[bytes] = []
        at, count = first, _LOOKED_UP
        while at < full:
            stop = min(full, max(at + count, names.n_known))
            of_span, contents = names.span(at, stop, tokens)
            found = self._known(of_span, np.frombuffer(contents, np.uint32), runs)
            keys += of_span[:found]
            at, count = at + found, 2 * count
            if at < stop:
                break
        tail, tail_tokens = self._best_child(names.parent(at), tokens, at * self._block_tokens, limit)
        blocks = runs[0] if len(runs) == 1 else np.concatenate(runs) if runs else _NO_BLOCKS
        return PrefixMatch(blocks, keys, tail, tail_tokens)

    def _known(self, keys: list[bytes], contents: npt.NDArray[np.uint32], runs: list[npt.NDArray[np.int64]]) -> int:
        """Add the blocks of a sequence's keys to `runs`, up to the first that has none, or one of another content; how many."""
        found = 0
        while found < len(keys) and (block := self._by_key.get(keys[found])) is not None:
            run = self._run(block, contents, found)
            if not run:
                break
            runs.append(np.arange(block, block + run))
            found += run
        return found

    def _run(self, block: int, contents: npt.NDArray[np.uint32], first: int) -> int:
        """How many of the blocks from this one on hold the contents from number `first` on."""
        words = self._size // contents.itemsize
        left = min(len(contents) // words - first, len(self._indexed) - block)
        done, count = 0, _COMPARED
        while done < left:
            count = min(count, left - done)
            at, of = (block + done) * words, (first + done) * words
            differ = self._words[at : at + count * words] != contents[of : of + count * words]
            if differ[place := int(differ.argmax())]:
                return done + place // words
            done, count = done + count, 32 * count
        return done

    def _best_child(self, parent: bytes, tokens: Sequence[int], at: int, limit: int) -> tuple[int | None, int]:
        best, best_tokens = None, 0
        if at < limit:
            wanted = block_content(parent, tokens[at : min(limit, at + self._block_tokens)])
            siblings = self._siblings(wanted)
            place = self._place(siblings, wanted)
            for block in siblings[max(0, place - 1) : place + 1]:
                same = _common_tokens(self._content(block), wanted)
                if same > best_tokens:
                    best, best_tokens = block, same
        return best, best_tokens

    def _siblings(self, content: bytes) -> array[int]:
        """The children of its parent that begin with its first token."""
        return self._children.get(content[:_START], _NONE)

    def _place(self, siblings: array[int], content: bytes) -> int:
        """Of the first whose content is not before this one. Where one begins with it, that one does."""
        return bisect_left(siblings, content, key=self._content)

    def _beginning_with(self, content: bytes) -> int | None:
        """A child whose content begins with this one."""
        siblings = self._siblings(content)
        place = self._place(siblings, content)
        if place == len(siblings) or not self._content(siblings[place]).startswith(content):
            return None
        return siblings[place]

    def match_state(self, names: BlockKeys, tokens: Sequence[int], limit: int) -> tuple[int | None, int]:
        """The block all of whose tokens end the longest beginning of `tokens[:limit]` of which there is such a block, and the
        length of that beginning.
        """
        size = self._block_tokens
        for at in range((limit - 1) // size, -1, -1):
            if at:
                names.key(at - 1, tokens)
            wanted = block_content(names.parent(at), tokens[at * size : min(limit, (at + 1) * size)])
            for n_bytes in range(len(wanted), KEY_BYTES, -TOKEN_BYTES):
                block = self._beginning_with(wanted[:n_bytes])
                if block is not None and len(self._content(block)) == n_bytes:
                    return block, at * size + (n_bytes - KEY_BYTES) // TOKEN_BYTES
        return None, 0

    def add_state(self, block: int, content: bytes, key: bytes | None) -> bool:
        """Index a block that stands for all up to its last token; `key` where it is full. False where another one stands for
        the same.
        """
        assert not self._indexed[block]
        other = self._beginning_with(content)
        if other is not None and self._content(other) == content:
            return False
        if key is not None:
            return self.add_full(block, content, key)
        self._tails[block] = content
        self._add(block, content)
        return True

    def add_full(self, block: int, content: bytes, key: bytes) -> bool:
        """Index a full block; False where its prefix is indexed already, in another block."""
        assert not self._indexed[block]
        assert len(content) == self._size
        if key in self._by_key:
            return False
        self._by_key[key] = block
        self._keys[block] = key
        self._full[block * self._size : (block + 1) * self._size] = content
        self._add(block, content)
        return True

    def add_tail(self, block: int, content: bytes) -> bool:
        """Index an unfilled block; False where an indexed block holds these tokens already."""
        assert not self._indexed[block]
        assert KEY_BYTES < len(content) < self._size
        if self._beginning_with(content) is not None:
            return False
        self._tails[block] = content
        self._add(block, content)
        return True

    def remove(self, block: int) -> None:
        """Forget a block. What was indexed behind it stays, and becomes reachable again with it."""
        self.version += 1
        content = self._content(block)
        siblings = self._siblings(content)
        if len(siblings) == 1:
            del self._children[content[:_START]]
        else:
            del siblings[self._place(siblings, content)]
        self._indexed[block] = False
        if self._tails.pop(block, None) is None:
            del self._by_key[self._keys.pop(block)]
            self._full[block * self._size : (block + 1) * self._size] = bytes(self._size)

    def __iter__(self) -> Iterator[int]:
        """All indexed blocks."""
        yield from self._keys
        yield from self._tails

    def _content(self, block: int) -> bytes:
        tail = self._tails.get(block)
        return bytes(self._full[block * self._size : (block + 1) * self._size]) if tail is None else tail

    def _add(self, block: int, content: bytes) -> None:
        self.version += 1
        self._indexed[block] = True
        siblings = self._children.get(start := content[:_START])
        if siblings is None:
            self._children[start] = array("l", (block,))
        else:
            siblings.insert(self._place(siblings, content), block)

    def check_integrity(self) -> None:
        """Assert that the views agree."""
        listed = [block for siblings in self._children.values() for block in siblings]
        assert sorted(listed) == sorted(self) == np.flatnonzero(self._indexed).tolist()
        assert {key: block for block, key in self._keys.items()} == self._by_key
        for siblings in self._children.values():
            contents = [*map(self._content, siblings)]
            assert contents == sorted(set(contents)), "one after the other, none twice"
        for block in self:
            entry = self.entry(block)
            assert (entry.key is not None) == (len(entry.tokens) == self._block_tokens)
            assert block in self._children[self._content(block)[:_START]]
            if entry.key is not None:
                assert entry.key == chain_key(entry.parent, entry.tokens)
        others = [block for block in range(len(self._indexed)) if block not in self._keys]
        assert not any(any(self._full[block * self._size : (block + 1) * self._size]) for block in others)


def _common_tokens(one: bytes, other: bytes) -> int:
    """Tokens from the beginning that two contents behind one parent have in common."""
    size = min(len(one), len(other))
    differs = int.from_bytes(one[:size], "little") ^ int.from_bytes(other[:size], "little")
    same = ((differs & -differs).bit_length() - 1) // 8 if differs else size
    return (same - KEY_BYTES) // TOKEN_BYTES
