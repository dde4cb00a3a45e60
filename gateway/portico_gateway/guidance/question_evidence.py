"""What the readings of a question say of which server knows: how much of its words one place accounts for, and where.

Each word counts by how much it says (the length of its static embedding), so that shares of different servers can be compared.
Of a search the best place counts, of a database the call that its server proposes. It knows no server and no call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from portico_gateway.guidance.question_readings import FoundPlaces, QuestionReading
from portico_gateway.guidance.stemming import content_words
from portico_gateway.guidance.tool_retrieval import TextEmbedding, WordInformation

_READ = 5  # places of a search that are looked at
_SAYS_NOTHING = 7.0  # the information of a word up to which it tells nothing: "did" has 5, "answer" 10, "gzip" 20
_COMPARED = 1_000  # characters of a place's text that are compared with the question by sense


@dataclass(frozen=True, slots=True)
class Evidence:
    """Shares of the question, 0 to 1. `covered`: by the best place; `named`: by what a place is called; `known`: by all there
    is; `similar`: the best place's cosine with the question."""

    covered: float = 0.0
    named: float = 0.0
    known: float = 0.0
    similar: float = 0.0


class QuestionEvidence:
    """One question before what several servers have read of it."""

    def __init__(self, question: str, embed: TextEmbedding, information: WordInformation) -> None:
        self._question, self._embed = question, embed
        words = list(dict.fromkeys(content_words(question)))
        self._weights = dict(zip(words, _weights(tuple(words), information), strict=True))
        self._total = sum(self._weights.values()) or 1.0

    def of(self, reading: QuestionReading | FoundPlaces | None) -> Evidence:
        """What one reading says."""
        if reading is None:
            return Evidence()
        if isinstance(reading, QuestionReading):
            share = self._share({stem for word in reading.used for stem in content_words(word)})
            return Evidence(share, share, share, reading.share)
        found = [(set(content_words(place.name)), set(content_words(place.text))) for place in reading.places[:_READ]]
        if not found:
            return Evidence()
        return Evidence(
            max(self._share(name | text) for name, text in found),
            max(self._share(name) for name, _ in found),
            self._share({stem for word, count in reading.words.items() if count for stem in content_words(word)}),
            self._similar(reading),
        )

    def _share(self, stems: set[str]) -> float:
        return sum(weight for word, weight in self._weights.items() if word in stems) / self._total

    def _similar(self, reading: FoundPlaces) -> float:
        texts = [f"{place.name} {place.text[:_COMPARED]}" for place in reading.places[:_READ]]
        vectors = self._embed([self._question, *texts])
        return float((vectors[1:] @ vectors[0]).max())


def _weights(words: tuple[str, ...], information: WordInformation) -> list[float]:
    return [max(0.5, float(each) - _SAYS_NOTHING) for each in information(words)] if words else []
