"""Which tool fits a question, before the model has its say: retrieval over the catalog, as weights for a prior.

It owns two opinions and their sum: static embeddings of the question against every sentence of a tool's description (one that
names typical questions is chosen for their like; the best sentence counts), and the question's words found in a server's own
vocabulary (tool names, enum values, the names of its resources). It knows no server by name. The model's own preference among
names, even calibrated, adds nothing to these at the default model's size: docs/decisions/agent.md has the figures.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from portico_engine import Tool
from portico_gateway.guidance.description_convention import sentences
from portico_gateway.guidance.schema_views import tool_vocabulary
from portico_gateway.guidance.stemming import content_words
from portico_gateway.guidance.weights import DEFAULT_WEIGHTS, Weights

Floats = npt.NDArray[np.float32]


class TextEmbedding(Protocol):
    """Static embeddings: texts to unit vectors [n, dim]."""

    def __call__(self, texts: Sequence[str]) -> Floats: ...


class WordInformation(Protocol):
    """How much each word says by itself [n]: about 5 for "did", 10 for "answer", 20 for "gzip"."""

    def __call__(self, words: Sequence[str]) -> Floats: ...


def uninformed(words: Sequence[str]) -> Floats:
    """`WordInformation` where nothing is known."""
    return np.zeros(len(words), np.float32)


@dataclass(frozen=True, slots=True)
class RankedTool:
    """A tool with its weight (nats, the best is 0) and where the weight came from."""

    tool: Tool
    weight: float
    parts: Mapping[str, float] = field(default_factory=dict)


class ToolRetriever:
    """Ranks the tools of one catalog. Building it embeds the tools once; a question costs about a millisecond."""

    def __init__(
        self,
        tools: Sequence[Tool],
        servers: Mapping[str, str],
        profiles: Mapping[str, Sequence[str]],
        embed: TextEmbedding,
        weights: Weights = DEFAULT_WEIGHTS,
        information: WordInformation = uninformed,
    ) -> None:
        """`servers` maps a tool's name to its server; `profiles` are names that a server itself shows: resources, titles."""
        self.weights = weights
        self.tools = list(tools)
        self._servers = servers
        self.embed = embed
        self.information = information
        described = [sentences(tool.description) for tool in tools]
        self._vectors = embed([sentence for of_tool in described for sentence in of_tool])
        self._owners = np.repeat(np.arange(len(tools)), [len(of_tool) for of_tool in described])
        self._words = {
            server: Counter(w for text in texts for w in content_words(text)) for server, texts in self._texts(profiles).items()
        }
        self._names = {t.name: set(content_words(tool_vocabulary(t))) for t in tools}

    def _texts(self, profiles: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        texts: dict[str, list[str]] = {server: list(names) for server, names in profiles.items()}
        for tool in self.tools:
            texts.setdefault(self._servers[tool.name], []).append(tool_vocabulary(tool))
        return texts

    def rank(self, question: str, exclude: frozenset[str] = frozenset()) -> list[RankedTool]:
        """Best first, without the excluded."""
        similar = np.full(len(self.tools), -1.0, np.float32)
        np.maximum.at(similar, self._owners, self._vectors @ self.embed([question])[0])
        evidence = self._evidence(question)
        ranked, weights = [], self.weights.retrieval
        for tool, cosine in zip(self.tools, similar.tolist(), strict=True):
            if tool.name in exclude:
                continue
            parts = {
                "embedding": weights.embedding * cosine,
                "words": weights.server_word * evidence[self._servers[tool.name]]
                + weights.tool_word * self._overlap(question, tool),
            }
            ranked.append(RankedTool(tool, sum(parts.values()), parts))
        best = max((r.weight for r in ranked), default=0.0)
        return sorted((RankedTool(r.tool, r.weight - best, r.parts) for r in ranked), key=lambda r: -r.weight)

    def _evidence(self, question: str) -> dict[str, float]:
        """Per server, the summed idf of the question's words that only some servers know."""
        total = len(self._words)
        found = dict.fromkeys(self._words, 0.0)
        for word in set(content_words(question)):
            having = [server for server, known in self._words.items() if word in known]
            for server in having:
                found[server] += math.log((total + 1) / (len(having) + 0.5)) if len(having) < total else 0.0
        return found

    def _overlap(self, question: str, tool: Tool) -> float:
        return float(len(set(content_words(question)) & self._names[tool.name]))
