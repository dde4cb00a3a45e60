"""Objects of one clause, as IR: declared properties in the schema's order, then others, each pair `"name":value` without
spaces.

Which names there are, and what their values must satisfy, is names.py's; how pairs follow one another is here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING

from portico_engine.grammar.ir import EMPTY, NEVER, Never, Node, alt, optional, repeat, seq, text
from portico_engine.grammar.regular.strings import json_literal
from portico_engine.grammar.schema.formula import OBJECT, Clause
from portico_engine.grammar.schema.names import PropertyConstraints, extra_pairs, failing_pairs, property_constraints, witnesses

if TYPE_CHECKING:
    from portico_engine.grammar.schema.build import Builder

_MAX_COUNTED = 4096  # states of the automaton that counts properties
_MAX_WITNESSED = 2  # `some` constraints in one object
_MAX_CANDIDATES = 24  # declared properties beside them
_INLINE_OPTIONAL = 2  # so many optional properties are spelled out; more get a chain of rules
_COMMA = text(",")


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    pair: Node
    required: bool


def object_(builder: Builder, clause: Clause, pointer: str, hint: str) -> Node:
    """`{` pairs `}`."""
    properties = property_constraints(builder, clause.of(OBJECT), pointer)
    if properties.most is not None and properties.least > properties.most:
        return builder.never(pointer, f"minProperties {properties.least} is above maxProperties {properties.most}")
    return _witnessed(builder, properties, hint)


def _witnessed(builder: Builder, properties: PropertyConstraints, hint: str) -> Node:
    """The object in every way in which its `some` constraints can be satisfied."""
    if not properties.some:
        return _pairs(builder, properties, hint)
    if len(properties.some) > _MAX_WITNESSED or len(properties.declared) > _MAX_CANDIDATES:
        for constraint in properties.some:
            builder.loosen(constraint.pointer, "not", "objects none of whose other properties fails it, too")
        return _pairs(builder, replace(properties, some=[]), hint)
    return alt(*(_witnessed(builder, way, hint) for way in witnesses(properties, properties.some[0])))


def _pairs(builder: Builder, properties: PropertyConstraints, hint: str) -> Node:
    pointer = properties.pointer
    entries: list[_Entry] = []
    for name, goal in properties.declared.items():
        required = name in properties.required
        value = builder.goal(goal, f"{hint}/{name}")
        if isinstance(value, Never):
            if required:
                return builder.never(pointer, f"the required property {json_literal(name)} can't have any value")
            continue
        entries.append(_Entry(name, seq(text(f"{json_literal(name)}:"), value), required))
    missing = [name for name in properties.required if name not in properties.declared]
    if missing:
        return builder.never(pointer, f"the required property {json_literal(missing[0])} is forbidden by another keyword")
    extra, high = extra_pairs(builder, properties, hint)
    if not properties.failing:
        return _assemble(builder, properties, entries, extra, high, pointer, hint)
    # Each is one more declared property, whose name is not fixed; other undeclared ones may stand before and after it.
    free = properties.least <= 1 and properties.most is None
    before = repeat(seq(extra, _COMMA), 0, high) if free else EMPTY
    ways = failing_pairs(builder, properties, hint)
    return alt(
        *(
            _assemble(
                builder,
                properties,
                [*entries, *(_Entry("", seq(before, pair), True) for pair in way)],
                extra,
                high,
                pointer,
                hint,
            )
            for way in ways
        )
    )


def _assemble(
    builder: Builder,
    properties: PropertyConstraints,
    entries: list[_Entry],
    extra: Node,
    high: int | None,
    pointer: str,
    hint: str,
) -> Node:
    """The pairs under minProperties and maxProperties."""
    required = sum(entry.required for entry in entries)
    least, most = properties.least, properties.most
    if isinstance(extra, Never):
        high = 0
    room = None if high is None else len(entries) + high
    if most is not None and required > most:
        return builder.never(pointer, f"{required} properties are required, but maxProperties is {most}")
    if room is not None and least > room:
        return builder.never(pointer, f"minProperties is {least}, but only {room} properties can be there")
    counted = least > required or (most is not None and (room is None or most < room))
    if counted and least > len(entries) + 1:
        builder.loosen(f"{pointer}/minProperties", "minProperties", "a property written twice counts twice")
    if counted and (len(entries) + 1) * (max(least, most or 0) + 2) > _MAX_COUNTED:
        builder.loosen(f"{pointer}/minProperties", "minProperties", "any number of properties")
        counted = False
    if counted:
        body = _Counted(builder, entries, extra, high, least, most, hint).whole()
    elif required:
        body = _anchored(entries, extra, high)
    else:
        body = _chain(builder, entries, extra, high, hint)
    return NEVER if isinstance(body, Never) else seq(text("{"), body, text("}"))


def _anchored(entries: list[_Entry], extra: Node, high: int | None) -> Node:
    """Where a property is required, what stands before it brings its comma after, and what follows its comma before."""
    anchor = next(i for i, entry in enumerate(entries) if entry.required)
    parts: list[Node] = [optional(seq(entry.pair, _COMMA)) for entry in entries[:anchor]]
    parts.append(entries[anchor].pair)
    for entry in entries[anchor + 1 :]:
        pair = seq(_COMMA, entry.pair)
        parts.append(pair if entry.required else optional(pair))
    parts.append(repeat(seq(_COMMA, extra), 0, high))
    return seq(*parts)


def _chain(builder: Builder, entries: list[_Entry], extra: Node, high: int | None, hint: str) -> Node:
    """All optional: one alternative for each first pair, sharing what may follow it."""
    tail = repeat(seq(_COMMA, extra), 0, high)
    options: list[Node] = [EMPTY]
    if high != 0 and not isinstance(extra, Never):
        options.append(seq(extra, repeat(seq(_COMMA, extra), 0, None if high is None else high - 1)))
    for index in range(len(entries) - 1, -1, -1):
        options.append(seq(entries[index].pair, tail))
        tail = seq(optional(seq(_COMMA, entries[index].pair)), tail)
        if index and len(entries) > _INLINE_OPTIONAL:
            tail = builder.rule(f"{hint}/then", tail)
    return alt(*reversed(options))


class _Counted:
    """minProperties and maxProperties in force: states are (entries decided, properties written)."""

    def __init__(
        self, builder: Builder, entries: list[_Entry], extra: Node, high: int | None, least: int, most: int | None, hint: str
    ) -> None:
        self.builder, self.entries, self.extra, self.high = builder, entries, extra, high
        self.least, self.most, self.hint = least, most, hint
        self.cap = max(least, (most or 0) + 1, 1)
        self.required_before = [0, *accumulate(entry.required for entry in entries)]  # each entry, and at the end
        self.made: dict[tuple[int, int], Node] = {}

    def whole(self) -> Node:
        """From the last entry to the first: each state refers to states of the next entry."""
        for index in range(len(self.entries), 0, -1):
            for count in range(min(self.required_before[index], self.cap), min(index, self.cap) + 1):
                self.state(index, count)
        return self.state(0, 0)

    def state(self, index: int, count: int) -> Node:
        count = min(count, self.cap)
        key = (index, count)
        if key in self.made:
            return self.made[key]
        node = self._end(count) if index == len(self.entries) else self._step(index, count)
        self.made[key] = self.builder.rule(f"{self.hint}/counted", node)
        self.builder.meter.count(4)
        return self.made[key]

    def _step(self, index: int, count: int) -> Node:
        entry = self.entries[index]
        required_left = self.required_before[-1] - self.required_before[index]
        if self.most is not None and count + required_left > self.most:
            return NEVER
        taken = seq(_COMMA if count else EMPTY, entry.pair, self.state(index + 1, count + 1))
        return taken if entry.required else alt(taken, self.state(index + 1, count))

    def _end(self, count: int) -> Node:
        low = max(self.least - count, 0)
        high = self.high
        if self.most is not None:
            left = self.most - count
            if left < 0:
                return NEVER
            high = left if high is None else min(high, left)
        if high is not None and low > high:
            return NEVER
        if high == 0:
            return EMPTY
        if count:
            return repeat(seq(_COMMA, self.extra), low, high)
        if isinstance(self.extra, Never):
            return NEVER if low else EMPTY
        some = seq(self.extra, repeat(seq(_COMMA, self.extra), max(low - 1, 0), None if high is None else high - 1))
        return some if low else optional(some)
