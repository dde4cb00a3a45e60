"""The best sections once more, by their best sentence: a passage is about many things, the answer is in one place.

A passage's own embedding is the mean of all it says. Knows passages' texts and the embedder; nothing of the index.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from portico_servers.common.embeddings import Embedder
from portico_servers.docs.index.models import StoredPassage
from portico_servers.docs.index.passage_text import plain
from portico_servers.docs.search.ranking import RankedSection, names_something

RERANKED = 24  # sections: their sentences are embedded for each question, 30 us apiece
WEIGHT = 0.4  # of the best sentence's cosine beside the section's score; a term is found as well without
_BORDER = re.compile(r"(?<=[.!?:])\s+(?=[A-Z`*\"'(])|\n[ \t]*\n|\n(?=[ \t]*(?:[-*+•|]|\d{1,3}[.)])[ \t])")
_MIN_CHARS = 9
_MAX_SENTENCES = 24  # of a passage


def sentences(text: str) -> list[str]:
    """Sentences, list items and rows of a passage, markup off."""
    found = (" ".join(plain(piece).split()) for piece in _BORDER.split(text))
    return [sentence for sentence in found if len(sentence) >= _MIN_CHARS][:_MAX_SENTENCES]


def rerank(
    query: str, ranked: Sequence[RankedSection], passages: Mapping[int, StoredPassage], embedder: Embedder
) -> list[RankedSection]:
    """`ranked`, with the first RERANKED of them in the order of their score and their best sentence together. A term, which
    no sentence answers, leaves them as they are."""
    head = [item for item in ranked[:RERANKED] if item.passage in passages]
    if len(head) < 2 or names_something(query):
        return list(ranked)
    texts = [_under_headings(passages[item.passage]) for item in head]
    vectors = np.asarray(embedder.embed([query, *(text for of in texts for text in of)]), np.float32)
    best = _best_of_each(vectors[1:] @ vectors[0], [len(of) for of in texts])
    scored = [
        item._replace(score=(item.score + WEIGHT * cosine) / (1 + WEIGHT)) for item, cosine in zip(head, best, strict=True)
    ]
    floor = min(item.score for item in scored)
    rest = [item._replace(score=min(item.score, floor)) for item in ranked[RERANKED:]]
    return [*sorted(scored, key=lambda item: -item.score), *rest]


def _under_headings(passage: StoredPassage) -> list[str]:
    """The passage's sentences, each with the two innermost headings that it stands under."""
    above = plain(" ".join(passage.trail[-2:]))
    return [f"{above} {sentence}" for sentence in sentences(passage.text)] or [above]


def _best_of_each(cosines: npt.NDArray[np.float32], counts: Sequence[int]) -> list[float]:
    """The highest of each passage's cosines, 0 at least."""
    found, start = [], 0
    for count in counts:
        found.append(max(0.0, float(cosines[start : start + count].max())) if count else 0.0)
        start += count
    return found
