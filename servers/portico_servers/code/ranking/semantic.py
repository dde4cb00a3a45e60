"""Meaning by static embeddings: a piece of code is the weighted mean of its rarest words' vectors, and so is a question.

Each word of the vocabulary is embedded once, not each piece: twenty thousand words take half a second, twenty thousand pieces
would take ten. Weighting by rarity is the SIF of Arora et al., "A Simple but Tough-to-Beat Baseline for Sentence Embeddings",
2017.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from portico_servers.code.ranking import tokens
from portico_servers.code.ranking.documents import BODY, TermIds
from portico_servers.code.ranking.segment import Floats, Ints, Segment
from portico_servers.common.embeddings import Embedder

DIMENSIONS = 128  # of the model's 256: it was trained so that a prefix serves
_WORDS = 24  # of a piece: those that weigh most say what it's about
_BLOCK = 2_000  # pieces at a time: bounds the working memory to 25 MB
_BATCH = 512
Halfs = npt.NDArray[np.float16]


class TermVectors:
    """A vector for each word of a vocabulary, made when first needed. Thread-safe."""

    def __init__(self, vocabulary: TermIds, embedder: Embedder) -> None:
        self._vocabulary = vocabulary
        self._embedder = embedder
        self._lock = threading.Lock()
        self._row_of_word: dict[str, int] = {"": 0}
        # Unit vectors by row; row 0 is of no word. Replaced, never changed, so that readers need no lock.
        self._rows: Floats = np.zeros((1, DIMENSIONS), np.float32)
        self._row_of_term: Ints = np.zeros(1, np.int32)

    def of_segment(self, segment: Segment) -> Halfs:
        """Unit vectors of its pieces, float16 [size, 128]."""
        rows, row_of_term = self._extended()
        held = np.diff(segment.starts)
        term_rows = row_of_term[segment.terms]
        idf = np.where(term_rows > 0, np.log1p(segment.size / np.maximum(held, 1)), 0).astype(np.float32)
        weight = segment.impacts * np.repeat(idf, held)
        useful = np.flatnonzero(weight)
        ids, weights = _heaviest(segment.size, segment.docs[useful], np.repeat(term_rows, held)[useful], weight[useful])
        out = np.empty((segment.size, DIMENSIONS), np.float16)
        for first in range(0, segment.size, _BLOCK):
            block = slice(first, first + _BLOCK)
            out[block] = _unit(np.matmul(weights[block, None, :], rows[ids[block]])[:, 0, :])
        return out

    def of_question(self, words: Sequence[str], idf: Mapping[str, float]) -> Floats:
        """The unit vector of a question, [128]: its words weighted by their terms' `idf`, unknown ones the most."""
        rows, row_of_term = self._rows, self._row_of_term
        highest = max(idf.values(), default=1.0)
        total = np.zeros(DIMENSIONS, np.float32)
        unknown: list[str] = []
        for word in words:
            for term in tokens.split(word):
                number = self._vocabulary.term_ids.get(BODY + term, len(row_of_term))
                if number < len(row_of_term):
                    row = int(row_of_term[number])
                    if row < len(rows):
                        total += np.float32(idf.get(term, highest)) * rows[row]
                elif surface := tokens.surface(term):
                    unknown.append(surface)
        if unknown:
            total += np.float32(highest) * _unit(self._embedder.embed(unknown)[:, :DIMENSIONS]).sum(axis=0)
        return np.asarray(_unit(total[None, :])[0], np.float32)

    def _extended(self) -> tuple[Floats, Ints]:
        """Both tables, up to the vocabulary's present size."""
        with self._lock:
            surfaces = self._vocabulary.surfaces
            fresh = surfaces[len(self._row_of_term) : len(surfaces)]
            if fresh:
                new = sorted({word for word in fresh if word not in self._row_of_word}, key=len)
                self._row_of_word.update((word, len(self._rows) + i) for i, word in enumerate(new))
                vectors = [
                    self._embedder.embed(new[first : first + _BATCH], batch=_BATCH)[:, :DIMENSIONS]
                    for first in range(0, len(new), _BATCH)
                ]
                self._rows = np.concatenate([self._rows, *map(_unit, vectors)])
                more = np.fromiter((self._row_of_word[word] for word in fresh), np.int32, len(fresh))
                self._row_of_term = np.concatenate([self._row_of_term, more])
            return self._rows, self._row_of_term


def _heaviest(size: int, docs: Ints, rows: Ints, weights: Floats) -> tuple[Ints, Floats]:
    """The `_WORDS` heaviest words of each document, as rows [size, _WORDS] (0 for none) and weights."""
    order = np.lexsort((-weights, docs))
    docs, rows, weights = docs[order], rows[order], weights[order]
    first_of_doc = np.searchsorted(docs, np.arange(size))
    place = np.arange(len(docs)) - first_of_doc[docs]
    kept = place < _WORDS
    ids = np.zeros((size, _WORDS), np.int32)
    values = np.zeros((size, _WORDS), np.float32)
    ids[docs[kept], place[kept]] = rows[kept]
    values[docs[kept], place[kept]] = weights[kept]
    return ids, values


def _unit(rows: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0))
