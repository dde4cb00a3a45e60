"""Ranked search in memory: BM25 over fields, then what tells a good piece of code from a lucky one.

It holds numbers and paths, never text, and knows neither disk nor database. A query reads immutable segments, so that it
needs no lock while the index grows.

BM25: Robertson & Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009. The fields body, name (of the
definition and what encloses it) and path are scored apart and added with weights.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np

from portico_servers.code import tokens
from portico_servers.code.facts import BODY, NAME, PATH
from portico_servers.code.segment import BODY_FIELD, NAME_FIELD, PATH_FIELD, Floats, Ints, Segment
from portico_servers.code.store import StoredFile

_FIELD_CODES = {BODY: BODY_FIELD, NAME: NAME_FIELD, PATH: PATH_FIELD}
_CANDIDATES = 300  # how many of BM25's best the finer parts look at
_MAX_TERMS = 32  # of a question; a pasted stack trace has hundreds
_SEGMENTS = 8
_TESTS = re.compile(
    r"(^|/)(tests?|testing|spec|specs|__tests__|fixtures?)(/|$)|(^|/)(test_[^/]*|[^/]*_test|[^/]*\.(test|spec)|conftest)\.[^/.]+$"
)
_ASIDE = re.compile(
    r"(^|/)(vendor|vendored|third_party|_vendor|node_modules|dist|build|generated|examples?|benchmarks?|migrations|locale)(/|$)"
)


@dataclass(frozen=True, slots=True)
class Weights:
    """Every part of the ranking; 0 turns it off. The defaults were chosen on `benchmarks/code_search.py`, dev half."""

    name: float = 0.8
    path: float = 0.4
    coverage: float = 1.0
    prior: float = 1.0


class Scored(NamedTuple):
    """A piece of code. `ordinal` is that of its definition in the store, or -1."""

    file_id: int
    start: int
    end: int
    ordinal: int
    score: float


class KnownFile(NamedTuple):
    path: str
    language: str
    lines: int
    skipped: str | None
    prior: float


class RankedIndex:
    """All segments of one root. `add`, `remove` and `tidy` belong to one thread; `search` to any."""

    def __init__(self, term_ids: dict[str, int], weights: Weights | None = None) -> None:
        """`term_ids` is the store's own table, which grows as files are added."""
        self.weights = weights or Weights()
        self.files: dict[int, KnownFile] = {}
        self._term_ids = term_ids
        self._field_of = np.zeros(0, np.int8)
        self._known_terms = 0
        self._segments: tuple[Segment, ...] = ()

    def add(self, files: Sequence[StoredFile]) -> None:
        if not files:
            return
        self._learn_terms()
        for file in files:
            self.files[file.id] = KnownFile(
                file.path, file.language, file.lines, file.skipped, _prior(file.path, file.language)
            )
        self._segments = (*self._segments, Segment.of_files([file for file in files if len(file.chunks)], self._field_of))

    def remove(self, file_ids: Iterable[int]) -> None:
        gone = np.fromiter(file_ids, np.int32)
        if len(gone):
            for segment in self._segments:
                segment.kill(gone)
            for file_id in gone.tolist():
                self.files.pop(file_id, None)

    def tidy(self) -> None:
        """Merge segments when there are many: the smaller ones first, so that the big one is rarely copied."""
        if len(self._segments) <= _SEGMENTS:
            return
        by_size = sorted(self._segments, key=lambda segment: segment.size, reverse=True)
        keep = [by_size[0]] if by_size[0].size > 2 * sum(segment.size for segment in by_size[1:]) else []
        self._segments = (*keep, Segment.merge(by_size[len(keep) :], self._field_of))

    def search(self, question: str, *, accept: Callable[[KnownFile], bool] | None = None, limit: int = 100) -> list[Scored]:
        """The best pieces for `question`, best first, among the files that `accept` takes."""
        segments = self._segments
        words = tokens.question_terms(question)[:_MAX_TERMS]
        terms = [self._weighted(word, segments) for word in words]
        terms = [fields for fields in terms if fields]
        if not terms:
            return []
        allowed = self._allowed(accept)
        found = [hit for segment in segments for hit in self._search_segment(segment, terms, allowed, question)]
        found.sort(key=lambda hit: (-hit.score, hit.file_id, hit.start))
        return found[:limit]

    def _learn_terms(self) -> None:
        """Note the field of each term that the store has learned since. Ids are given out in the dict's order."""
        known, now = self._known_terms, len(self._term_ids)
        if now >= len(self._field_of):
            grown = np.zeros(2 * now + 1, np.int8)
            grown[: len(self._field_of)] = self._field_of
            self._field_of = grown
        for term, number in islice(self._term_ids.items(), known, now):
            self._field_of[number] = _FIELD_CODES[term[0]]
        self._known_terms = now

    def _weighted(self, word: str, segments: Sequence[Segment]) -> list[tuple[int, float]]:
        """The ids of one word in each field, with their weight (idf times the field's). Empty for an unknown word."""
        documents = max(sum(segment.size for segment in segments), 1)
        fields: list[tuple[int, float]] = []
        for prefix, weight in ((BODY, 1.0), (NAME, self.weights.name), (PATH, self.weights.path)):
            number = self._term_ids.get(prefix + word)
            if number is None or not weight:
                continue
            held = sum(span.stop - span.start for span in (segment.postings(number) for segment in segments))
            if held:
                fields.append((number, weight * float(np.log1p((documents - held + 0.5) / (held + 0.5)))))
        return fields

    def _allowed(self, accept: Callable[[KnownFile], bool] | None) -> np.ndarray | None:
        if accept is None:
            return None
        mask = np.zeros(max(self.files, default=0) + 1, np.bool_)
        for file_id, file in list(self.files.items()):
            if file_id < len(mask) and accept(file):
                mask[file_id] = True
        return mask

    def _search_segment(
        self, segment: Segment, terms: list[list[tuple[int, float]]], allowed: np.ndarray | None, question: str
    ) -> list[Scored]:
        if not segment.size:
            return []
        scores = np.zeros(segment.size, np.float32)
        for fields in terms:
            for number, weight in fields:
                span = segment.postings(number)
                scores[segment.docs[span]] += np.float32(weight) * segment.impacts[span]
        live = segment.alive if allowed is None else segment.alive & _take(allowed, segment.file)
        scores[~live] = 0
        if len(scores) > _CANDIDATES:
            best = np.argpartition(scores, -_CANDIDATES)[-_CANDIDATES:].astype(np.int32)
        else:
            best = np.arange(segment.size, dtype=np.int32)
        best = np.sort(best[scores[best] > 0])
        final = self._refine(segment, best, scores[best], terms, question)
        rows = zip(segment.file[best], segment.start[best], segment.end[best], segment.ordinal[best], final, strict=True)
        return [Scored(int(f), int(s), int(e), int(o), float(score)) for f, s, e, o, score in rows]

    def _refine(
        self, segment: Segment, best: Ints, scores: Floats, terms: list[list[tuple[int, float]]], question: str
    ) -> Floats:
        weights = self.weights
        if weights.coverage and len(terms) > 1:
            matched = np.zeros(len(best), np.float32)
            total = 0.0
            for fields in terms:
                worth = max(weight for _, weight in fields)
                total += worth
                present = np.zeros(len(best), np.bool_)
                for number, _ in fields:
                    present |= _member(segment.docs[segment.postings(number)], best)
                matched += np.float32(worth) * present
            scores = scores * (matched / np.float32(total)) ** np.float32(weights.coverage)
        if weights.prior:
            asks_tests = "test" in question.lower()
            priors = [self._prior_of(file_id, asks_tests) for file_id in segment.file[best].tolist()]
            scores = scores * np.array(priors, np.float32) ** np.float32(weights.prior)
        return scores

    def _prior_of(self, file_id: int, asks_tests: bool) -> float:
        file = self.files.get(file_id)
        return 1.0 if file is None or asks_tests else file.prior


def _member(sorted_docs: Ints, wanted: Ints) -> np.ndarray:
    """Which of `wanted` are in `sorted_docs` (ascending)."""
    if not len(sorted_docs):
        return np.zeros(len(wanted), np.bool_)
    at = np.minimum(np.searchsorted(sorted_docs, wanted), len(sorted_docs) - 1)
    return np.asarray(sorted_docs[at] == wanted)


def _take(mask: np.ndarray, ids: Ints) -> np.ndarray:
    """mask[ids], False for ids beyond the mask (files added since it was made)."""
    return np.asarray(mask[np.minimum(ids, len(mask) - 1)] & (ids < len(mask)))


def _prior(path: str, language: str) -> float:
    """How likely a file is what a question about code means, from its path alone."""
    prior = 1.0
    if _TESTS.search(path):
        prior *= 0.6
    if _ASIDE.search(path):
        prior *= 0.7
    if language in ("text", "json", "yaml", "toml", "html", "css", "markdown"):
        prior *= 0.8
    if path.endswith((".pyi", ".d.ts", ".lock", "CHANGELOG.md", "CHANGES.rst")):
        prior *= 0.7
    return prior
