"""The copy grammar: a tool whose free strings and numbers may only be what a question says, and a prior over what is left.

The narrowed schema is the tool's own with an overlay of `enum`s beside it (`allOf`), so whatever satisfies it satisfies the
tool's. Where nothing of the question fits a required value, that value stays as free as its schema, and is named. It knows
schemas and filled parameters, no question.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from portico_engine import CallPrior, Tool
from portico_gateway.guidance.copying.parameters import Parameter
from portico_gateway.guidance.copying.text.span import Span
from portico_gateway.guidance.copying.value_assignment import Filled
from portico_gateway.guidance.copying.values.copied_value import CopiedValue
from portico_gateway.guidance.weights import CopyWeights, KeyWeights

NO_BELIEFS = CallPrior()
_json = json.JSONEncoder().encode
_plain_json = json.JSONEncoder(ensure_ascii=False).encode
_CURSOR = "cursor"


class UsedSpan(NamedTuple):
    """A span, and the parameter that it is."""

    span: Span
    parameter: Parameter


@dataclass(frozen=True, slots=True)
class NarrowedTool:
    """A tool that copies. `free`: paths of required values that nothing in the question fits."""

    tool: Tool
    prior: CallPrior
    free: tuple[str, ...] = ()
    used: tuple[UsedSpan, ...] = ()  # of the question, what its best values take
    unsaid: int = 0  # required values that the schema lists, none of which is said
    searches: bool = False  # it needs to be told what to look for
    in_words: bool = False  # its alternatives are weighed against every word of the question


@dataclass(slots=True)
class _Overlay:
    schema: dict[str, Any] = field(default_factory=dict)

    def at(self, parameter: Parameter, node: Any, lists: frozenset[tuple[str, ...]]) -> None:
        """Put a node at a parameter's place; `lists` are the keys whose objects stand in an array."""
        here = self.schema
        for depth, key in enumerate(parameter.keys):
            properties = here.setdefault("properties", {})
            if depth == len(parameter.keys) - 1:
                properties[key] = node
                return
            here = properties.setdefault(key, {})
            if parameter.keys[: depth + 1] in lists:
                here = here.setdefault("items", {})


def narrow(
    tool: Tool, filled: Sequence[Filled], weights: CopyWeights, keys: KeyWeights, believed: CallPrior = NO_BELIEFS
) -> NarrowedTool:
    """The tool as the question leaves it, and the weights of what it may still say. What else is `believed` of its keys and
    listed values is joined to them: of two weights the larger."""
    overlay = _Overlay()
    used = tuple(UsedSpan(v.span, of.parameter) for of in filled if of.written for v in of.values[:1] if v.span is not None)
    lists = frozenset(path for of in filled if of.parameter.list_at for path in [of.parameter.list_at])
    draft = _PriorDraft(keys)
    copied: set[str] = set()
    free: list[str] = []
    for of in filled:
        parameter = of.parameter
        values = _apart(of, _allowed(of, weights), used)
        draft.add(of, values)
        if values:
            overlay.at(parameter, {"enum": [v.value for v in values]}, lists)
            copied.add(parameter.path)
        elif not parameter.required and not parameter.options and "boolean" not in parameter.types:
            overlay.at(parameter, False, lists)
        elif not parameter.options and parameter.types != {"boolean"}:
            free.append(parameter.path)
    parameters = _with_overlay(tool.parameters, overlay.schema)
    narrowed = Tool(tool.name, tool.description, parameters)
    prior = _joined(draft.prior(), believed, copied)
    searches = any(of.parameter.searches for of in filled if of.parameter.required)
    return NarrowedTool(narrowed, prior, tuple(free), used, sum(map(_is_unsaid, filled)), searches)


def without_unsaid_filters(tool: Tool, narrowed: NarrowedTool) -> Tool:
    """The tool without the optional strings that only narrow its answer down, a path or a kind, where the question says none;
    and without a cursor, which only an earlier answer can give. A filter is what is the empty string by default."""
    if narrowed.tool is tool:
        return tool
    overlay = (narrowed.tool.parameters.get("allOf") or [{}])[-1].get("properties") or {}
    properties = tool.parameters.get("properties") or {}
    unsaid = {
        key: node for key, node in overlay.items() if node is False and (key == _CURSOR or properties[key].get("default") == "")
    }
    return replace(tool, parameters=_with_overlay(tool.parameters, {"properties": unsaid})) if unsaid else tool


