"""Which sections answer a question: BM25 over the full-text index, names that are the question, and static embeddings.

Knows ids, not what they say. Each part gives its sections a score between 0 and 1, and the weighted sum decides. Sources:
Robertson & Zaragoza 2009 (BM25, as SQLite's FTS5 has it); Dice 1945 (likeness of two sets); Bruch et al. 2023 (sums of
normalized scores against sums of ranks). The constants were chosen on one half of one documentation's index terms and
paraphrases: `benchmarks/docs_search.py` has the figures on others, part by part.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

from portico_servers.docs.index.vectors import Neighbour

CANDIDATES = 400  # passages that one full-text query gives
DEPTH = 100  # passages whose names are compared, or that have words close together
# BM25's weights of title, trail, names, body.
EVEN = (1.0, 1.0, 1.0, 1.0)
TITLES_FIRST = (8.0, 3.0, 2.0, 1.0)
FUSION: Mapping[str, float] = {"words": 1.0, "near": 0.25, "names": 0.5, "meaning": 0.75}
_ALIKE = 0.7  # Dice's coefficient: below it a name has little to do with the question
_NEAR_WORDS = 6
_NEAR_PAIRS = 10
GATE_ROWS = 2_500  # beyond so many passages only those with a rarer word are scored: BM25 costs a microsecond a row
# What a section's further passages add to its best one: a term is what its section speaks of again and again, while a
# sentence is answered in one place.
_REST = 0.3
_TERM = 3  # words that a term has at most
# Lists of changes name everything and explain little.
_CHANGES = re.compile(r"(?:^|/)(?:what'?s-?_?new|change(?:log|s)|release|news|history)[^/]*(?:$|/)", re.I)
_CHANGES_FACTOR = 0.8
_WORD = re.compile(r"\w+(?:[._:/-]\w+)*", re.UNICODE)
_PART = re.compile(r"[^\W_]+")
_SPELLED = re.compile(
    r"(?<![\w-])--?[A-Za-z][\w-]+|(?<!\w)\.[A-Za-z_]\w+|\b[A-Za-z]\w*(?:[._]\w+)+|\b[A-Z]+[a-z0-9]+[A-Z]\w*|\b[a-z]+[A-Z]\w*"
)
_SPELLED_IN_TITLE = 0.8
_OF_PAGE = 0.6  # for a section of a page whose file is spelled
_ARGUMENTS = re.compile(r"[(\[=].*", re.S)
_STOP = frozenset(
    "a about an and any are as at be by can could do does for from get has have how i if in into is it its me my of on or "
    "please show tell than that the their them then there these they this to use using was we what when where which while who "
    "why will with would you your".split()
)


class RankedSection(NamedTuple):
    """A section, its passage that fits best, and a score between 0 and 1 (1: best in every part)."""

    section: int
    passage: int
    score: float


class LexicalMatch(NamedTuple):
    """A passage that the full-text index found; higher is better."""

    passage: int
    section: int
    path: str
    score: float


def content_words(query: str) -> list[str]:
    """The query's words, lower case, without those that carry nothing (unless there are no others). Dotted and hyphenated
    names stay whole: the index takes them as phrases."""
    words = list(dict.fromkeys(w.lower() for w in _WORD.findall(query)))
    return [w for w in words if w not in _STOP] or words


def names_something(query: str) -> bool:
    """Is the query a term and nothing else, no question or sentence?"""
    return len(content_words(query)) <= _TERM and not any(word.lower() in _STOP for word in _WORD.findall(query))


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
    library_versions: Sequence[int] | None,
    weights: tuple[float, float, float, float] = EVEN,
    limit: int = CANDIDATES,
) -> list[LexicalMatch]:
    """Passages that match an FTS5 expression, best first by BM25 with `weights`. `library_versions` None: all."""
    if not match:
        return []
    inside = "" if library_versions is None else f" AND g.shelf_id IN ({','.join(str(int(s)) for s in library_versions)})"
    join = "" if library_versions is None else " JOIN passage q ON q.id = lexical.rowid JOIN page g ON g.id = q.page_id"
    rows = db.execute(
        "SELECT f.id, p.section_id, page.path, -f.score FROM"
        f" (SELECT lexical.rowid AS id, bm25(lexical, ?, ?, ?, ?) AS score FROM lexical{join}"
        f" WHERE lexical MATCH ?{inside} ORDER BY score LIMIT ?) f"
        " JOIN passage p ON p.id = f.id JOIN page ON page.id = p.page_id ORDER BY f.score",
        (*weights, match, limit),
    ).fetchall()
    return list(map(LexicalMatch._make, rows))


class LexicalResult(NamedTuple):
    """What the full-text index gives to a query."""

    words: list[LexicalMatch]
    near: list[LexicalMatch]
    titles: list[LexicalMatch]  # where `names` were looked for
    names: dict[int, float]  # section -> how much its name is the query, 0 to 1
    term: bool  # the query is a term, not a sentence


def lexical_search(
    db: sqlite3.Connection, query: str, library_versions: Sequence[int] | None, count: Callable[[str], int] = lambda word: 0
) -> LexicalResult:
    """The lexical half. `count`: see `expression`."""
    words = content_words(query)
    match = expression(words, count)
    titles = lexical(db, match.titles, library_versions, TITLES_FIRST, DEPTH)
    return LexicalResult(
        lexical(db, match.words, library_versions),
        lexical(db, match.near, library_versions, limit=DEPTH),
        titles,
        _names(db, words, spelled_names(query), {item.section for item in titles}),
        len(words) <= _TERM,
    )


def spelled_names(query: str) -> frozenset[str]:
    """The query's words that can only be names: `MAX_SIZE`, `--save`, `.columns`, `ThreadPool`, `os.path`. Lower case."""
    return frozenset(name.lower() for name in _SPELLED.findall(query))


