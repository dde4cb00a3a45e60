"""What a question says about a tool's arguments, before any model: weights on keys and values, from the schema's own words.

A key's description, an option's title and the words of the question are compared as words and as static embeddings. Optional
keys are left out unless the question speaks for them; strings are likely what the question spells out. It knows no tool.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from portico_engine import CallPrior, Tool
from portico_gateway.guidance.alternatives import case_of, prior_of
from portico_gateway.guidance.question import Question
from portico_gateway.guidance.schema_views import variants
from portico_gateway.guidance.slots import Branch, branch_vocabulary, branches
from portico_gateway.guidance.stemming import content_words, stems_of
from portico_gateway.guidance.tool_retrieval import Embedder
from portico_gateway.guidance.word_coverage import Claims

OPTIONAL = -9.0  # nats for writing an optional key that nothing speaks for
SPOKEN_FOR = 6.0  # for one that the question speaks for
SAID = 7.0  # for an option all of whose words the question has
NEAR = 8.0  # for an option at cosine 1 from the question
HEAD = 4.0  # for an option that has the noun after "which", "each", "per" or "by"
FIRST = 1.0  # for the first of options that have no words ("=", "!="): schemas list the usual one first
SPELLED = 7.0  # for a string that the question spells out
UNSPELLED = -5.0  # for a tool that needs a string which the question does not spell out
SHAPES_KEPT = 64  # objects whose alternatives are read once
MAX_DEPTH = 4  # objects within objects that are looked at

_SAYINGS = re.compile(r'(?:(\w+): )?("[^"]+"(?:, "[^"]+")*)')
_QUERY = frozenset("query search question words text".split())
_PATHS = frozenset("path file folder page".split())


@dataclass(slots=True)
class _Weights:
    keys: dict[str, dict[str, float]] = field(default_factory=dict)
    values: dict[str, dict[str, float]] = field(default_factory=dict)
    then: dict[str, Mapping[str, CallPrior]] = field(default_factory=dict)


class Priors(Mapping[str, CallPrior]):
    """The priors of some tools by name, each made when it is first looked at: a question calls one of them."""

    def __init__(self, hints: Hints, tools: Sequence[Tool], question: Question) -> None:
        self._hints, self._question = hints, question
        self._tools = {tool.name: tool for tool in tools}
        self._made: dict[str, CallPrior] = {}

    def __getitem__(self, name: str) -> CallPrior:
        if name not in self._made:
            self._made[name] = self._hints.prior(self._tools[name], self._question)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)


class Hints:
    """Makes priors for the tools of one catalog. Embeddings of options are kept; a question costs one."""

    def __init__(self, embed: Embedder) -> None:
        self._embed = embed
        self._vectors: dict[str, Any] = {}
        self._shapes: dict[str, list[Branch]] = {}

    def prior(self, tool: Tool, question: Question) -> CallPrior:
        """What the question says about this tool's arguments."""
        found = _Weights()
        self._object(tool.parameters, tool.parameters, "", question, found)
        return CallPrior(found.keys, found.values, then=found.then)

    def fit(self, tool: Tool, question: Question) -> float:
        """What it costs the tool that it must be told a name, a path or a statement that the question does not spell out."""
        cost = 0.0
        for view in variants(tool.parameters, tool.parameters)[:1]:
            for name in view.get("required") or ():
                node = (view.get("properties") or {}).get(name)
                if not any(_is_free_string(v) for v in variants(node, tool.parameters)):
                    continue
                about = set(content_words(name)) | {name.lower()}
                spelled = question.paths if about & _PATHS else question.identifiers
                if not about & _QUERY and not spelled:
                    cost += UNSPELLED
        return cost

    def _object(
        self,
        schema: Any,
        root: Mapping[str, Any],
        path: str,
        question: Question,
        found: _Weights,
        depth: int = 0,
        item: bool = False,
    ) -> None:
        if depth > MAX_DEPTH or (not item and self._alternatives(schema, root, path, question, found, depth)):
            return
        views = [v for v in variants(schema, root) if v.get("properties")]
        names = list(dict.fromkeys(name for view in views for name in view["properties"]))
        nodes = {name: [view["properties"][name] for view in views if name in view["properties"]] for name in names}
        chosen: dict[str, set[str]] = {}  # per key, what it offers that the question says
        for name in names:
            where = f"{path}.{name}" if path else name
            self._value(name, nodes[name], root, where, question, found, depth)
            chosen[name] = {
                value
                for at, values in found.values.items()
                if at == where or at.startswith(where + ".")
                for value, weight in values.items()
                if weight >= SAID
            }
        keys = found.keys.setdefault(path, {})
        for name in names:
            needed = all(name in (view.get("required") or ()) for view in views)
            others = set().union(*(chosen[other] for other in names if other != name))
            spoken = bool(chosen[name] - others) or bool(_spoken(_described(nodes[name], root), question).get(""))
            keys[name] = 0.0 if needed else SPOKEN_FOR if spoken else OPTIONAL

    def _alternatives(
        self, schema: Any, root: Mapping[str, Any], path: str, question: Question, found: _Weights, depth: int
    ) -> bool:
        """Where an object has several forms, weights of each, once its deciding choice is made; else False."""
        text = json.dumps([schema, root.get("$defs")], sort_keys=True, default=str)
        if text not in self._shapes:
            while len(self._shapes) > SHAPES_KEPT:
                self._shapes.pop(next(iter(self._shapes)))
            self._shapes[text] = branches(schema, root)
        if not (forms := self._shapes[text]):
            return False
        claims = Claims(question.tokens, question.values, self._alike)
        claims.known = frozenset(stem for text in branch_vocabulary(forms) for stem in stems_of(text))
        prior = prior_of([case_of(form, claims, path) for form in forms], list(forms[0].choice), path)
        for slot in {slot.name: slot for form in forms for slot in form.slots if slot.other is not None}.values():
            self._value(slot.name, [slot.other], root, f"{path}.{slot.name}" if path else slot.name, question, found, depth)
        found.keys[path] = dict(prior.keys[path])
        found.values.update({where: dict(weights) for where, weights in prior.values.items()})
        found.then.update(prior.then)
        return True

    def _alike(self, first: str, second: str) -> float:
        fresh = [text for text in (first, second) if text not in self._vectors]
        if fresh:
            self._vectors.update(zip(fresh, self._embed(fresh), strict=True))
        return float(self._vectors[first] @ self._vectors[second])

    def _value(
        self,
        name: str,
        nodes: Sequence[Any],
        root: Mapping[str, Any],
        where: str,
        question: Question,
        found: _Weights,
        depth: int,
    ) -> None:
        """Weigh what the value may be, and what is inside of it."""
        views = [view for node in nodes for view in variants(node, root)]
        views += [inner for view in views if view.get("type") == "array" for inner in variants(view.get("items"), root)]
        options = {
            value: str(view.get("title") or "")
            for view in views
            for value in ([view["const"]] if "const" in view else view.get("enum") or ())
            if isinstance(value, str)
        }
        described = _described(nodes, root)
        values = found.values.setdefault(where, {})
        for value, weight in self._options(options, _spoken(described, question), question).items():
            values[_escaped(value)] = weight
        if objects := [view for view in views if view.get("properties")]:
            item = any(view.get("type") == "array" for view in views)
            self._object({"anyOf": objects}, root, where, question, found, depth + 1, item)
        elif not options and any(_is_free_string(view) for view in views):
            for text, weight in _strings(name, described, question).items():
                values.setdefault(_escaped(text), weight)
        elif any(_is_free_string(view) for view in views):
            for text in question.names:
                values.setdefault(_escaped(text), SPELLED)

    def _options(self, options: Mapping[str, str], spoken: Mapping[str, bool], question: Question) -> dict[str, float]:
        if not options:
            return {}
        near = self._near(
            [f"{value} {title}".replace("_", " ").replace(".", " ") for value, title in options.items()], question
        )
        weights: dict[str, float] = {}
        for value, cosine in zip(options, near, strict=True):
            own = set(content_words(value))
            share = 1.0 if spoken.get(value) else len(own & question.stems) / len(own) if own else 0.0
            asked = HEAD if own & question.heads else 0.0
            weights[value] = SAID * share + asked + NEAR * max(0.0, cosine) if own else 0.0 if weights else FIRST
        return weights

    def _near(self, texts: Sequence[str], question: Question) -> list[float]:
        fresh = [text for text in dict.fromkeys([*texts, question.text]) if text not in self._vectors]
        if fresh:
            self._vectors.update(zip(fresh, self._embed(fresh), strict=True))
        asked = self._vectors[question.text]
        return [float(self._vectors[text] @ asked) for text in texts]


