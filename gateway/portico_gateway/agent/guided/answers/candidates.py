"""Every candidate for an answer, of all that was called, with its call and its weight before the model has its say.

Lines of source files are weighed by their own reader, passages of documents by their features, everything else by words. It
knows no server by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from portico_gateway.agent.events import ToolCallFinished
from portico_gateway.agent.guided.answers.asked_elsewhere import asks_the_same
from portico_gateway.agent.guided.answers.quotations import passage_weights
from portico_gateway.agent.guided.extraction.candidate import AnswerCandidate
from portico_gateway.agent.guided.extraction.documents.passage_features import known_rarity, weighed_passages
from portico_gateway.agent.guided.extraction.extract import extract
from portico_gateway.agent.guided.extraction.source_code.places import SourceScorer
from portico_gateway.agent.guided.extraction.source_code.words import Senses
from portico_gateway.agent.guided.extraction.source_files import source_files, source_hits
from portico_gateway.agent.guided.extraction.source_lines import source_lines
from portico_gateway.agent.tool_host import ToolHost
from portico_gateway.guidance.tool_retrieval import TextEmbedding
from portico_gateway.guidance.weights import Weights


@dataclass(frozen=True, slots=True)
class WeighedCandidate:
    """A candidate, the call whose result it stands in, and its weight in nats."""

    candidate: AnswerCandidate
    call: ToolCallFinished
    weight: float


class CandidateReader:
    """Reads the candidates of calls, files beside their hits included."""

    def __init__(self, host: ToolHost, embed: TextEmbedding, weights: Weights) -> None:
        self._host = host
        self._embed = embed
        self._weights = weights
        self._scorer = SourceScorer(Senses(embed, weights.code_words), weights.source)

    async def read(self, question: str, calls: Sequence[ToolCallFinished]) -> dict[str, WeighedCandidate]:
        """By text, the candidates of all calls that found something; none that only asks the question once more."""
        found: dict[str, WeighedCandidate] = {}
        passages: list[tuple[AnswerCandidate, ToolCallFinished]] = []
        for call in calls:
            if not call.result.found:
                continue
            if lines := await self._of_files(question, call):
                for candidate in lines:
                    found.setdefault(candidate.text, WeighedCandidate(candidate, call, candidate.weight or 0.0))
                continue
            read = extract([call.result])
            for candidate in self._of_documents(question, call, [one for one in read if one.focus]):
                found.setdefault(candidate.text, WeighedCandidate(candidate, call, candidate.weight or 0.0))
            passages += [(candidate, call) for candidate in read if not candidate.focus]
        weights = self._passage_weights(question, [candidate for candidate, _ in passages])
        for (candidate, call), weight in zip(passages, weights, strict=True):
            found.setdefault(candidate.text, WeighedCandidate(candidate, call, weight))
        return {text: weighed for text, weighed in found.items() if not asks_the_same(question, text)}

    async def _of_files(self, question: str, call: ToolCallFinished) -> list[AnswerCandidate]:
        if not (hits := source_hits(call.result)):
            return []
        files = await source_files(self._host, self._host.server_of(call.tool), hits)
        return source_lines(question, files, self._scorer)

    def _of_documents(self, question: str, call: ToolCallFinished, read: Sequence[AnswerCandidate]) -> list[AnswerCandidate]:
        rarity = known_rarity([call.result.data] if call.result.data else [])
        return weighed_passages(question, read, self._embed, self._weights.passages, rarity)

    def _passage_weights(self, question: str, candidates: Sequence[AnswerCandidate]) -> list[float]:
        if not candidates:
            return []
        by_text = passage_weights([c.text for c in candidates], question, self._embed, self._weights.quotations)
        return [by_text[candidate.text] for candidate in candidates]
