"""Which passages answer a question: BM25 over the full-text index and static embeddings, fused by reciprocal rank.

Knows passage ids, not what they say. Sources: Robertson & Zaragoza 2009 (BM25, as SQLite's FTS5 has it); Cormack et al.
2009 (reciprocal rank fusion, k = 60).
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

CANDIDATES = 60
RRF_K = 60
WEIGHTS = (8.0, 3.0, 2.0, 1.0)  # title, trail, names, body
_WORD = re.compile(r"\w+(?:[._:/-]\w+)*", re.UNICODE)
_STOP = frozenset(
    "a about an and any are as at be by can could do does for from get has have how i if in into is it its me my of on or "
    "please show tell than that the their them then there these they this to use using was we what when where which while who "
    "why will with would you your".split()
)


def match_expression(query: str, *, every: bool = False) -> str:
    """The query as FTS5 reads it: each word a quoted phrase, so that no operator can be smuggled in.

    `os.path.join` becomes the phrase "os path join". Words that carry nothing are dropped, unless there are no others.
    """
    words = [w.lower() for w in _WORD.findall(query)]
    telling = [w for w in words if w not in _STOP] or words
    return (" AND " if every else " OR ").join(f'"{word}"' for word in dict.fromkeys(telling))


def lexical(
    db: sqlite3.Connection, query: str, shelves: Sequence[int], *, weights: Sequence[float] = WEIGHTS, limit: int = CANDIDATES
) -> list[int]:
    """Passage ids, best first. `weights` are BM25's per column."""
    expression = match_expression(query)
    if not expression:
        return []
    rows = db.execute(
        "SELECT l.rowid FROM lexical l JOIN passage p ON p.id = l.rowid JOIN page g ON g.id = p.page_id"
        f" WHERE lexical MATCH ? AND g.shelf_id IN ({','.join('?' * len(shelves))})"
        " ORDER BY bm25(lexical, ?, ?, ?, ?) LIMIT ?",
        (expression, *shelves, *weights, limit),
    ).fetchall()
    return [row[0] for row in rows]


def fuse(rankings: Iterable[Sequence[int]], weights: Iterable[float]) -> list[tuple[int, float]]:
    """(id, score), best first: the sum of weight / (RRF_K + rank) over the rankings that hold the id; ranks from 1."""
    scores: dict[int, float] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        for rank, item in enumerate(ranking, 1):
            scores[item] = scores.get(item, 0.0) + weight / (RRF_K + rank)
    return sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))


class Vectors:
    """The passages' vectors in memory: float32 [n, 256], ids and shelves beside them. Replaced as a whole; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids = np.zeros(0, np.int64)
        self._shelves = np.zeros(0, np.int64)
        self._matrix = np.zeros((0, 1), np.float32)

    def __len__(self) -> int:
        return len(self._ids)

    def load(self, db: sqlite3.Connection) -> None:
        rows = db.execute(
            "SELECT v.passage_id, g.shelf_id, v.data FROM vector v JOIN passage p ON p.id = v.passage_id"
            " JOIN page g ON g.id = p.page_id ORDER BY v.passage_id"
        ).fetchall()
        if rows:
            matrix = np.frombuffer(b"".join(r[2] for r in rows), np.float16).reshape(len(rows), -1).astype(np.float32)
        else:
            matrix = np.zeros((0, 1), np.float32)
        ids = np.array([r[0] for r in rows], np.int64)
        shelves = np.array([r[1] for r in rows], np.int64)
        with self._lock:
            self._ids, self._shelves, self._matrix = ids, shelves, matrix

    def nearest(self, vector: npt.NDArray[np.float32], shelves: Sequence[int], limit: int = CANDIDATES) -> list[int]:
        """Passage ids by cosine similarity, best first."""
        with self._lock:
            ids, owners, matrix = self._ids, self._shelves, self._matrix
        if not len(ids) or not vector.any():
            return []
        scores = matrix @ vector
        if set(np.unique(owners).tolist()) - set(shelves):
            scores = np.where(np.isin(owners, np.asarray(shelves)), scores, -np.inf)
        limit = min(limit, len(ids))
        best = np.argpartition(-scores, limit - 1)[:limit]
        best = best[np.argsort(-scores[best], kind="stable")]
        return [int(ids[n]) for n in best if np.isfinite(scores[n])]
