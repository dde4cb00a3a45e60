"""Ranked search in memory: BM25 over fields finds candidates, `rerank` tells the good ones from the lucky ones.

It holds numbers and paths, never text, and knows neither disk nor database. A query reads immutable segments, so that it
needs no lock while the index grows.

BM25: Robertson & Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009. The fields body, name (of the
definition and what encloses it) and path are scored apart and added with weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from portico_servers.code.ranking import tokens
from portico_servers.code.ranking.documents import (
    BODY,
    BODY_FIELD,
    FIELD_CODES,
    NAME,
    NAME_FIELD,
    PATH,
    PATH_FIELD,
    FilePostings,
    IndexedFile,
    TermIds,
)
from portico_servers.code.ranking.path_prior import path_prior
from portico_servers.code.ranking.rerank import QueryTerm, RankingWeights, SegmentCandidates, rerank
from portico_servers.code.ranking.segment import Segment
from portico_servers.code.ranking.semantic import TermVectors
from portico_servers.common.embeddings import Embedder

_CANDIDATES = 300  # how many of BM25's best the finer parts look at, a segment
_MAX_TERMS = 32  # of a question; a pasted stack trace has hundreds
_SEGMENTS = 8


class ScoredChunk(NamedTuple):
    """A piece of code. `ordinal` is that of its definition in the store, or -1."""

    file_id: int
    start: int
    end: int
    ordinal: int
    score: float


class RankedIndex:
    """All segments of one root. `add`, `remove`, `merge_segments` and `embed` belong to one thread; `search` to any."""

    def __init__(self, vocabulary: TermIds, weights: RankingWeights | None = None) -> None:
        self.weights = weights or RankingWeights()
        self.files: dict[int, IndexedFile] = {}
        self._priors: dict[str, float] = {}
        self._vocabulary = vocabulary
        self._field_of = np.zeros(0, np.int8)
        self._known_terms = 0
        self._segments: tuple[Segment, ...] = ()
        self._vectors: TermVectors | None = None

    def add(self, files: Sequence[FilePostings]) -> None:
        if not files:
            return
        self._learn_terms()
        for file in files:
            likely = path_prior(file.path, file.language)
            self.files[file.id] = IndexedFile(file.path, file.language, file.lines, file.skipped, likely)
            self._priors[file.path] = likely
        segment = Segment.of_files([file for file in files if len(file.chunks)], self._field_of)
        self._segments = (*self._segments, self._with_vectors(segment))

    def remove(self, file_ids: Iterable[int]) -> None:
        gone = np.fromiter(file_ids, np.int32)
        if len(gone):
            for segment in self._segments:
                segment.delete(gone)
            for file_id in gone.tolist():
                file = self.files.pop(file_id, None)
                if file is not None:
                    self._priors.pop(file.path, None)

    def prior_of(self, path: str, unknown: float) -> float:
        """How likely that file is what's meant; `unknown` for one that the index does not hold."""
        return self._priors.get(path, unknown)

    def merge_segments(self) -> None:
        """Merge segments when there are many: the smaller ones first, so that the big one is rarely copied."""
        if len(self._segments) <= _SEGMENTS:
            return
        by_size = sorted(self._segments, key=lambda segment: segment.size, reverse=True)
        keep = [by_size[0]] if by_size[0].size > 2 * sum(segment.size for segment in by_size[1:]) else []
        merged = Segment.merge(by_size[len(keep) :], self._field_of)
        self._segments = (*keep, self._with_vectors(merged))

    def embed(self, embedder: Embedder) -> None:
        """From now on rank by meaning too. Takes a second or so for a large index; searches go on meanwhile without."""
        self._vectors = TermVectors(self._vocabulary, embedder)
        for segment in self._segments:
            self._with_vectors(segment)

    def search(
        self, question: str, *, accept: Callable[[IndexedFile], bool] | None = None, limit: int = 100
    ) -> list[ScoredChunk]:
        """The best pieces for `question`, best first, among the files that `accept` takes."""
        segments = self._segments
        words = tokens.question_terms(question)[:_MAX_TERMS]
        terms = [term for word in words if (term := self._query_term(word, segments)) is not None]
        if not terms:
            return []
        allowed = self._allowed(accept)
        candidates = [c for segment in segments if len((c := self._candidates(segment, terms, allowed)).docs)]
        rerank(candidates, terms, self.weights, question, self.files, self._vectors)
        return _top(candidates, self.weights.spread, limit)

    def holding(self, word: str) -> int:
        """How many pieces hold a word, in any of its forms; of an identifier of several parts, the whole. Deleted ones count
        until their segment is merged."""
        terms = tokens.split(word)
        if not terms:
            return 0
        numbers = [self._vocabulary.term_ids.get(prefix + terms[-1]) for prefix in (BODY, NAME, PATH)]
        known = [number for number in numbers if number is not None]
        return sum(
            max((span.stop - span.start for number in known for span in [segment.postings(number)]), default=0)
            for segment in self._segments
        )

    def _with_vectors(self, segment: Segment) -> Segment:
        if self._vectors is not None and segment.vectors is None:
            segment.vectors = self._vectors.of_segment(segment)
        return segment

    def _learn_terms(self) -> None:
        """Note the field of each term that the store has learned since."""
        term_ids = self._vocabulary.term_ids
        known, now = self._known_terms, len(term_ids)
        if now >= len(self._field_of):
            grown = np.zeros(2 * now + 1, np.int8)
            grown[: len(self._field_of)] = self._field_of
            self._field_of = grown
        for term, number in islice(term_ids.items(), known, now):
            self._field_of[number] = FIELD_CODES[term[0]]
        self._known_terms = now

    def _query_term(self, word: str, segments: Sequence[Segment]) -> QueryTerm | None:
        """One word of the question: its ids and weights (idf times the field's) by field. None for an unknown word."""
        documents = max(sum(segment.size for segment in segments), 1)
        weights = self.weights
        fields: list[tuple[int, int, float]] = []
        highest_idf = 0.0
        for field, prefix, weight in (
            (BODY_FIELD, BODY, 1.0),
            (NAME_FIELD, NAME, weights.name),
            (PATH_FIELD, PATH, weights.path),
        ):
            number = self._vocabulary.term_ids.get(prefix + word)
            if number is None:
                continue
            held = sum(span.stop - span.start for span in (segment.postings(number) for segment in segments))
            if held:
                idf = float(np.log1p((documents - held + 0.5) / (held + 0.5)))
                fields.append((field, number, weight * idf))
                highest_idf = max(highest_idf, idf)
        return QueryTerm(word, tuple(fields), highest_idf) if fields else None

    def _allowed(self, accept: Callable[[IndexedFile], bool] | None) -> np.ndarray | None:
        if accept is None:
            return None
        mask = np.zeros(max(self.files, default=0) + 1, np.bool_)
        for file_id, file in list(self.files.items()):
            if file_id < len(mask) and accept(file):
                mask[file_id] = True
        return mask

    def _candidates(self, segment: Segment, terms: Sequence[QueryTerm], allowed: np.ndarray | None) -> SegmentCandidates:
        scores = np.zeros(segment.size, np.float32)
        for term in terms:
            for _, number, weight in term.fields:
                if weight:
                    span = segment.postings(number)
                    scores[segment.docs[span]] += np.float32(weight) * segment.impacts[span]
        best = np.flatnonzero(scores > 0).astype(np.int32)
        best = best[segment.alive[best]]
        if allowed is not None:
            best = best[_masked(allowed, segment.file[best])]
        if len(best) > _CANDIDATES:
            best = np.sort(best[np.argpartition(scores[best], -_CANDIDATES)[-_CANDIDATES:]])
        return SegmentCandidates(segment, best, scores[best])


