"""What the readings of a question say of which server knows: how much of its words one place accounts for, and where.

Each word counts by how much it says (the length of its static embedding), so that shares of different servers can be compared.
Of a search the best place counts, of a database the call that its server proposes. It knows no server and no call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from portico_gateway.guidance.question_readings import FoundPlaces, QuestionReading
from portico_gateway.guidance.stemming import content_words
from portico_gateway.guidance.tool_retrieval import TextEmbedding, WordInformation

_READ = 5  # places of a search that are looked at
_SAYS_NOTHING = 7.0  # the information of a word up to which it tells nothing: "did" has 5, "answer" 10, "gzip" 20
_COMPARED = 1_000  # characters of a place's text that are compared with the question by sense


@dataclass(frozen=True, slots=True)
class Evidence:
    """`covered`: the share of the question that the best place or call accounts for, 0 to 1; `similar`: the highest cosine of a
    place with it."""

    covered: float = 0.0
    similar: float = 0.0


class QuestionEvidence:
    """One question before what several servers have read of it."""

    def __init__(self, question: str, embed: TextEmbedding, information: WordInformation) -> None:
        self._question, self._embed = question, embed
        words = list(dict.fromkeys(content_words(question)))
        self._weights = dict(zip(words, _weights(tuple(words), information), strict=True))
        self._total = sum(self._weights.values()) or 1.0

    def of(self, reading: QuestionReading | FoundPlaces) -> Evidence:
        """What one reading says."""
        if isinstance(reading, QuestionReading):
            return Evidence(self._share({stem for word in reading.used for stem in content_words(word)}))
        texts = [f"{place.name} {place.text}" for place in reading.places[:_READ]]
        if not texts:
            return Evidence()
        return Evidence(max(self._share(set(content_words(text))) for text in texts), self._similar(texts))

    def _share(self, stems: set[str]) -> float:
        return sum(weight for word, weight in self._weights.items() if word in stems) / self._total

    def _similar(self, texts: Sequence[str]) -> float:
        vectors = self._embed([self._question, *(text[:_COMPARED] for text in texts)])
        return float((vectors[1:] @ vectors[0]).max())


def _weights(words: tuple[str, ...], information: WordInformation) -> list[float]:
    return [max(0.5, float(each) - _SAYS_NOTHING) for each in information(words)] if words else []
