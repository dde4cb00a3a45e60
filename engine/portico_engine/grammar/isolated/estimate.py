"""Is a source so small that it is compiled, or a value so small that it is checked, where one stands? What real tools write is;
what isn't sure goes to a worker.

An estimate, in time linear in the source up to its bounds. It counts what a schema comes to with its references written out,
and looks for the words that make a small schema dear: large counts, lookaround, wide combinations.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from portico_engine.tool import Tool

_KEPT = 1_024  # tools of which it is known
_NODES = 4_000  # values of a schema
_TEXT = 60_000  # characters of its strings
_EXPANDED = 20_000  # values with references written out
_DEEP = 40  # levels
_COUNT = 1_024  # of a length, an index, a repetition
_COMBINED = 96  # branches of anyOf, oneOf, allOf and the like
_PATTERN = 300  # characters
_PATTERNS = 24  # names and strings that are under one
_MEETING = 4  # patternProperties of one object, which meet in products of states
_GRAMMAR = 20_000  # characters of GBNF
_COUNTS = frozenset(
    "minLength maxLength minItems maxItems minProperties maxProperties minContains maxContains".split(),
)
_COMBINING = frozenset({"allOf", "anyOf", "oneOf"})
_DEAR = frozenset(
    {"not", "if", "contains", "dependentSchemas", "dependencies", "propertyNames", "$dynamicRef", "$recursiveRef"}
)
_CHECKED = 4_000  # values of a schema, written out, times those of what is checked: some 20 ms
_CHARACTERS = 32  # of a text that is checked, for one value
_REPEATED = re.compile(r"\{(\d+)(?:,(\d*))?\}")


def is_small_schema(schema: Any) -> bool:
    """Surely compiled, and closed, in some milliseconds."""
    if isinstance(schema, bool):
        return True
    return isinstance(schema, dict) and _Estimate(schema).small()


def is_small_check(schema: Any, value: Any) -> bool:
    """Surely known in some milliseconds whether the value satisfies the schema."""
    if isinstance(schema, bool):
        return True
    if not isinstance(schema, dict):
        return False
    estimate = _Estimate(schema)
    return estimate.small() and estimate.written_out() * _size(value) <= _CHECKED


def _size(value: Any) -> int:
    """Of a value, its texts by their lengths; counted no further than to _CHECKED."""
    size, todo = 0, [value]
    while todo and size <= _CHECKED:
        one = todo.pop()
        size += 1
        if isinstance(one, dict):
            size += sum(map(len, one)) // _CHARACTERS
            todo += one.values()
        elif isinstance(one, list):
            todo += one
        elif isinstance(one, str):
            size += len(one) // _CHARACTERS
    return size


def is_small_gbnf(text: str) -> bool:
    """A short grammar whose repetitions, multiplied, stay small."""
    if len(text) > _GRAMMAR:
        return False
    return _repetitions(text) <= _COUNT


def is_small_tool(tool: Tool) -> bool:
    """A tool whose arguments are; a text's own definition is a grammar that anybody wrote, and never surely small."""
    if tool.text_input is not None and tool.text_input.syntax != "any":
        return False
    try:
        text = tool.schema_text
    except (ValueError, RecursionError):
        return False
    return _is_small(_Written(text, tool.parameters)) if len(text) <= _TEXT else is_small_schema(tool.parameters)


@dataclass(frozen=True, slots=True)
class _Written:
    """A schema, known by its text."""

    text: str
    schema: Any = field(compare=False)


@lru_cache(maxsize=_KEPT)
def _is_small(of: _Written) -> bool:
    return is_small_schema(of.schema)


def _repetitions(text: str) -> int:
    """All counts of a text, multiplied: what they could come to inside each other."""
    total = 1
    for low, high in _REPEATED.findall(text):
        if len(low) > 6 or len(high) > 6:
            return 1 << 40
        total *= max(int(low), int(high or 0), 1)
        if total > 1 << 40:
            break
    return total


