"""What a question says about a tool's arguments, before any model: weights on keys and values, from the schema's own words.

A key's description, an option's title and the words of the question are compared as words and as static embeddings. Optional
keys are left out unless the question speaks for them; strings are likely what the question spells out. It knows no tool.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from portico_engine import CallPrior, Tool
from portico_gateway.guidance.alternatives import combined_prior, escaped, score_alternative
from portico_gateway.guidance.description_convention import THE_KEY, StringRole, option_titles, quoted, string_role
from portico_gateway.guidance.question import Question
from portico_gateway.guidance.schema_views import description_of, variants
from portico_gateway.guidance.slots import Branch, branch_vocabulary, branches
from portico_gateway.guidance.stemming import content_words, stems_of
from portico_gateway.guidance.tool_retrieval import TextEmbedding
from portico_gateway.guidance.weights import DEFAULT_WEIGHTS, Weights
from portico_gateway.guidance.word_coverage import WordCoverage

BRANCHES_KEPT = 64  # objects whose alternatives are read once
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
        self.branches = lru_cache(maxsize=BRANCHES_KEPT)(_branches)
        self._embed = embed
        self._vectors: dict[str, Any] = {}

    def prior(self, tool: Tool, question: Question) -> CallPrior:
        """What the question says about this tool's arguments."""
        draft = _Draft(self, tool.parameters, question)
        draft.object(tool.parameters, "")
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
class _ObjectSchema:
    """A schema with the one that its references are in, hashed by their text."""

    text: str
    schema: Any = field(compare=False)
    root: Mapping[str, Any] = field(compare=False)


def _branches(of: _ObjectSchema) -> list[Branch]:
    return branches(of.schema, of.root)


class _Draft:
    """The prior of one tool for one question, as it is made. A path names a key: `filters.value`."""

    def __init__(self, priors: ArgumentPriors, root: Mapping[str, Any], question: Question) -> None:
        self.priors, self.root, self.question = priors, root, question
        self.weights = priors.weights
        self.keys: dict[str, dict[str, float]] = {}
        self.values: dict[str, dict[str, float]] = {}
        self.then: dict[str, Mapping[str, CallPrior]] = {}

    def object(self, schema: Any, path: str, depth: int = 0, *, item: bool = False) -> None:
        """Weigh an object's keys, and what is inside of them. `item`: it is one of an array's."""
        if depth > MAX_OBJECT_DEPTH or (not item and self._alternatives(schema, path, depth)):
            return
        views = [v for v in variants(schema, self.root) if v.get("properties")]
        names = list(dict.fromkeys(name for view in views for name in view["properties"]))
        nodes = {name: [view["properties"][name] for view in views if name in view["properties"]] for name in names}
        chosen: dict[str, set[str]] = {}  # per key, what it offers that the question says
        for name in names:
            where = _below(path, name)
            self._value(name, nodes[name], where, depth)
            chosen[name] = {
                value
                for at, values in self.values.items()
                if at == where or at.startswith(where + ".")
                for value, weight in values.items()
                if weight >= self.weights.options.named
            }
        keys = self.keys.setdefault(path, {})
        for name in names:
            needed = all(name in (view.get("required") or ()) for view in views)
            others = set().union(*(chosen[other] for other in names if other != name))
            spoken = bool(chosen[name] - others) or self._spoken(self._described(nodes[name])).get(THE_KEY, False)
            keys[name] = 0.0 if needed else self.weights.keys.spoken_for if spoken else self.weights.keys.optional

    def _alternatives(self, schema: Any, path: str, depth: int) -> bool:
        """Where an object has several forms, weights of each, once its deciding choice is made; else False."""
        text = json.dumps([schema, self.root.get("$defs")], sort_keys=True, default=str)
        if not (forms := self.priors.branches(_ObjectSchema(text, schema, self.root))):
            return False
        known = frozenset(stem for text in branch_vocabulary(forms) for stem in stems_of(text))
        question = self.question
        coverage = WordCoverage(question.tokens, question.values, self.priors.similarity, known, self.weights)
        prior = combined_prior([score_alternative(form, coverage, path) for form in forms], list(forms[0].choice), path)
        for slot in {slot.name: slot for form in forms for slot in form.slots if slot.other is not None}.values():
            self._value(slot.name, [slot.other], _below(path, slot.name), depth)
        self.keys[path] = dict(prior.keys[path])
        self.values.update({where: dict(weights) for where, weights in prior.values.items()})
        self.then.update(prior.then)
        return True

    def _value(self, name: str, nodes: Sequence[Any], where: str, depth: int) -> None:
        """Weigh what the value may be, and what is inside of it."""
        views = [view for node in nodes for view in variants(node, self.root)]
        views += [inner for view in views if view.get("type") == "array" for inner in variants(view.get("items"), self.root)]
        options, described = option_titles(views), self._described(nodes)
        values = self.values.setdefault(where, {})
        for value, weight in self._options(options, self._spoken(described)).items():
            values[escaped(value)] = weight
        if objects := [view for view in views if view.get("properties")]:
            item = any(view.get("type") == "array" for view in views)
            self.object({"anyOf": objects}, where, depth + 1, item=item)
        elif any(_is_free_string(view) for view in views):
            named = dict.fromkeys(self.question.names, self.weights.values.string)
            for text, weight in (named if options else self._strings(string_role(name, described))).items():
                values.setdefault(escaped(text), weight)

    def _options(self, options: Mapping[str, str], spoken: Mapping[str, bool]) -> dict[str, float]:
        if not options:
            return {}
        of = self.weights.options
        texts = [f"{value} {title}".replace("_", " ").replace(".", " ") for value, title in options.items()]
        weights: dict[str, float] = {}
        for value, cosine in zip(options, self.priors.similarities(texts, self.question.text), strict=True):
            if own := set(content_words(value)):
                share = 1.0 if spoken.get(value) else len(own & self.question.stems) / len(own)
                head = of.head_noun if own & self.question.heads else 0.0
                weights[value] = of.named * share + head + of.embedding * max(0.0, cosine)
            else:
                weights[value] = 0.0 if weights else of.first_symbol
        return weights

    def _strings(self, role: StringRole) -> dict[str, float]:
        """What a free string may be, out of the question."""
        question, weight = self.question, self.weights.values.string
        if role is StringRole.QUERY:
            return {question.topic: weight}
        if role is StringRole.PATH:
            return dict.fromkeys(question.paths, weight)
        return {**dict.fromkeys(question.names, weight), question.topic: weight / 2}

    def _described(self, nodes: Sequence[Any]) -> str:
        return description_of([view for node in nodes for view in variants(node, self.root)])

    def _spoken(self, described: str) -> dict[str, bool]:
        """Which options the question speaks for, word by word, and whether it does for the key.

        Phrases with gaps speak for alternatives alone; those of an option that is no word ("<") speak for the key.
        """
        asked = " " + " ".join(re.findall(r"[\w-]+", self.question.text.lower())) + " "
        found: dict[str, bool] = {}
        for one in quoted(described):
            word = re.search(r"\w+$", one.option)
            option = word[0] if word else THE_KEY
            found[option] = found.get(option, False) or any(f" {phrase} " in asked for phrase in one.written)
        return found


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _is_free_string(view: Mapping[str, Any]) -> bool:
    kind = view.get("type")
    return (kind == "string" or (isinstance(kind, list) and "string" in kind)) and "enum" not in view and "const" not in view
