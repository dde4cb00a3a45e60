"""Goal -> rules: what a value must satisfy, as IR. One rule for each goal, so that recursion ends where a goal comes again.

The rooms beside it build one type each: scalars.py, arrays.py, objects.py. What they share is `Builder`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from portico_engine.grammar.bounds import Bounds, Limits, Meter
from portico_engine.grammar.compiled import DefaultBound, Loosened
from portico_engine.grammar.ir import NEVER, Never, Node, Ref, Repeat, Seq, Text, alt, text
from portico_engine.grammar.schema import arrays, objects, scalars
from portico_engine.grammar.schema.document import SchemaDocument
from portico_engine.grammar.schema.expand import Expander
from portico_engine.grammar.schema.formula import (
    ARRAY,
    BOOLEAN,
    FRACTION,
    INTEGER,
    NULL,
    OBJECT,
    STRING,
    AllOf,
    AnyOf,
    Atom,
    Case,
    Goal,
    TooManyCases,
    normal_form,
)
from portico_engine.grammar.schema.values import atom_holds, type_of
from portico_engine.grammar.strings import is_text, json_literal

_INLINE = 3  # nodes: a value no larger is written where it stands instead of becoming a rule
_ORDER = (STRING, INTEGER, FRACTION, BOOLEAN, NULL, ARRAY, OBJECT)


class Builder:
    """One compilation: its rules so far, what it loosened, and why goals were found empty."""

    def __init__(
        self, document: SchemaDocument, *, tool: str, prefix: str, bounds: Bounds | None, limits: Limits, meter: Meter
    ) -> None:
        self.document = document
        self.tool = tool
        self.prefix = prefix
        self.bounds = bounds
        self.limits = limits
        self.meter = meter
        self.expander = Expander(document, self.loosen)
        self.rules: dict[str, Node] = {}
        self.loosened: dict[tuple[str, str], Loosened] = {}
        self.bounded: dict[tuple[str, str], DefaultBound] = {}
        self.dead: dict[str, str] = {}  # pointer -> why nothing satisfies it
        self._goals: dict[frozenset[tuple[int, bool]], Node] = {}
        self._names: set[str] = set()
        self._open: set[str] = set()  # goals in the making
        self._recursive: set[str] = set()  # of them, those met again

    # --- reports -----------------------------------------------------------------------------------------------------------

    def loosen(self, pointer: str, keyword: str, what: str) -> None:
        self.loosened.setdefault((pointer, keyword), Loosened(self.tool, pointer, keyword, what))

    def bound(self, pointer: str, kind: Any, value: int) -> None:
        self.bounded.setdefault((pointer, kind), DefaultBound(self.tool, pointer, kind, value))

    def never(self, pointer: str, reason: str) -> Node:
        """Note why a goal is empty."""
        self.dead.setdefault(pointer, reason)
        return NEVER

    # --- rules -------------------------------------------------------------------------------------------------------------

    def new_name(self, hint: str) -> str:
        """A fresh rule name that says where it comes from."""
        words = [
            word for word in re.split(r"[^a-zA-Z0-9]+", hint) if word and word not in ("properties", "defs", "definitions")
        ]
        base = self.prefix + "-".join(words[-3:])[-40:].strip("-").lower() if words else self.prefix + "value"
        if not base[0].isalpha():
            base = f"r-{base}"
        name, number = base, 1
        while name in self._names:
            number += 1
            name = f"{base}-{number}"
        self._names.add(name)
        return name

    def rule(self, hint: str, node: Node) -> Node:
        """A helper rule for `node`, unless it is small."""
        if size(node, _INLINE) <= _INLINE:
            return node
        name = self.new_name(hint)
        self.rules[name] = node
        self.meter.count(size(node))
        return Ref(name)

    def goal(self, goal: Goal, hint: str) -> Node:
        """The values that satisfy every part of `goal`, as a reference or as a small node; NEVER where there surely are
        none."""
        key = frozenset((id(node), positive) for node, positive in goal)
        known = self._goals.get(key)
        if known is not None:
            if isinstance(known, Ref) and known.name in self._open:
                self._recursive.add(known.name)
            return known
        name = self.new_name(hint)
        self._goals[key] = Ref(name)
        self._open.add(name)
        pointer = goal[0][0].pointer if goal else ""
        node = self._cases(self.cases(goal), pointer, hint)
        self._open.discard(name)
        self.meter.count(size(node))
        if isinstance(node, Never):
            self.never(pointer, "its keywords exclude each other")
        if size(node, _INLINE) <= _INLINE and name not in self._recursive:
            self._names.discard(name)
            self._goals[key] = node
            return node
        self.rules[name] = node
        return Ref(name)

    def cases(self, goal: Goal) -> list[Case]:
        """The goal's normal form; a disjunction that makes it too large is dropped, and reported."""
        formula = AllOf(tuple(self.expander.formula(sub) for sub in goal))
        dropped: frozenset[AnyOf] = frozenset()
        while True:
            self.meter.check_time()
            try:
                return normal_form(formula, self.limits.cases, dropped)
            except TooManyCases as error:
                self.loosen(error.at.pointer, error.at.keyword or "anyOf", "any branch, as if the keyword were not there")
                dropped |= {error.at}

    def _cases(self, cases: Iterable[Case], pointer: str, hint: str) -> Node:
        out: list[Node] = []
        for case in cases:
            listed = [atom for atom in case.atoms if atom.kind == "in"]
            if listed:
                out.append(self._listed(case, listed, pointer))
                continue
            out.extend(self._typed(case, pointer, hint))
        return alt(*out)

    def _typed(self, case: Case, pointer: str, hint: str) -> Iterable[Node]:
        types = set(case.types)
        if FRACTION in types:
            yield scalars.number(self, case, pointer, whole=INTEGER in types)
            types -= {INTEGER, FRACTION}
        for type_ in _ORDER:
            if type_ in types:
                yield _BUILDERS[type_](self, case, pointer, hint)

    def _listed(self, case: Case, listed: list[Atom], pointer: str) -> Node:
        """The values of an enum or const that satisfy everything else."""
        first = min(listed, key=lambda atom: len(atom.value))
        rest = [atom for atom in case.atoms if atom is not first]
        kept = [v for v in first.value if type_of(v) in case.types and all(atom_holds(self.expander, atom, v) for atom in rest)]
        self.meter.count(len(kept))
        if not kept:
            return self.never(first.pointer, "none of the listed values satisfies the other keywords")
        texts = [literal for value in kept if is_text(literal := json_literal(value))]
        if not texts:
            return self.never(first.pointer, "the listed values hold lone surrogates, which no text can")
        return alt(*map(text, texts))


_BUILDERS: dict[str, Callable[[Builder, Case, str, str], Node]] = {
    STRING: scalars.string,
    INTEGER: scalars.integer,
    BOOLEAN: scalars.boolean,
    NULL: scalars.null,
    ARRAY: arrays.array,
    OBJECT: objects.object_,
}


def size(node: Node, enough: int | None = None) -> int:
    """Nodes in a tree; stops counting a little past `enough`."""
    total, stack = 0, [node]
    while stack and (enough is None or total <= enough):
        item = stack.pop()
        total += 1
        stack.extend(_parts(item))
    return total


def _parts(node: Node) -> tuple[Node, ...]:
    match node:
        case Seq(parts):
            return parts
        case Repeat(item):
            return (item,)
        case Text() | Ref():
            return ()
        case _:
            return (
                getattr(node, "parts", None)
                or getattr(node, "options", None)
                or ((node.item,) if hasattr(node, "item") else ())
            )
