"""Search in a catalog that is larger than a prompt: which few of many tools fit what somebody wants to do.

Two opinions, fused: words, as BM25 over a tool's fields (its name counts most, then its server's name, what its description
says first, the rest, its parameters); and meaning, as static embeddings of the query against the name with the first sentence,
and against each sentence. BM25F: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009). It
calls nothing and knows no server by name.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from portico_engine import Tool
from portico_gateway.guidance.description_convention import sentences
from portico_gateway.guidance.stemming import content_words
from portico_gateway.guidance.tool_retrieval import Floats, TextEmbedding

_K1 = 1.2
_B = 0.4
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[_\-./]+")
_MAX_SENTENCES = 12  # of a description
_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")  # scripts without spaces between words


@dataclass(frozen=True, slots=True)
class SearchWeights:
    """What a word counts in which field, and what meaning counts beside words."""

    name: float = 3.0
    server: float = 2.0
    first: float = 1.5
    rest: float = 0.5
    parameters: float = 0.5
    meaning: float = 20.0
    sentence: float = 8.0


class CatalogSearch:
    """Over the tools of one catalog. Building it embeds the tools once; a query costs a few milliseconds."""

    def __init__(
        self, tools: Sequence[Tool], servers: Mapping[str, str], embed: TextEmbedding, weights: SearchWeights | None = None
    ) -> None:
        """`servers` maps a tool's name to its server."""
        self.tools = list(tools)
        self._embed = embed
        self._weights = weights or SearchWeights()
        described = [sentences(tool.description)[:_MAX_SENTENCES] for tool in tools]
        names = [_words_of_name(_own_name(tool.name, servers[tool.name])) for tool in tools]
        heads = [f"{name}. {said[0] if said else ''}" for name, said in zip(names, described, strict=True)]
        self._heads = embed(heads) if heads else np.zeros((0, 1), np.float32)
        every = [sentence for said in described for sentence in said]
        self._sentences: Floats = embed(every) if every else np.zeros((0, 1), np.float32)
        self._owners = np.repeat(np.arange(len(tools)), [len(said) for said in described])
        self._postings: dict[str, list[tuple[int, float]]] = {}
        self._index(names, described, servers)

    def search(self, query: str, limit: int = 5) -> list[Tool]:
        """The tools that fit best, the best first."""
        if not self.tools:
            return []
        scores = self._by_words(query) + self._by_meaning(query)
        best = np.argsort(-scores, kind="stable")[:limit]
        return [self.tools[index] for index in best.tolist()]

    def _by_words(self, query: str) -> Floats:
        scores = np.zeros(len(self.tools), np.float32)
        for word in set(_words(query)):
            found = self._postings.get(word, ())
            idf = math.log(1 + (len(self.tools) - len(found) + 0.5) / (len(found) + 0.5))
            for index, weight in found:
                scores[index] += idf * weight * (_K1 + 1) / (weight + _K1)
        return scores

    def _by_meaning(self, query: str) -> Floats:
        vector = self._embed([query])[0]
        best = np.full(len(self.tools), -1.0, np.float32)
        if len(self._owners):
            np.maximum.at(best, self._owners, self._sentences @ vector)
        meant: Floats = self._weights.meaning * (self._heads @ vector) + self._weights.sentence * best
        return meant

    def _index(self, names: Sequence[str], described: Sequence[Sequence[str]], servers: Mapping[str, str]) -> None:
        weights = self._weights
        counted: list[Counter[str]] = []
        for tool, name, said in zip(self.tools, names, described, strict=True):
            counts: Counter[str] = Counter()
            for weight, text in (
                (weights.name, name),
                (weights.server, _words_of_name(servers[tool.name])),
                (weights.first, said[0] if said else ""),
                (weights.rest, " ".join(said[1:])),
                (weights.parameters, " ".join(_parameter_texts(tool))),
            ):
                for word, count in Counter(_words(text)).items():
                    counts[word] += weight * min(count, 2)  # type: ignore[assignment]
            counted.append(counts)
        sizes = [sum(counts.values()) for counts in counted]
        mean = sum(sizes) / max(1, len(sizes))
        for index, (counts, size) in enumerate(zip(counted, sizes, strict=True)):
            scale = 1 - _B + _B * size / max(mean, 1e-9)
            for word, count in counts.items():
                self._postings.setdefault(word, []).append((index, count / scale))


def _words(text: str) -> list[str]:
    """Stems, and pairs of characters of scripts that set no spaces."""
    wide = _WIDE.findall(text)
    pairs = ["".join(pair) for pair in itertools.pairwise(wide)]
    return [*content_words(_CAMEL.sub(" ", text)), *pairs]


def _own_name(name: str, server: str) -> str:
    return name.removeprefix(f"{server}__")


def _words_of_name(name: str) -> str:
    return _CAMEL.sub(" ", name)


def _parameter_texts(tool: Tool) -> Iterator[str]:
    properties = tool.parameters.get("properties")
    for name, schema in properties.items() if isinstance(properties, Mapping) else ():
        yield _words_of_name(str(name))
        if isinstance(schema, Mapping) and isinstance(schema.get("description"), str):
            yield schema["description"][:200]
