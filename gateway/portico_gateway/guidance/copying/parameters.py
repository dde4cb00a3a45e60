"""A tool's arguments as a list of parameters: every leaf of its schema that a call fills in, with what its definition says.

It reads JSON Schemas and knows no question. Objects with several forms are left alone: `alternatives.py` weighs them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Literal

from portico_engine import Tool
from portico_engine.grammar import ArgumentChecker
from portico_gateway.guidance.copying.parameter_words import asked_shape
from portico_gateway.guidance.copying.text.span import SpanKind
from portico_gateway.guidance.description_convention import StringRole, string_role
from portico_gateway.guidance.schema_views import MAX_DEPTH, description_of, variants
from portico_gateway.guidance.stemming import spaced, stems_of

JsonType = Literal["string", "integer", "number", "boolean", "array", "object", "null"]
ABOUT_CHARACTERS = 160
_SCHEMAS_KEPT = 512
_LONGEST_KEPT = 1 << 15  # characters of a schema: what anybody sends takes no more memory than that
_TAKEN_KEPT = 256  # values of one parameter of which it is known whether they are valid
_ABBREVIATION = 4  # characters at least
_PLAIN = frozenset(
    ("type", "description", "title", "default", "examples", "enum", "const", "items", "properties", "required", "$root")
)
_ROOTS = ("$defs", "definitions", "$schema")
_DEFAULT = re.compile(
    r"\bdefault(?:s|ed)?(?:\s+(?:value|to|is|of|will be))*\s*[:=]?\s*"
    r"(?:'([^']*)'|\"([^\"]*)\"|`([^`]*)`|(-?\d+(?:\.\d+)?|true|false)\b)",
    re.IGNORECASE,
)
_LISTED = re.compile(r"(?:'([^'\n]{1,60})'|\"([^\"\n]{1,60})\"|`([^`\n]{1,60})`)")


@dataclass(frozen=True)
class Parameter:
    """One leaf. `path` as priors name it ("filters.value", arrays don't count); `keys` are the properties that lead to it."""

    keys: tuple[str, ...]
    views: tuple[Mapping[str, Any], ...] = field(compare=False, repr=False)
    required: bool = True  # and all objects around it are, too
    list_at: tuple[str, ...] = ()  # the keys of the array in whose items it lies
    root: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)  # the tool's schema

    @property
    def repeated(self) -> bool:
        return bool(self.list_at)

    @property
    def path(self) -> str:
        return ".".join(self.keys)

    @cached_property
    def types(self) -> frozenset[str]:
        """JSON types that it may have; empty: any."""
        found: set[str] = set()
        for view in self.views:
            kind = view.get("type")
            found.update(kind if isinstance(kind, list) else [kind] if isinstance(kind, str) else [])
        return frozenset(found)

    @cached_property
    def numeric(self) -> bool:
        return bool(self.types & {"integer", "number"})

    @cached_property
    def name(self) -> str:
        return spaced(self.keys[-1])

    @cached_property
    def description(self) -> str:
        return description_of(self.views)

    @cached_property
    def options(self) -> tuple[Any, ...]:
        """What the schema lists."""
        return tuple(
            v for view in self.views for v in ([view["const"]] if "const" in view else view.get("enum") or ()) if v is not None
        )

    @cached_property
    def items(self) -> tuple[Mapping[str, Any], ...]:
        """Of an array, what its items may be."""
        return tuple(
            item
            for view in self.views
            if view.get("type") == "array"
            for item in variants(view.get("items", {}), view.get("$root", {}))
        )

    @cached_property
    def default(self) -> Any:
        """The schema's, or the one that the description names; None where there is none."""
        for view in self.views:
            if view.get("default") is not None:
                return view["default"]
        match = _DEFAULT.search(self.description)
        if match is None:
            return None
        return _of_type(next(group for group in match.groups() if group is not None), self.types)

    @cached_property
    def listed(self) -> tuple[str, ...]:
        """What the description puts in quotation marks: examples, and often all that it may be."""
        return tuple(dict.fromkeys(next(g for g in groups if g) for groups in _LISTED.findall(self.description) if any(groups)))

    @cached_property
    def about(self) -> str:
        """Its name and the beginning of its description, in words."""
        return f"{self.name} {self.description[:ABOUT_CHARACTERS]}"

    @cached_property
    def asked_shape(self) -> SpanKind | None:
        """The shape that its words ask for."""
        return asked_shape(self.name, self.description)

    @cached_property
    def name_stems(self) -> frozenset[str]:
        return frozenset(stems_of(self.name))

    @cached_property
    def description_words(self) -> frozenset[str]:
        return frozenset(re.findall(r"[a-z-]+", self.description.lower()))

    @cached_property
    def description_stems(self) -> frozenset[str]:
        return frozenset(stems_of(self.description)) - self.name_stems

    def is_named(self, stem: str) -> bool:
        """Is it a word of the name, or one that the name is short for: `repo_path` and "repository"?"""
        return stem in self.name_stems or stem.startswith(self._short_stems)

    @cached_property
    def _short_stems(self) -> tuple[str, ...]:
        return tuple(own for own in self.name_stems if len(own) >= _ABBREVIATION)

    @cached_property
    def searches(self) -> bool:
        """Is it what a search is about?"""
        return string_role(self.keys[-1], self.description) is StringRole.QUERY

    def takes(self, value: Any) -> bool:
        """Is a value of its type valid? A schema that says nothing beyond the type is the filler's affair."""
        if self._checker is None:
            return True
        if isinstance(value, list | dict):
            return not self._checker.violations(value)
        key = (type(value), value)
        if (known := self._taken.get(key)) is None:
            if len(self._taken) >= _TAKEN_KEPT:
                self._taken.clear()
            known = self._taken[key] = not self._checker.violations(value)
        return known

    @cached_property
    def _taken(self) -> dict[tuple[type, Any], bool]:
        """Of single values, whether they are valid."""
        return {}

    @cached_property
    def _checker(self) -> ArgumentChecker | None:
        if all(set(view) <= _PLAIN for view in self.views) and not any(set(item) - _PLAIN for item in self.items):
            return None
        roots = {key: self.root[key] for key in _ROOTS if key in self.root}
        return ArgumentChecker({**roots, "anyOf": [{k: v for k, v in view.items() if k != "$root"} for view in self.views]})