def _escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _described(nodes: Sequence[Any], root: Mapping[str, Any]) -> str:
    texts = [view.get("description") for node in nodes for view in variants(node, root)]
    return " ".join(dict.fromkeys(text for text in texts if isinstance(text, str)))


def _spoken(described: str, question: Question) -> dict[str, bool]:
    """Which options the question speaks for, and under "" whether it does for the key: the quoted words of a description.

    A description may list what people say: `Said as "per", "each"` for the key, `count: "how many"; sum: "total"` for options.
    """
    asked = " " + " ".join(re.findall(r"[\w-]+", question.text.lower())) + " "
    found: dict[str, bool] = {}
    for option, phrases in _SAYINGS.findall(described):
        found[option] = found.get(option, False) or any(f" {p} " in asked for p in re.findall(r'"([^"]+)"', phrases))
    return found


def _is_free_string(view: Mapping[str, Any]) -> bool:
    kind = view.get("type")
    return (kind == "string" or (isinstance(kind, list) and "string" in kind)) and "enum" not in view and "const" not in view


def _strings(name: str, described: str, question: Question) -> dict[str, float]:
    """What a free string may be, out of the question."""
    about = set(content_words(name)) | set(content_words(described)) | {name.lower()}
    if about & _QUERY:
        return {question.topic: SPELLED}
    if about & _PATHS:
        return dict.fromkeys(question.paths, SPELLED)
    return {**dict.fromkeys(question.names, SPELLED), question.topic: SPELLED / 2}
