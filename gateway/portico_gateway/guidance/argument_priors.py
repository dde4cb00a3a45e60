"""What a question says about a tool's arguments, before any model: weights on keys and values, from the schema's own words.

A key's description, an option's title and the words of the question are compared as words and as static embeddings. Optional
keys are left out unless the question speaks for them; strings are likely what the question spells out. It knows no tool.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from portico_engine import CallPrior, Tool
from portico_gateway.guidance.alternatives import combined_prior, escaped, score_alternative
from portico_gateway.guidance.argument_readings import ObjectReading, ValueReading
from portico_gateway.guidance.description_convention import THE_KEY, StringRole
from portico_gateway.guidance.question import Question
from portico_gateway.guidance.tool_retrieval import TextEmbedding
from portico_gateway.guidance.weights import DEFAULT_WEIGHTS, Weights
from portico_gateway.guidance.word_coverage import WordCoverage

SCHEMAS_KEPT = 64  # tools whose arguments are read once
MOST_VECTORS = 16_384  # texts whose embeddings are kept
MAX_OBJECT_DEPTH = 4  # objects within objects that are looked at


class LazyPriors(Mapping[str, CallPrior]):
    """The priors of some tools by name, each made when it is first looked at: a question calls one of them."""

    def __init__(self, priors: ArgumentPriors, tools: Sequence[Tool], question: Question) -> None:
        self._priors, self._question = priors, question
        self._tools = {tool.name: tool for tool in tools}
        self._made: dict[str, CallPrior] = {}

    def __getitem__(self, name: str) -> CallPrior:
        if name not in self._made:
            self._made[name] = self._priors.prior(self._tools[name], self._question)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)


class ArgumentPriors:
    """Makes priors for tools. Embeddings are kept until there are too many, and a question costs one. Threads may share it."""

    def __init__(self, embed: TextEmbedding, weights: Weights = DEFAULT_WEIGHTS) -> None:
        self.weights = weights
        self._read = lru_cache(maxsize=SCHEMAS_KEPT)(_read)
        self._embed = embed
        self._vectors: dict[str, Any] = {}

    def prior(self, tool: Tool, question: Question) -> CallPrior:
        """What the question says about this tool's arguments."""
        draft = _Draft(self, question)
        draft.object(self._read(_ToolSchema(tool.schema_text, tool.parameters)), "")
        return CallPrior(draft.keys, draft.values, then=draft.then)

    def similarity(self, first: str, second: str) -> float:
        vectors = self._embedded(first, second)
        return float(vectors[first] @ vectors[second])

    def similarities(self, texts: Sequence[str], to: str) -> list[float]:
        """The cosine of each text with one."""
        vectors = self._embedded(*dict.fromkeys((*texts, to)))
        return [float(vectors[text] @ vectors[to]) for text in texts]

    def _embedded(self, *texts: str) -> Mapping[str, Any]:
        found = {text: vector for text in texts if (vector := self._vectors.get(text)) is not None}
        fresh = [text for text in texts if text not in found]
        if fresh:
            made = dict(zip(fresh, self._embed(fresh), strict=True))
            if len(self._vectors) + len(made) > MOST_VECTORS:
                self._vectors.clear()
            self._vectors.update(made)
            found.update(made)
        return found


@dataclass(frozen=True, slots=True)
class _ToolSchema:
    """Hashed by its text."""

    text: str
    schema: Mapping[str, Any] = field(compare=False)


def _read(of: _ToolSchema) -> ObjectReading:
    return ObjectReading(of.schema, of.schema)


class _Draft:
    """The prior of one tool for one question, as it is made. A path names a key: `filters.value`."""

    def __init__(self, priors: ArgumentPriors, question: Question) -> None:
        self.priors, self.question = priors, question
        self.weights = priors.weights
        self.asked = " " + " ".join(re.findall(r"[\w-]+", question.text.lower())) + " "
        self.keys: dict[str, dict[str, float]] = {}
        self.values: dict[str, dict[str, float]] = {}
        self.then: dict[str, Mapping[str, CallPrior]] = {}

    def object(self, of: ObjectReading, path: str, depth: int = 0, *, item: bool = False) -> None:
        """Weigh an object's keys, and what is inside of them. `item`: it is one of an array's."""
        if depth > MAX_OBJECT_DEPTH or (not item and self._alternatives(of, path, depth)):
            return
        chosen: dict[str, set[str]] = {}  # per key, what it offers that the question says
        for name, value in of.values.items():
            where = _below(path, name)
            self._value(value, where, depth)
            chosen[name] = {
                option
                for at, values in self.values.items()
                if at == where or at.startswith(where + ".")
                for option, weight in values.items()
                if weight >= self.weights.options.named
            }
        keys = self.keys.setdefault(path, {})
        for name, value in of.values.items():
            if name in of.needed:
                keys[name] = 0.0
                continue
            others = set().union(*(chosen[other] for other in of.values if other != name))
            spoken = bool(chosen[name] - others) or value.spoken(self.asked).get(THE_KEY, False)
            keys[name] = self.weights.keys.spoken_for if spoken else self.weights.keys.optional

    def _alternatives(self, of: ObjectReading, path: str, depth: int) -> bool:
        """Where an object has several forms, weights of each, once its deciding choice is made; else False."""
        if not (forms := of.forms):
            return False
        question = self.question
        coverage = WordCoverage(question.tokens, question.values, self.priors.similarity, of.known_stems, self.weights)
        prior = combined_prior([score_alternative(form, coverage, path) for form in forms], list(forms[0].choice), path)
        for name, value in of.others.items():
            self._value(value, _below(path, name), depth)
        self.keys[path] = dict(prior.keys[path])
        self.values.update({where: dict(weights) for where, weights in prior.values.items()})
        self.then.update(prior.then)
        return True

    def _value(self, of: ValueReading, where: str, depth: int) -> None:
        """Weigh what the value may be, and what is inside of it."""
        values = self.values.setdefault(where, {})
        for value, weight in self._options(of).items():
            values[escaped(value)] = weight
        if of.object is not None:
            self.object(of.object, where, depth + 1, item=of.is_item)
        elif of.is_free_string:
            named = dict.fromkeys(self.question.names, self.weights.values.string)
            for text, weight in (named if of.options else self._strings(of.role)).items():
                values.setdefault(escaped(text), weight)

    def _options(self, of: ValueReading) -> dict[str, float]:
        if not of.options:
            return {}
        by, spoken = self.weights.options, of.spoken(self.asked)
        weights: dict[str, float] = {}
        cosines = self.priors.similarities(of.option_texts, self.question.text)
        for (value, own), cosine in zip(of.options.items(), cosines, strict=True):
            if own:
                share = 1.0 if spoken.get(value) else len(own & self.question.stems) / len(own)
                head = by.head_noun if own & self.question.heads else 0.0
                weights[value] = by.named * share + head + by.embedding * max(0.0, cosine)
            else:
                weights[value] = 0.0 if weights else by.first_symbol
        return weights

    def _strings(self, role: StringRole) -> dict[str, float]:
        """What a free string may be, out of the question."""
        question, weight = self.question, self.weights.values.string
        if role is StringRole.QUERY:
            return {question.topic: weight}
        if role is StringRole.PATH:
            return dict.fromkeys(question.paths, weight)
        return {**dict.fromkeys(question.names, weight), question.topic: weight / 2}


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