class SchemaReading:
    """What is read in a tool's schema, once for as long as it is asked about."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.parameters = tuple(parameters_of(schema))
        self.has_alternatives = has_alternatives(schema, schema)
        self.searches = any(p.searches for p in self.parameters if p.required)  # it needs to be told what to look for
        self.named = Counter(stem for p in self.parameters for stem in p.name_stems)
        self.described = Counter(stem for p in self.parameters for stem in p.name_stems | p.description_stems)
        self.name_stems = frozenset(self.named)


@dataclass(frozen=True, slots=True)
class _Schema:
    """Hashed by its text."""

    text: str
    schema: Mapping[str, Any] = field(compare=False)


def read_schema(tool: Tool) -> SchemaReading:
    """Of a tool; schemas are told apart by their text, with their keys in order."""
    try:
        text = tool.schema_text
    except (ValueError, RecursionError):  # a number of thousands of digits, or too deep for a text
        return SchemaReading(tool.parameters)
    return _read(_Schema(text, tool.parameters)) if len(text) <= _LONGEST_KEPT else SchemaReading(tool.parameters)


@lru_cache(maxsize=_SCHEMAS_KEPT)
def _read(of: _Schema) -> SchemaReading:
    return SchemaReading(of.schema)


def _of_type(text: str, types: frozenset[str]) -> Any:
    if "boolean" in types and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if types & {"integer", "number"} and re.fullmatch(r"-?\d+(?:\.\d+)?", text):
        return float(text) if "." in text else int(text)
    return text if "string" in types and text else None


def parameters_of(schema: Mapping[str, Any]) -> list[Parameter]:
    """The leaves of a tool's schema, in its own order; those below an object with several forms are not among them."""
    return list(_leaves(schema, schema, (), required=True, list_at=()))


def _leaves(
    schema: Any, root: Mapping[str, Any], keys: tuple[str, ...], *, required: bool, list_at: tuple[str, ...]
) -> Iterator[Parameter]:
    views = [view for view in variants(schema, root) if view.get("properties")]
    if len(views) != 1 or len(keys) > MAX_DEPTH:
        return
    needed = set(views[0].get("required") or ())
    for name, node in views[0]["properties"].items():
        if not isinstance(node, Mapping):
            continue
        of = [v for v in variants(node, root) if v.get("type") != "null"]
        inner = [v for v in of if v.get("properties")]
        items = [
            item
            for v in of
            if v.get("type") == "array"
            for item in variants(v.get("items", {}), root)
            if item.get("properties")
        ]
        here, must = (*keys, name), required and name in needed
        if inner and len(of) == 1:
            yield from _leaves(node, root, here, required=must, list_at=list_at)
        elif items and len(of) == 1:
            yield from _leaves(of[0]["items"], root, here, required=must, list_at=here)
        else:
            yield Parameter(here, tuple(_rooted(of, root)), must, list_at, root)


def _rooted(views: Sequence[Mapping[str, Any]], root: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for view in views:
        yield {**view, "$root": root} if view.get("type") == "array" else view


def has_alternatives(schema: Any, root: Mapping[str, Any], depth: int = 0) -> bool:
    """Is there an object of several forms, or a list of objects, below: what `alternatives.py` weighs as a whole?"""
    views = [view for view in variants(schema, root) if view.get("properties")]
    if len(views) != 1 or depth > MAX_DEPTH:
        return len(views) > 1
    for node in views[0]["properties"].values():
        of = variants(node, root)
        if any(item.get("properties") for v in of if v.get("type") == "array" for item in variants(v.get("items", {}), root)):
            return True
        if any(v.get("properties") for v in of) and has_alternatives(node, root, depth + 1):
            return True
    return False
