"""The parts of the ranking that look at BM25's best pieces only: each scales their scores, each can be turned off.

| part       | raises pieces                                                                    |
|------------|----------------------------------------------------------------------------------|
| named      | whose definition's name is made of the question's words                          |
| definition | that are a definition, rather than what lies between them                        |
| file       | whose file has other good pieces                                                 |
| prior      | of files that are neither tests nor vendored nor records                         |
| semantic   | whose words mean what the question's words mean (static embeddings)              |
| spread     | of files not yet on the page (see `rank`)                                        |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from portico_servers.code.ranking import tokens
from portico_servers.code.ranking.documents import NAME_FIELD, IndexedFile
from portico_servers.code.ranking.path_prior import asks_for_tests
from portico_servers.code.ranking.segment import Floats, Ints, Segment
from portico_servers.code.ranking.semantic import TermVectors


@dataclass(frozen=True, slots=True)
class RankingWeights:
    """How much each part counts; 0 turns it off. Chosen on the dev half of `benchmarks/code_search.py`."""

    name: float = 0.8
    path: float = 0.6
    named: float = 0.5
    definition: float = 0.1
    file: float = 0.15
    prior: float = 1.5
    semantic: float = 0.5
    spread: float = 0.05


class QueryTerm(NamedTuple):
    """A word of the question: (field, id, weight) for each field that knows it, and its idf."""

    word: str
    fields: tuple[tuple[int, int, float], ...]
    idf: float


@dataclass(slots=True)
class SegmentCandidates:
    """The best documents of one segment, ascending, and their scores, which the parts change."""

    segment: Segment
    docs: Ints
    scores: Floats


def rerank(
    groups: Sequence[SegmentCandidates],
    terms: Sequence[QueryTerm],
    weights: RankingWeights,
    question: str,
    files: Mapping[int, IndexedFile],
    vectors: TermVectors | None,
) -> None:
    for group in groups:
        if weights.named:
            share = _name_matches(group, terms) / np.maximum(group.segment.name_terms[group.docs], 1)
            group.scores *= 1 + np.float32(weights.named) * share
        if weights.definition:
            group.scores *= 1 + np.float32(weights.definition) * (group.segment.ordinal[group.docs] >= 0)
        if weights.prior and not asks_for_tests(question):
            known = [files.get(file_id) for file_id in group.segment.file[group.docs].tolist()]
            priors = np.array([1.0 if file is None else file.prior for file in known], np.float32)
            group.scores *= priors ** np.float32(weights.prior)
    if weights.semantic and vectors is not None:
        _boost_by_meaning(groups, terms, weights.semantic, question, vectors)
    if weights.file and groups:
        _boost_by_file(groups, weights.file)


def _name_matches(group: SegmentCandidates, terms: Sequence[QueryTerm]) -> Floats:
    """For each candidate: how many of the question's words its name holds."""
    held = np.zeros(len(group.docs), np.float32)
    for term in terms:
        for field, number, _ in term.fields:
            if field == NAME_FIELD:
                held += _contains(group.segment.docs[group.segment.postings(number)], group.docs)
    return held


def _boost_by_meaning(
    groups: Sequence[SegmentCandidates], terms: Sequence[QueryTerm], weight: float, question: str, vectors: TermVectors
) -> None:
    wanted = vectors.of_question(tokens.question_words(question), {term.word: term.idf for term in terms})
    for group in groups:
        if group.segment.vectors is not None:
            near = group.segment.vectors[group.docs].astype(np.float32) @ wanted
            group.scores *= 1 + np.float32(weight) * np.maximum(near, 0)


def _boost_by_file(groups: Sequence[SegmentCandidates], weight: float) -> None:
    """A file's pieces speak for each other: each gains by the sum of its file's scores, relative to the best file's."""
    _, number = np.unique(np.concatenate([group.segment.file[group.docs] for group in groups]), return_inverse=True)
    sums = np.bincount(number, np.concatenate([group.scores for group in groups]))
    shares = (sums / max(float(sums.max()), 1e-9)).astype(np.float32)[number]
    first = 0
    for group in groups:
        group.scores *= 1 + np.float32(weight) * shares[first : first + len(group.docs)]
        first += len(group.docs)


def _contains(sorted_docs: Ints, wanted: Ints) -> np.ndarray:
    """Which of `wanted` are in `sorted_docs` (ascending)."""
    if not len(sorted_docs):
        return np.zeros(len(wanted), np.bool_)
    at = np.minimum(np.searchsorted(sorted_docs, wanted), len(sorted_docs) - 1)
    return np.asarray(sorted_docs[at] == wanted)