class _Estimate:
    def __init__(self, schema: dict[str, Any]) -> None:
        self.schema = schema
        self.text = 0
        self.combined = 0
        self.patterns = 0
        self.targets: dict[str, list[str]] = {}
        self.own: dict[str, int] = {}

    def small(self) -> bool:
        if not self._part("#", self.schema):
            return False
        todo = [reference for references in self.targets.values() for reference in references]
        while todo:
            reference = todo.pop()
            if reference in self.own:
                continue
            found, target = self._target(reference)
            if not found:
                continue  # dead: the compiler says so
            if not self._part(reference, target):
                return False
            todo += self.targets[reference]
        return self.written_out() <= _EXPANDED

    def written_out(self) -> int:
        """How many values the schema has with its references written out, once `small` has counted them."""
        return self._expanded("#", ())

    def _target(self, reference: str) -> tuple[bool, Any]:
        at: Any = self.schema
        for step in reference.split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(at, dict) or key not in at:
                return False, None
            at = at[key]
        return True, at

    def _part(self, name: str, schema: Any) -> bool:
        """Count a schema without what it refers to."""
        references = self.targets[name] = []
        nodes = 0
        level: list[tuple[str, Any]] = [("", schema)]
        for _ in range(_DEEP):
            below: list[tuple[str, Any]] = []
            for key, value in level:
                nodes += 1
                if isinstance(value, dict | list) and nodes + len(below) + len(value) > _NODES:
                    return False
                if isinstance(value, dict):
                    if name == "#" and key in ("$defs", "definitions"):
                        continue  # counted where something refers to it
                    if not self._looks_at(value, references):
                        return False
                    below += value.items()
                elif isinstance(value, list):
                    below += [("", item) for item in value]
                elif isinstance(value, str):
                    self.text += len(value)
                elif isinstance(value, int) and abs(value).bit_length() > 256:
                    return False
                if nodes + len(below) > _NODES or self.text > _TEXT:
                    return False
            if not below:
                self.own[name] = nodes
                return True
            level = below
        return False

    def _looks_at(self, value: dict[str, Any], references: list[str]) -> bool:
        for key, item in value.items():
            self.text += len(key)
            if key in _COUNTS and isinstance(item, int | float) and item > _COUNT:
                return False
            if key in _COMBINING and isinstance(item, list):
                self.combined += len(item)
            elif key in _DEAR and isinstance(item, dict):
                self.combined += 12
            elif key == "pattern" and isinstance(item, str) and not self._pattern(item):
                return False
            elif key == "format" and isinstance(item, str):
                self.patterns += 1
                if self.combined and self.patterns > 4:
                    return False
            elif key == "patternProperties" and isinstance(item, dict):
                if len(item) > _MEETING or not all(map(self._pattern, item)):
                    return False
            elif key == "$ref" and isinstance(item, str):
                if not item.startswith("#"):
                    return False
                references.append(item)
        return self.combined <= _COMBINED

    def _pattern(self, pattern: str) -> bool:
        self.patterns += 1
        unanchored = not pattern.startswith("^") and ("{" in pattern or self.patterns > 2)  # they meet in products of states
        if unanchored or self.patterns > _PATTERNS or (self.combined and self.patterns > 4):
            return False
        if len(pattern) > _PATTERN or _repetitions(pattern) > _COUNT:
            return False
        return not any(mark in pattern for mark in ("(?=", "(?!", "(?<", "\\p", "\\P", "\\k", "\\b", "\\B"))

    def _expanded(self, name: str, path: tuple[str, ...]) -> int:
        """Values of a part with its references written out; recursion is counted once."""
        sizes: dict[str, int] = {}

        def size(name: str, open_: frozenset[str]) -> int:
            if name in open_ or name not in self.own:
                return 1
            if name in sizes:
                return sizes[name]
            if len(open_) > _DEEP:
                return _EXPANDED + 1
            total = self.own[name]
            for reference in self.targets[name]:
                total += size(reference, open_ | {name})
                if total > _EXPANDED:
                    return total
            sizes[name] = total
            return total

        return size(name, frozenset(path))
