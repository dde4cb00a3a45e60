"""Which sections answer a question: BM25 over the full-text index in three views, and static embeddings, fused by rank.

Knows ids, not what they say. Sources: Robertson & Zaragoza 2009 (BM25, as SQLite's FTS5 has it); Cormack et al. 2009
(reciprocal rank fusion). The fusion's constants were chosen on half of an index of terms and checked on the other half:
`benchmarks/docs_search.py` has the figures, part by part.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

CANDIDATES = 400  # passages that one full-text query gives
DEPTH = 100  # sections of each ranking that take part in the fusion
RRF_K = 10
# BM25's weights of title, trail, names, body.
EVEN = (1.0, 1.0, 1.0, 1.0)
TITLES_FIRST = (8.0, 3.0, 2.0, 1.0)
FUSION: Mapping[str, float] = {"words": 1.0, "titles": 0.5, "near": 0.5, "meaning": 0.5}
_NEAR_WORDS = 6
_NEAR_PAIRS = 10
_REST = 0.3  # what a section's further passages add to its best one
# Lists of changes name everything and explain little.
_CHANGES = re.compile(r"(?:^|/)(?:what'?s-?_?new|change(?:log|s)|release|news|history)[^/]*(?:$|/)", re.I)
_CHANGES_FACTOR = 0.8
_WORD = re.compile(r"\w+(?:[._:/-]\w+)*", re.UNICODE)
_STOP = frozenset(
    "a about an and any are as at be by can could do does for from get has have how i if in into is it its me my of on or "
    "please show tell than that the their them then there these they this to use using was we what when where which while who "
    "why will with would you your".split()
)


class Ranked(NamedTuple):
    """A section, its passage that fits best, and a score between 0 and 1 (1: first in every ranking)."""

    section: int
    passage: int
    score: float


class Scored(NamedTuple):
    """A passage that the full-text index found; higher is better."""

    passage: int
    section: int
    path: str
    even: float
    titles: float


def telling_words(query: str) -> list[str]:
    """The query's words, lower case, without those that carry nothing (unless there are no others). Dotted and hyphenated
    names stay whole: the index takes them as phrases."""
    words = list(dict.fromkeys(w.lower() for w in _WORD.findall(query)))
    return [w for w in words if w not in _STOP] or words


def any_word(words: Sequence[str]) -> str:
    """As FTS5 reads it: each word a quoted phrase, so that no operator can be smuggled in."""
    return " OR ".join(f'"{word}"' for word in words)


def close_together(words: Sequence[str]) -> str:
    """Two of the words within a few words of each other."""
    if len(words) < 2:
        return any_word(words)
    pairs = list(combinations(words, 2))[:_NEAR_PAIRS]
    return " OR ".join(f'NEAR("{a}" "{b}", {_NEAR_WORDS})' for a, b in pairs)


def lexical(db: sqlite3.Connection, expression: str, shelves: Sequence[int] | None, limit: int = CANDIDATES) -> list[Scored]:
    """Passages that match an FTS5 expression, best first by `even`. `shelves` None: all."""
    if not expression:
        return []
    inside = "" if shelves is None else f" AND g.shelf_id IN ({','.join(str(int(s)) for s in shelves)})"
    join = "" if shelves is None else " JOIN passage q ON q.id = lexical.rowid JOIN page g ON g.id = q.page_id"
    rows = db.execute(
        "SELECT f.id, p.section_id, page.path, -f.even, -f.titles FROM"
        " (SELECT lexical.rowid AS id, bm25(lexical, ?, ?, ?, ?) AS even, bm25(lexical, ?, ?, ?, ?) AS titles"
        f" FROM lexical{join} WHERE lexical MATCH ?{inside} ORDER BY even LIMIT ?) f"
        " JOIN passage p ON p.id = f.id JOIN page ON page.id = p.page_id ORDER BY f.even",
        (*EVEN, *TITLES_FIRST, expression, limit),
    ).fetchall()
    return [Scored(*row) for row in rows]


def rank(
    db: sqlite3.Connection,
    query: str,
    shelves: Sequence[int] | None,
    meaning: Sequence[tuple[int, int]] = (),
    weights: Mapping[str, float] = FUSION,
) -> list[Ranked]:
    """Sections that answer `query`, best first. `meaning`: (passage, section) by similarity of embeddings, best first."""
    words = telling_words(query)
    found = lexical(db, any_word(words), shelves)
    near = lexical(db, close_together(words), shelves) if weights.get("near") else []
    best: dict[int, int] = {}
    for item in (*found, *near):
        best.setdefault(item.section, item.passage)
    for passage, section in meaning:
        best.setdefault(section, passage)
    rankings = {
        "words": by_sum(found),
        "titles": list(dict.fromkeys(s.section for s in sorted(found, key=lambda s: -s.titles))),
        "near": list(dict.fromkeys(s.section for s in near)),
        "meaning": list(dict.fromkeys(section for _, section in meaning)),
    }
    scores = fuse(rankings, weights)
    for section in {item.section for item in (*found, *near) if _CHANGES.search(item.path)} & scores.keys():
        scores[section] *= _CHANGES_FACTOR
    return [Ranked(s, best[s], score) for s, score in sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))]


def by_sum(found: Sequence[Scored]) -> list[int]:
    """Sections by their best passage and, to a lesser degree, all others."""
    scores: dict[int, list[float]] = {}
    for item in found:
        scores.setdefault(item.section, []).append(item.even)  # the best comes first
    total = {section: values[0] + _REST * sum(values[1:]) for section, values in scores.items()}
    return sorted(total, key=lambda section: (-total[section], section))


def fuse(rankings: Mapping[str, Sequence[int]], weights: Mapping[str, float]) -> dict[int, float]:
    """Reciprocal rank fusion: id -> the sum of weight / (RRF_K + rank), ranks from 1, scaled so that 1 is first everywhere."""
    used = {name: weight for name, weight in weights.items() if weight and rankings.get(name)}
    whole = sum(used.values()) / (RRF_K + 1)
    scores: dict[int, float] = {}
    for name, weight in used.items():
        for place, item in enumerate(rankings[name][:DEPTH], 1):
            scores[item] = scores.get(item, 0.0) + weight / (RRF_K + place) / whole
    return scores


class Vectors:
    """The passages' vectors in memory: float32 [n, 256], with passage, section and shelf of each row. Thread-safe; replaced
    as a whole by `load`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owners = np.zeros((0, 3), np.int64)  # passage, section, shelf
        self._matrix = np.zeros((0, 1), np.float32)

    def __len__(self) -> int:
        return len(self._owners)

    def load(self, db: sqlite3.Connection) -> None:
        rows = db.execute(
            "SELECT v.passage_id, p.section_id, g.shelf_id, v.data FROM vector v JOIN passage p ON p.id = v.passage_id"
            " JOIN page g ON g.id = p.page_id ORDER BY v.passage_id"
        ).fetchall()
        owners = np.array([row[:3] for row in rows], np.int64).reshape(-1, 3)
        matrix = np.frombuffer(b"".join(row[3] for row in rows), np.float16).reshape(len(rows), -1 if rows else 1)
        with self._lock:
            self._owners, self._matrix = owners, matrix.astype(np.float32)

    def nearest(
        self, vector: npt.NDArray[np.float32], shelves: Sequence[int] | None, limit: int = CANDIDATES
    ) -> list[tuple[int, int]]:
        """(passage, section) by cosine similarity, best first. `shelves` None: all."""
        with self._lock:
            owners, matrix = self._owners, self._matrix
        if not len(owners) or not vector.any():
            return []
        scores = matrix @ vector
        if shelves is not None:
            scores = np.where(np.isin(owners[:, 2], np.asarray(shelves)), scores, -np.inf)
        limit = min(limit, len(owners))
        best = np.argpartition(-scores, limit - 1)[:limit]
        best = best[np.argsort(-scores[best], kind="stable")]
        return [(int(owners[n, 0]), int(owners[n, 1])) for n in best if np.isfinite(scores[n])]
