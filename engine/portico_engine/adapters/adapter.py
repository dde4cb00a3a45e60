"""Adapters as values: low-rank matrices by the name of what they change.

It owns their shapes, the digest that tells two adapters apart, and what is told of a loaded one. Names are GGUF's without
`.weight`, such as `blk.3.attn_q`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]
PROMPTS = "portico.prompts"  # the key of a file's metadata that says which prompts it was trained on


class LowRank(NamedTuple):
    """What is added to a matrix: B A, with the scale (alpha / r) in B."""

    a: Matrix  # [rank, in]
    b: Matrix  # [out, rank]

    @property
    def rank(self) -> int:
        return len(self.a)


@dataclass(frozen=True, slots=True)
class StoredAdapter:
    """As a file has it. `labels` says what the file calls each matrix, `base` the model that it names as its own."""

    path: Path
    base: str
    matrices: Mapping[str, LowRank]
    labels: Mapping[str, str]
    interleaves_rotary: bool  # are rows of families with interleaved rotary pairs stored for those?
    prompts: str = ""  # which prompts it was trained on, as whoever made both calls them; most files don't say


@dataclass(frozen=True)
class Adapter:
    """Fitted to one model: every matrix has the shape, and the order of rows, that its decoder has."""

    path: Path
    base: str
    matrices: Mapping[str, LowRank]
    prompts: str = ""

    @property
    def rank(self) -> int:
        """The largest."""
        return max(matrix.rank for matrix in self.matrices.values())

    @cached_property
    def digest(self) -> bytes:
        """sha256 of all that it adds: KV computed with it is known by this, whatever it is called."""
        digest = hashlib.sha256()
        for name in sorted(self.matrices):
            a, b = self.matrices[name]
            digest.update(f"{name} {a.shape} {b.shape}\n".encode())
            digest.update(np.ascontiguousarray(a).tobytes())
            digest.update(np.ascontiguousarray(b).tobytes())
        return digest.digest()


@dataclass(frozen=True, slots=True)
class AdapterLimits:
    """Room for adapters: how many at once, and the largest rank."""

    count: int
    rank: int


@dataclass(frozen=True, slots=True)
class AdapterInfo:
    """What is told of a loaded adapter. `base` is the model that its file names, `prompts` those that it was trained on."""

    name: str
    path: Path
    base: str
    rank: int
    digest: str
    prompts: str = ""
