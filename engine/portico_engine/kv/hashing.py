"""What a block of tokens is called: a chain of sha256 in a fixed layout, the same in every process.

A key stands for all tokens from the beginning up to its block's end, and for the model, adapter and numerics that computed
them. It owns the layout, and what of it one growing sequence has computed already.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from typing import NamedTuple

_LAYOUT = b"portico-kv-1"
_SALTED = b"portico-kv-salt"
_ADAPTED = b"portico-kv-adapter"


class Salt(NamedTuple):
    """Whose blocks these are, from the one with this index on: who has another salt doesn't find them."""

    value: bytes
    first_block: int


def root_key(*parts: str) -> bytes:
    """The key before the first block: of the model and its numerics."""
    digest = hashlib.sha256(_LAYOUT)
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(4, "little") + data)
    return digest.digest()


def adapted_root(root: bytes, adapter: bytes) -> bytes:
    """The key before the first block of what an adapter with this digest computed; the model's own where that is empty."""
    return hashlib.sha256(_ADAPTED + root + adapter).digest() if adapter else root


def chain_key(parent: bytes, tokens: Sequence[int]) -> bytes:
    """sha256 over (parent's key, tokens as little-endian uint32)."""
    return hashlib.sha256(parent + struct.pack(f"<{len(tokens)}I", *tokens)).digest()


def salted_key(parent: bytes, salt: bytes) -> bytes:
    """What the blocks behind `parent` that belong to a salt have for their parent's key."""
    return hashlib.sha256(_SALTED + parent + salt).digest()


class BlockKeys:
    """The keys of one sequence's full blocks. Its tokens only grow: each key is computed once, when it is first asked for."""

    def __init__(self, root: bytes, block_tokens: int, salt: Salt | None = None) -> None:
        self.salt = salt
        self.block_tokens = block_tokens
        self._keys: list[bytes] = []
        self._parents = [self._salted(root, 0)]  # of each block: the key that it hangs on

    def parent(self, block: int) -> bytes:
        """What block number `block` hangs on. The keys before it are known."""
        return self._parents[block]

    def piece(self, block: int, tokens: Sequence[int]) -> tuple[int, ...]:
        """The block's tokens."""
        return tuple(tokens[block * self.block_tokens : (block + 1) * self.block_tokens])

    def key(self, block: int, tokens: Sequence[int]) -> bytes:
        """The key of the block, which the sequence's `tokens` fill."""
        while len(self._keys) <= block:
            at = len(self._keys)
            key = chain_key(self._parents[at], self.piece(at, tokens))
            self._keys.append(key)
            self._parents.append(self._salted(key, at + 1))
        return self._keys[block]

    def forked(self, n_blocks: int) -> BlockKeys:
        """Of a sequence that shares the first `n_blocks` blocks, whose keys are known, and goes on by itself."""
        other = BlockKeys(b"", self.block_tokens, self.salt)
        other._keys, other._parents = self._keys[:n_blocks], self._parents[: n_blocks + 1]
        return other

    def _salted(self, key: bytes, block: int) -> bytes:
        return salted_key(key, self.salt.value) if self.salt is not None and self.salt.first_block == block else key
