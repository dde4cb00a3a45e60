"""Which sections answer a question: BM25 over the full-text index in three views, and static embeddings, fused by rank.

Knows ids, not what they say. Sources: Robertson & Zaragoza 2009 (BM25, as SQLite's FTS5 has it); Cormack et al. 2009
(reciprocal rank fusion). The fusion's constants were chosen on half of an index of terms and checked on the other half:
`benchmarks/docs_search.py` has the figures, part by part.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

CANDIDATES = 400  # passages that one full-text query gives
DEPTH = 100  # sections of each ranking that take part in the fusion
RRF_K = 10
# BM25's weights of title, trail, names, body.
EVEN = (1.0, 1.0, 1.0, 1.0)
TITLES_FIRST = (8.0, 3.0, 2.0, 1.0)
FUSION: Mapping[str, float] = {"words": 1.0, "titles": 0.5, "near": 0.5, "meaning": 0.5}
_NEAR_WORDS = 6
_NEAR_PAIRS = 10
GATE_ROWS = 2_500  # beyond so many passages only those with a rarer word are scored: BM25 costs a microsecond a row
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
    score: float


def telling_words(query: str) -> list[str]:
    """The query's words, lower case, without those that carry nothing (unless there are no others). Dotted and hyphenated
    names stay whole: the index takes them as phrases."""
    words = list(dict.fromkeys(w.lower() for w in _WORD.findall(query)))
    return [w for w in words if w not in _STOP] or words


class Expression(NamedTuple):
    """The query as FTS5 reads it. Each word is a quoted phrase, so that no operator can be smuggled in."""

    words: str  # any of the words
    titles: str  # any of them in title, trail or names
    near: str  # two of them within a few words of each other


def expression(words: Sequence[str], count: Callable[[str], int] = lambda word: 0) -> Expression:
    """`count`: how many passages hold a word. In a large index, common words count only beside a rarer one."""
    quoted = [f'"{word}"' for word in words]
    either = " OR ".join(quoted)
    frequent = {word: count(word) for word in quoted}
    gate: list[str] = []
    for word in sorted(quoted, key=lambda w: frequent[w]):
        if gate and sum(frequent[w] for w in gate) + frequent[word] > GATE_ROWS:
            break
        if frequent[word] or not gate:
            gate.append(word)
    if sum(frequent.values()) <= GATE_ROWS:
        gate = quoted
    pairs = [(a, b) for a, b in combinations(quoted, 2) if a in gate or b in gate][:_NEAR_PAIRS]
    whole = either if gate == quoted else f"({' OR '.join(gate)}) AND ({either})"
    near = " OR ".join(f"NEAR({a} {b}, {_NEAR_WORDS})" for a, b in pairs)
    return Expression(whole, f"{{title trail names}} : ({whole})" if whole else "", near or whole)


def lexical(
    db: sqlite3.Connection,
    match: str,
    shelves: Sequence[int] | None,
    weights: tuple[float, float, float, float] = EVEN,
    limit: int = CANDIDATES,
) -> list[Scored]:
    """Passages that match an FTS5 expression, best first by BM25 with `weights`. `shelves` None: all."""
    if not match:
        return []
    inside = "" if shelves is None else f" AND g.shelf_id IN ({','.join(str(int(s)) for s in shelves)})"
    join = "" if shelves is None else " JOIN passage q ON q.id = lexical.rowid JOIN page g ON g.id = q.page_id"
    rows = db.execute(
        "SELECT f.id, p.section_id, page.path, -f.score FROM"
        f" (SELECT lexical.rowid AS id, bm25(lexical, ?, ?, ?, ?) AS score FROM lexical{join}"
        f" WHERE lexical MATCH ?{inside} ORDER BY score LIMIT ?) f"
        " JOIN passage p ON p.id = f.id JOIN page ON page.id = p.page_id ORDER BY f.score",
        (*weights, match, limit),
    ).fetchall()
    return [Scored(*row) for row in rows]


class Found(NamedTuple):
    """What the full-text index gives to a query, in its three views."""

    words: list[Scored]
    titles: list[Scored]
    near: list[Scored]


def look_up(
    db: sqlite3.Connection, query: str, shelves: Sequence[int] | None, count: Callable[[str], int] = lambda word: 0
) -> Found:
    """The lexical half. `count`: see `expression`."""
    match = expression(telling_words(query), count)
    return Found(
        lexical(db, match.words, shelves),
        lexical(db, match.titles, shelves, TITLES_FIRST, DEPTH),
        lexical(db, match.near, shelves, limit=DEPTH),
    )


def rank(found: Found, meaning: Sequence[tuple[int, int]] = (), weights: Mapping[str, float] = FUSION) -> list[Ranked]:
    """Sections, best first. `meaning`: (passage, section) by similarity of embeddings, best first."""
    everything = (*found.words, *found.near, *found.titles)
    best: dict[int, int] = {}
    for item in everything:
        best.setdefault(item.section, item.passage)
    for passage, section in meaning:
        best.setdefault(section, passage)
    rankings = {
        "words": by_sum(found.words),
        "titles": list(dict.fromkeys(s.section for s in found.titles)),
        "near": list(dict.fromkeys(s.section for s in found.near)),
        "meaning": list(dict.fromkeys(section for _, section in meaning)),
    }
    scores = fuse(rankings, weights)
    for section in {item.section for item in everything if _CHANGES.search(item.path)} & scores.keys():
        scores[section] *= _CHANGES_FACTOR
    return [Ranked(s, best[s], score) for s, score in sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))]


class Frequencies:
    """How many passages hold a word: counted once, forgotten when the index has changed much. Thread-safe enough: a count
    that is made twice is the same."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def clear(self) -> None:
        self._counts = {}

    def of(self, db: sqlite3.Connection, quoted: str) -> int:
        found = self._counts.get(quoted)
        if found is None:
            found = int(db.execute("SELECT count(*) FROM lexical WHERE lexical MATCH ?", (quoted,)).fetchone()[0])
            if len(self._counts) < 20_000:
                self._counts[quoted] = found
        return found


def by_sum(found: Sequence[Scored]) -> list[int]:
    """Sections by their best passage and, to a lesser degree, all others."""
    scores: dict[int, list[float]] = {}
    for item in found:
        scores.setdefault(item.section, []).append(item.score)  # the best comes first
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