def _joined(first: CallPrior, second: CallPrior, copied: Set[str]) -> CallPrior:
    """Both: keys in the first one's order; of what is `copied` (paths) the first one's values alone."""

    def larger(
        ours: Mapping[str, Mapping[str, float]],
        theirs: Mapping[str, Mapping[str, float]],
        without: Set[str] = frozenset(),
    ) -> dict[str, dict[str, float]]:
        out = {path: dict(weights) for path, weights in ours.items()}
        for path, weights in theirs.items():
            if path in without:
                continue
            known = out.setdefault(path, {})
            for name, weight in weights.items():
                known[name] = max(known.get(name, weight), weight)
        return out

    return CallPrior(
        larger(first.keys, second.keys),
        larger(first.values, second.values, copied),
        larger(first.bare, second.bare, copied),
        {**second.items, **first.items},
        {**second.then, **first.then},
    )


def _with_overlay(schema: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    return {**schema, "allOf": [*(schema.get("allOf") or ()), overlay]} if overlay else dict(schema)


def _allowed(of: Filled, weights: CopyWeights) -> list[CopiedValue]:
    """The values that the grammar leaves: near the best, valid for the schema, and none twice; none for listed options, which
    the schema has already."""
    parameter = of.parameter
    if parameter.options or parameter.types == {"boolean"} or not of.values:
        return []
    if not of.written and (parameter.required or of.values[0].evidence < weights.least_optional / 2):
        return []
    best = of.values[0]
    most = 1 if isinstance(best.value, list | dict) else weights.most_values
    found: dict[str, CopiedValue] = {}
    for value in of.values:
        if (
            len(found) < most
            and (value is best or value.weight > best.weight - weights.spread)
            and parameter.takes(value.value)
        ):
            found.setdefault(_json(value.value), value)
    return list(found.values())


def _is_unsaid(of: Filled) -> bool:
    parameter = of.parameter
    open_choice = parameter.required and len(parameter.options) > 1 and parameter.default is None
    return open_choice and not any(value.evidence > 0 for value in of.values)


def _apart(of: Filled, values: Sequence[CopiedValue], used: Sequence[UsedSpan]) -> list[CopiedValue]:
    """Without what another parameter takes: a question says a thing once. What stands first stays."""
    taken = {(u.span.start, u.span.end) for u in used if u.parameter is not of.parameter}
    return [v for v in values if v is values[0] or v.span is None or (v.span.start, v.span.end) not in taken]


class _PriorDraft:
    """The prior, path by path. The keys of an object stand in its schema's order."""

    def __init__(self, weights: KeyWeights) -> None:
        self._weights = weights
        self.keys: dict[str, dict[str, float]] = {}
        self.values: dict[str, dict[str, float]] = {}
        self.bare: dict[str, dict[str, float]] = {}
        self.items: dict[str, list[CallPrior]] = {}

    def add(self, of: Filled, values: Sequence[CopiedValue]) -> None:
        parameter = of.parameter
        for depth, key in enumerate(parameter.keys):
            above = ".".join(parameter.keys[:depth])
            weight = 0.0 if parameter.required else self._weights.spoken_for if of.written else self._weights.optional
            known = self.keys.setdefault(above, {})
            known[key] = max(known.get(key, weight), weight)
        offered = values or (of.values if parameter.options or parameter.types == {"boolean"} else ())
        for rank, value in enumerate(offered):
            self._weigh(parameter.path, value, of.values[0].weight if of.written and rank == 0 else value.weight)

    def _weigh(self, path: str, value: CopiedValue, weight: float) -> None:
        match value.value:
            case str():
                self.values.setdefault(path, {})[_plain_json(value.value)[1:-1]] = weight
            case list():
                self.items[path] = [CallPrior()] * len(value.value)
            case dict():
                pass
            case _:
                self.bare.setdefault(path, {})[_json(value.value)] = weight

    def prior(self) -> CallPrior:
        return CallPrior(self.keys, self.values, self.bare, self.items)
