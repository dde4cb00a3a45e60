"""Embeddings of texts by text, each made once, many at a time. It knows no meaning."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from portico_gateway.guidance.tool_retrieval import TextEmbedding

MOST_KEPT = 4_096  # texts


class TextVectors:
    """Unit vectors of texts, kept until there are too many."""

    def __init__(self, embed: TextEmbedding) -> None:
        self._embed = embed
        self._of: dict[str, Any] = {}

    def add(self, texts: Iterable[str]) -> None:
        """Embed those that are not known, at once."""
        fresh = [text for text in dict.fromkeys(texts) if text not in self._of]
        if len(self._of) + len(fresh) > MOST_KEPT:
            self._of.clear()
        if fresh:
            self._of.update(zip(fresh, self._embed(fresh), strict=True))

    def embed(self, texts: Sequence[str]) -> Any:
        """Unit vectors [len(texts), dim]; of a single text, a question that is weighed otherwise too, the one that is kept."""
        if len(texts) == 1 and (known := self._of.get(texts[0])) is not None:
            return [known]
        return self._embed(texts)

    def cosine(self, first: str, second: str) -> float:
        """Of two texts."""
        missing = [text for text in (first, second) if text not in self._of]
        if missing:
            self.add(missing)
            return self.cosine(first, second) if len(missing) < 2 or first in self._of else 0.0
        return float(self._of[first] @ self._of[second])