def _top(groups: Sequence[SegmentCandidates], spread: float, limit: int) -> list[ScoredChunk]:
    """The first `limit` of all candidates. Each further piece of one file counts for less by the share `spread`, so that one
    file does not fill the page."""
    if not groups:
        return []
    file, start, end, ordinal = (
        np.concatenate([getattr(group.segment, name)[group.docs] for group in groups])
        for name in ("file", "start", "end", "ordinal")
    )
    scores = np.concatenate([group.scores for group in groups]).astype(np.float64)
    order = np.lexsort((start, file, -scores))
    if spread:
        by_file = order[np.argsort(file[order], kind="stable")]  # of each file, its best piece first
        firsts = np.flatnonzero(np.diff(file[by_file], prepend=-1))
        before = np.arange(len(by_file)) - np.repeat(firsts, np.diff(firsts, append=len(by_file)))
        scores[by_file] *= (1 - spread) ** before
        order = np.lexsort((start, file, -scores))
    order = order[:limit]
    columns = (column[order].tolist() for column in (file, start, end, ordinal, scores))
    return [ScoredChunk(*row) for row in zip(*columns, strict=True)]


def _masked(mask: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """mask[ids], False for ids beyond the mask (files added since it was made)."""
    return np.asarray(mask[np.minimum(ids, len(mask) - 1)] & (ids < len(mask)))
