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
KEY_BYTES, TOKEN_BYTES = 32, 4  # of a block's content


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


def block_content(parent: bytes, tokens: Sequence[int]) -> bytes:
    """What a block holds, and what its key is the digest of: the parent's key, then tokens as little-endian uint32."""
    return parent + struct.pack(f"<{len(tokens)}I", *tokens)


def content_tokens(content: bytes) -> tuple[int, ...]:
    """The block's own tokens."""
    return struct.unpack(f"<{(len(content) - KEY_BYTES) // TOKEN_BYTES}I", content[KEY_BYTES:])


def chain_key(parent: bytes, tokens: Sequence[int]) -> bytes:
    """sha256 over (parent's key, tokens as little-endian uint32)."""
    return hashlib.sha256(block_content(parent, tokens)).digest()


def salted_key(parent: bytes, salt: bytes) -> bytes:
    """What the blocks behind `parent` that belong to a salt have for their parent's key."""
    return hashlib.sha256(_SALTED + parent + salt).digest()


class BlockKeys:
    """The keys and contents of one sequence's full blocks. Its tokens only grow: each is computed once, when it is first asked
    for.
    """

    def __init__(
        self,
        root: bytes,
        block_tokens: int,
        salt: Salt | None = None,
        shared_blocks: int = 0,
        like: BlockKeys | None = None,
    ) -> None:
        """The first `shared_blocks` hold nobody's text. `like` has the same root and salt: what the tokens have in common with
        its own is not hashed again.
        """
        self.salt = salt
        self.shared_blocks = shared_blocks
        self.block_tokens = block_tokens
        self._keys: list[bytes] = []
        self._contents = bytearray()  # one behind the other
        self._parents = [self._salted(root, 0)]  # of each block: the key that it hangs on
        self._packed = bytearray()  # tokens of the blocks whose keys are known
        self._like: BlockKeys | None = like if like is None or like._keys else like._like

    @property
    def n_known(self) -> int:
        """Blocks whose keys are known."""
        return len(self._keys)

    def parent(self, block: int) -> bytes:
        """What block number `block` hangs on. The keys before it are known."""
        return self._parents[block]

    def key(self, block: int, tokens: Sequence[int]) -> bytes:
        """The key of the block, which the sequence's `tokens` fill."""
        self._extend(block + 1, tokens)
        return self._keys[block]

    def content(self, block: int, tokens: Sequence[int]) -> bytes:
        """The content of the block, which the sequence's `tokens` fill: see `block_content`."""
        return self.span(block, block + 1, tokens)[1]

    def span(self, first: int, stop: int, tokens: Sequence[int]) -> tuple[list[bytes], bytes]:
        """Keys of the blocks from `first` on, up to `stop`, and their contents, one behind the other."""
        self._extend(stop, tokens)
        size = KEY_BYTES + self.block_tokens * TOKEN_BYTES
        return self._keys[first:stop], bytes(memoryview(self._contents)[first * size : stop * size])

    def forked(self, n_blocks: int) -> BlockKeys:
        """Of a sequence that shares the first `n_blocks` blocks, whose keys are known, and goes on by itself."""
        other = BlockKeys(b"", self.block_tokens, self.salt, self.shared_blocks)
        other._take(self, n_blocks)
        return other

    def _take(self, other: BlockKeys, n_blocks: int) -> None:
        """The first so many blocks are the other's."""
        size = self.block_tokens * TOKEN_BYTES
        self._keys, self._parents = other._keys[:n_blocks], other._parents[: n_blocks + 1]
        self._contents = other._contents[: n_blocks * (KEY_BYTES + size)]
        self._packed = other._packed[: n_blocks * size]

    def _extend(self, n_blocks: int, tokens: Sequence[int]) -> None:
        known, size = len(self._keys), self.block_tokens
        if n_blocks <= known:
            return
        packed = block_content(b"", tokens[known * size : n_blocks * size])
        if self._like is not None:
            like, self._like = self._like, None
            known = _common_bytes(like._packed, packed) // (size * TOKEN_BYTES)
            self._take(like, known)
            packed = packed[known * size * TOKEN_BYTES :]
        self._packed += packed
        for at in range(known, n_blocks):
            begin = (at - known) * size * TOKEN_BYTES
            content = self._parents[at] + packed[begin : begin + size * TOKEN_BYTES]
            key = hashlib.sha256(content).digest()
            self._contents += content
            self._keys.append(key)
            self._parents.append(self._salted(key, at + 1))

    def _salted(self, key: bytes, block: int) -> bytes:
        return salted_key(key, self.salt.value) if self.salt is not None and self.salt.first_block == block else key


def _common_bytes(one: bytes | bytearray, other: bytes) -> int:
    """From the beginning."""
    size = min(len(one), len(other))
    differs = int.from_bytes(one[:size], "little") ^ int.from_bytes(other[:size], "little")
    return ((differs & -differs).bit_length() - 1) // 8 if differs else size
