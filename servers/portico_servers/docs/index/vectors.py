"""The passages' embeddings in memory, and the nearest of them. Knows ids, not what they say.

Searched in two steps, since a full product over all passages of a large library takes longer than all else: the first
COARSE dimensions choose a shortlist (the model is trained so that its first dimensions carry most, Kusupati et al. 2022),
all dimensions order it. A small library is searched in full.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

COARSE = 64
FULL_ROWS = 20_000  # up to so many passages nothing is left to a shortlist
SHORTLIST = 3_000
Matrix = npt.NDArray[np.float32]


class Neighbour(NamedTuple):
    """A passage that means something like the query, by the cosine of their embeddings."""

    passage: int
    section: int
    similarity: float


class Vectors:
    """float16 [n, 256] with passage, section and library version of each row. Thread-safe; replaced as a whole by `load`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owners = np.zeros((0, 3), np.int64)  # passage, section, library version
        self._whole = np.zeros((0, 1), np.float16)
        self._coarse: Matrix = np.zeros((0, 1), np.float32)

    def __len__(self) -> int:
        return len(self._owners)

    def load(self, db: sqlite3.Connection) -> None:
        rows = db.execute(
            "SELECT v.passage_id, p.section_id, g.shelf_id, v.data FROM vector v JOIN passage p ON p.id = v.passage_id"
            " JOIN page g ON g.id = p.page_id ORDER BY v.passage_id"
        ).fetchall()
        owners = np.array([row[:3] for row in rows], np.int64).reshape(-1, 3)
        whole = np.frombuffer(b"".join(row[3] for row in rows), np.float16).reshape(len(rows), -1 if rows else 1)
        small = len(rows) <= FULL_ROWS
        coarse = np.ascontiguousarray(whole if small else whole[:, :COARSE]).astype(np.float32)
        if not small:
            norms = np.linalg.norm(coarse, axis=1, keepdims=True)
            np.divide(coarse, norms, out=coarse, where=norms > 0)
        with self._lock:
            self._owners, self._whole, self._coarse = owners, whole, coarse

    def nearest(
        self,
        vector: npt.NDArray[np.float32],
        library_versions: Sequence[int] | None,
        limit: int = 400,
        *,
        floor: float = -np.inf,
    ) -> list[Neighbour]:
        """By cosine similarity to `vector` [256], at least `floor`, best first. `library_versions` None: all."""
        with self._lock:
            owners, whole, coarse = self._owners, self._whole, self._coarse
        if not len(owners) or not vector.any():
            return []
        width = coarse.shape[1]
        scores = coarse @ vector[:width]
        if library_versions is not None:
            scores = np.where(np.isin(owners[:, 2], np.asarray(library_versions)), scores, -np.inf)
        small = width == len(vector)
        rows = _best(scores, limit if small else SHORTLIST)
        rows = rows[np.isfinite(scores[rows])]
        exact = scores[rows] if small else whole[rows].astype(np.float32) @ vector
        ranked = np.argsort(-exact, kind="stable")[:limit]
        ranked = ranked[exact[ranked] >= floor]
        found = zip(owners[rows[ranked], :2].tolist(), exact[ranked].tolist(), strict=True)
        return [Neighbour(passage, section, similarity) for (passage, section), similarity in found]


def _best(scores: Matrix, count: int) -> npt.NDArray[np.intp]:
    """Rows of the `count` highest scores, best first."""
    count = min(count, len(scores))
    rows = np.arange(len(scores))
    if len(scores) > 16 * count:
        # Selecting from all costs more than scoring did: a bound from a sample leaves twice as many as are needed.
        sample = scores[:: max(1, len(scores) // 8_000)]
        bound = np.quantile(sample, 1 - min(1.0, 2 * count / len(scores)))
        likely = np.flatnonzero(scores >= bound)
        if len(likely) >= count:
            rows = likely
    kept = rows[np.argpartition(-scores[rows], count - 1)[:count]]
    return kept[np.argsort(-scores[kept], kind="stable")]
