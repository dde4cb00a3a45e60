"""What a block of tokens is called: a chain of sha256 in a fixed layout, the same in every process.

A key stands for all tokens from the beginning up to its block's end, and for the model and numerics that computed them. It owns
the layout only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_LAYOUT = b"portico-kv-1"
_SALTED = b"portico-kv-salt"


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


def chain_key(parent: bytes, tokens: Sequence[int]) -> bytes:
    """sha256 over (parent's key, tokens as little-endian uint32)."""
    return hashlib.sha256(parent + np.asarray(tokens, dtype="<u4").tobytes()).digest()


def salted_key(parent: bytes, salt: bytes) -> bytes:
    """What the blocks behind `parent` that belong to a salt have for their parent's key."""
    return hashlib.sha256(_SALTED + parent + salt).digest()