def _names(
    db: sqlite3.Connection, words: Sequence[str], spelled: frozenset[str], sections: Collection[int]
) -> dict[int, float]:
    """Sections whose title (without arguments) or anchor is made of about the same words as the query, or of a name in it."""
    wanted = set(_PART.findall(" ".join(words)))
    rows = db.execute(
        "SELECT s.id, s.title, s.anchor, page.path FROM section s JOIN page ON page.id = s.page_id"
        " WHERE s.id IN (SELECT value FROM json_each(?))",
        (str([*sections]),),
    )
    found = {}
    for section, title, anchor, path in rows:
        named = (_ARGUMENTS.sub("", title).strip("` ").lower(), anchor.lower())
        alike = max(_dice(wanted, set(_PART.findall(name))) for name in named)
        score = alike**2 if alike >= _ALIKE else 0.0
        if spelled:
            score = max(
                score, _spelled_in(spelled, title.lower(), named), _OF_PAGE * (path.lower().rpartition("/")[2] in spelled)
            )
        if score:
            found[section] = score
    return found


def _spelled_in(spelled: frozenset[str], title: str, named: Collection[str]) -> float:
    """How much a section's name is one that the query spells: 1 where it is, less where that is only in its title."""
    if any(name in spelled for name in named):
        return 1.0
    return _SPELLED_IN_TITLE if not spelled.isdisjoint(_SPELLED.findall(title)) else 0.0


@lru_cache(maxsize=1 << 16)
def _lists_changes(path: str) -> bool:
    return _CHANGES.search(path) is not None


def _dice(one: Collection[str], other: Collection[str]) -> float:
    return 2 * len(set(one) & set(other)) / max(1, len(one) + len(other))


def rank(found: LexicalResult, meaning: Sequence[Neighbour] = (), weights: Mapping[str, float] = FUSION) -> list[RankedSection]:
    """Sections, best first. `meaning`: passages by similarity of embeddings, best first."""
    everything = (*found.words, *found.near, *found.titles)
    best = {item.section: item.passage for item in reversed(everything)}  # the first of a section stays
    alike: dict[int, float] = {}
    for passage, section, similarity in meaning:
        best.setdefault(section, passage)
        alike.setdefault(section, max(0.0, similarity))
    scores = fuse(
        {
            "words": normalized_scores(found.words, _REST if found.term else 0.0),
            "near": normalized_scores(found.near),
            "names": found.names,
            "meaning": alike,
        },
        weights,
    )
    for section in {item.section for item in everything if _lists_changes(item.path)} & scores.keys():
        scores[section] *= _CHANGES_FACTOR
    return [RankedSection(s, best[s], score) for s, score in sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))]


class WordCounts:
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


def normalized_scores(found: Sequence[LexicalMatch], rest: float = 0.0) -> dict[int, float]:
    """Section -> its score as a share of the best section's: that of its best passage, and `rest` of all others'."""
    total: dict[int, float] = {}
    for item in found:  # a section's best passage comes first
        known = total.get(item.section)
        total[item.section] = item.score if known is None else known + rest * item.score
    highest = max(total.values(), default=0.0)
    return {section: value / highest for section, value in total.items()} if highest > 0 else {}


def fuse(parts: Mapping[str, Mapping[int, float]], weights: Mapping[str, float]) -> dict[int, float]:
    """id -> the weighted mean of its scores; 1 would be the best in every part."""
    whole = sum(weights.values())
    scores: dict[int, float] = {}
    for name, weight in weights.items():
        for item, score in parts[name].items() if weight else ():
            scores[item] = scores.get(item, 0.0) + weight * score / whole
    return scores
