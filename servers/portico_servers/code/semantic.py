"""Meaning by static embeddings: a piece of code is the idf-weighted mean of its words' vectors, and so is a question.

Each word of the vocabulary is embedded once, not each piece: a hundred thousand words take seconds, a hundred thousand
pieces would take a minute. Weighting by rarity is the SIF of Arora et al., "A Simple but Tough-to-Beat Baseline for Sentence
Embeddings", 2017.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from portico_servers.code import tokens
from portico_servers.code.segment import Floats, Segment
from portico_servers.common.embed import Embedder

if TYPE_CHECKING:
    from portico_servers.code.rank import Vocabulary

DIMENSIONS = 128  # of the model's 256: it was trained so that a prefix serves
_BLOCK = 100_000  # postings at a time: bounds the working memory
_BATCH = 4_096
Halfs = npt.NDArray[np.float16]


class TermVectors:
    """A vector for each term of a vocabulary, made when first needed. Thread-safe."""

    def __init__(self, vocabulary: Vocabulary, embedder: Embedder) -> None:
        self._vocabulary = vocabulary
        self._embedder = embedder
        self._lock = threading.Lock()
        self._table: Halfs = np.zeros((0, DIMENSIONS), np.float16)

    def of_segment(self, segment: Segment) -> Halfs:
        """Unit vectors of its pieces, float16 [size, 128]."""
        table = self._extended()
        out = np.zeros((segment.size, DIMENSIONS), np.float32)
        terms = np.repeat(segment.terms, np.diff(segment.starts))
        held = np.repeat(np.diff(segment.starts), np.diff(segment.starts)).astype(np.float32)
        weight = segment.impacts * np.log1p(segment.size / held)
        order = np.argsort(segment.docs, kind="stable")
        for first in range(0, len(order), _BLOCK):
            part = order[first : first + _BLOCK]
            docs = segment.docs[part]
            rows = table[terms[part]].astype(np.float32) * weight[part, None]
            starts = np.flatnonzero(np.diff(docs, prepend=-1))
            out[docs[starts]] += np.add.reduceat(rows, starts, axis=0)
        return _unit(out).astype(np.float16)

    def of_question(self, words: Sequence[str], worth: Mapping[str, float]) -> Floats:
        """The unit vector of a question, [128]: its words weighted by what their terms are worth."""
        if not words:
            return np.zeros(DIMENSIONS, np.float32)
        highest = max(worth.values(), default=1.0)
        weights = [max((worth.get(term, highest) for term in tokens.split(word)), default=highest) for word in words]
        rows = self._embedder.embed(words)[:, :DIMENSIONS]
        return np.asarray(_unit((_unit(rows) * np.array(weights, np.float32)[:, None]).sum(axis=0, keepdims=True))[0])

    def _extended(self) -> Halfs:
        with self._lock:
            self._extend()
            return self._table

    def _extend(self) -> None:
        surfaces = self._vocabulary.surfaces
        known, now = len(self._table), len(surfaces)
        if known == now:
            return
        fresh = surfaces[known:now]
        unique = list(dict.fromkeys(fresh))
        at = {word: i for i, word in enumerate(unique)}
        vectors = np.zeros((len(unique), DIMENSIONS), np.float16)
        for first in range(0, len(unique), _BATCH):
            rows = self._embedder.embed(unique[first : first + _BATCH])[:, :DIMENSIONS]
            vectors[first : first + len(rows)] = _unit(rows)
        self._table = np.concatenate([self._table, vectors[[at[word] for word in fresh]]])


def _unit(rows: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0))
