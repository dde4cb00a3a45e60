"""Which tools of a request are near its question: by their definitions, or by the questions and the words that these show.

A request's tools come without their servers: those whose names begin alike, `server__`, are taken for one server's. What is
read in a definition is kept as long as it is asked about. It knows no call.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from portico_engine import Tool
from portico_gateway.guidance.copying.parameters import read_schema
from portico_gateway.guidance.definition_similarity import DefinitionSimilarity, Floats
from portico_gateway.guidance.description_convention import sentences, shows_question
from portico_gateway.guidance.schema_views import tool_vocabulary
from portico_gateway.guidance.stemming import content_words
from portico_gateway.guidance.tool_choice import change_weights
from portico_gateway.guidance.tool_retrieval import TextEmbedding
from portico_gateway.guidance.weights import Weights

_KEPT = 2_048  # definitions
_SEPARATOR = "__"
_WORD = re.compile(r"[a-z']+")
_IDENTIFIER = re.compile(r"\b\w+_\w+|\b[a-z]+[A-Z]\w*|\b[A-Z][a-z]+[A-Z]\w*|\w\(\)")


def server_of(name: str) -> str:
    """What stands before the first `__` of a tool's name; empty where there is none."""
    return name.partition(_SEPARATOR)[0] if _SEPARATOR in name else ""


@dataclass(frozen=True, slots=True)
class _Definition:
    """What is read in one: `vectors` of its description's sentences [n, dim], the words of these, and all stems that it has."""

    vectors: Floats
    words: frozenset[str]
    stems: frozenset[str]
    formed: bool  # its arguments come in several forms
    searches: bool  # it needs to be told what a question is about


def _key(tool: Tool) -> tuple[str, str, str]:
    return tool.name, tool.description, tool.schema_text


class ToolNearness:
    """In nats, by tool. Thread-safe as far as a dict is: two threads may read the same definition twice."""

    def __init__(self, embed: TextEmbedding, weights: Weights) -> None:
        self._embed = embed
        self._weights = weights
        self._similarity = DefinitionSimilarity(embed)
        self._known: OrderedDict[tuple[str, str, str], _Definition] = OrderedDict()

    def of(self, tools: Sequence[Tool], question: str) -> dict[str, float]:
        """By name: nearness, and whether a tool's change is asked for. Of servers that show typical questions their sentences
        and words count, of all others the whole definition."""
        weights = self._weights.retrieval
        near = change_weights(tools, question, weights)
        asked = {server_of(tool.name) for tool in tools if shows_question(tool.description)}
        silent = [tool for tool in tools if server_of(tool.name) not in asked]
        for name, of_definition in self.definitions(silent, question, weights.definition).items():
            near[name] += of_definition
        shown = [tool for tool in tools if server_of(tool.name) in asked]
        for name, of_words in self._by_questions(shown, question).items():
            near[name] += of_words
        return near

    def knows(self, tools: Sequence[Tool]) -> bool:
        """Is what is read in each of these kept?"""
        return all(self._similarity.knows(tool) or _key(tool) in self._known for tool in tools)

    def definitions(self, tools: Sequence[Tool], question: str, weight: float) -> dict[str, float]:
        """By name, how near the tools are by their whole definition: `weight` nats at a mean cosine of 1."""
        similar = self._similarity.of(tools, question) if tools else []
        return {tool.name: weight * cosine for tool, cosine in zip(tools, similar, strict=True)}

    def _by_questions(self, tools: Sequence[Tool], question: str) -> dict[str, float]:
        if not tools:
            return {}
        weights = self._weights.shown_questions
        vector = self._embed([question])[0]
        words, stems = set(_WORD.findall(question.lower())), set(content_words(question))
        code = bool(_IDENTIFIER.search(question))
        found = {}
        for tool in tools:
            of = self._read(tool)
            worth = weights.sentence * float((of.vectors @ vector).max())
            worth += weights.words * len(words & of.words) / max(1, len(words)) + weights.search * of.searches
            if of.formed:
                worth += weights.formed + weights.stems * len(stems & of.stems) / max(1, len(stems)) + weights.identifier * code
            found[tool.name] = worth
        return found

    def _read(self, tool: Tool) -> _Definition:
        key = _key(tool)
        found = self._known.pop(key, None) or self._definition(tool)
        self._known[key] = found
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return found

    def _definition(self, tool: Tool) -> _Definition:
        schema = read_schema(tool)
        return _Definition(
            np.asarray(self._embed(sentences(tool.description)), np.float32),
            frozenset(_WORD.findall(tool.description.lower())),
            frozenset(content_words(tool_vocabulary(tool))),
            schema.has_alternatives,
            schema.searches,
        )
