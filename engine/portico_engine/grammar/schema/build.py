"""Goal -> rules: what a value must satisfy, as IR. One rule for each goal, so that recursion ends where a goal comes again.

The modules beside it build one type each: scalars.py, arrays.py, objects.py. What they share is `Builder`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from portico_engine.grammar.bounds import Bounds, Limits, Meter
from portico_engine.grammar.compiled import DefaultBound, Loosened
from portico_engine.grammar.ir import NEVER, Alt, And, Never, Node, Not, Ref, Repeat, Seq, Text, alt, reachable, text
from portico_engine.grammar.regular.strings import is_text, json_literal
from portico_engine.grammar.schema import arrays, objects, scalars
from portico_engine.grammar.schema.depth import prune, unroll
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
    Clause,
    Constraint,
    Goal,
    TooManyClauses,
    normal_form,
)
from portico_engine.grammar.schema.values import satisfies_constraint, type_of

_LONG_TEXT = 64  # characters of a text that count as one more node
_INLINE = 3  # nodes: a value no larger is written where it stands instead of becoming a rule
_ORDER = (STRING, INTEGER, FRACTION, BOOLEAN, NULL, ARRAY, OBJECT)


class SharedRule(NamedTuple):
    """A reference or a small node, the rules that it needs, and the bounds that open ends got in them."""

    rules: Mapping[str, Node]
    start: Node
    bounded: tuple[DefaultBound, ...]


class Builder:
    """One compilation: its rules so far, what it loosened, and why goals were found empty."""

    def __init__(
        self,
        document: SchemaDocument,
        *,
        tool: str,
        prefix: str,
        bounds: Bounds | None,
        limits: Limits,
        meter: Meter,
        shared: Mapping[frozenset[str], SharedRule],
    ) -> None:
        self.document = document
        self.tool = tool
        self.prefix = prefix
        self.bounds = bounds
        self.limits = limits
        self.meter = meter
        self.shared = shared  # rules by the types of a value of which nothing else is asked
        self.expander = Expander(document, self.loosen)
        self.rules: dict[str, Node] = {}
        self.loosened: dict[tuple[str, str], Loosened] = {}
        self.bounded: dict[tuple[str, str], DefaultBound] = {}
        self.dead: dict[str, str] = {}  # pointer -> why nothing satisfies it
        self._goals: dict[frozenset[tuple[int, bool]], Node] = {}
        self._names: set[str] = {name for rule in shared.values() for name in rule.rules}
        self._numbers: dict[str, int] = {}  # the last of the names that begin alike
        self._open: set[str] = set()  # goals in the making
        self.early: set[str] = set()  # rules that may stand before those that they refer to

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
        base = self.prefix + _words_of(hint)
        if not base[0].isalpha():
            base = f"r-{base}"
        name = base
        while name in self._names:
            self._numbers[base] = number = self._numbers.get(base, 1) + 1
            name = f"{base}-{number}"
        self._names.add(name)
        return name

    def rule(self, hint: str, node: Node) -> Node:
        """A helper rule for `node`, unless it is small."""
        nodes = size(node)
        if nodes <= _INLINE:
            return node
        name = self.new_name(hint)
        self.rules[name] = node
        self.meter.count(nodes)
        return Ref(name)

    def goal(self, goal: Goal, hint: str) -> Node:
        """The values that satisfy every part of `goal`, as a reference or as a small node; NEVER where there surely are
        none."""
        key = frozenset((id(node), positive) for node, positive in goal)
        known = self._goals.get(key)
        if known is not None:
            if isinstance(known, Ref) and known.name in self._open:
                self.early.add(known.name)
            return known
        pointer = goal[0][0].pointer if goal else ""
        types = self.expander.plain_types(goal[0]) if len(goal) == 1 else None
        if types is not None and types in self.shared:
            return self._share(self.shared[types], key, pointer)
        clauses = self.clauses(goal)
        if len(clauses) == 1 and not clauses[0].constraints and clauses[0].types in self.shared:
            return self._share(self.shared[clauses[0].types], key, pointer)
        name = self.new_name(hint)
        self._goals[key] = Ref(name)
        self._open.add(name)
        node = self._clauses(clauses, pointer, hint)
        self._open.discard(name)
        nodes = size(node)
        self.meter.count(nodes)
        if isinstance(node, Never):
            self.never(pointer, "its keywords exclude each other")
        if nodes <= _INLINE and name not in self.early:
            self._names.discard(name)
            self._goals[key] = node
            return node
        self.rules[name] = node
        return Ref(name)

    def _share(self, rule: SharedRule, key: frozenset[tuple[int, bool]], pointer: str) -> Node:
        self.rules.update(rule.rules)
        for entry in rule.bounded:
            self.bound(pointer, entry.bound, entry.value)
        self._goals[key] = rule.start
        return rule.start

    def finished(self, start: str) -> dict[str, Node]:
        """The rules that `start` reaches, recursion unrolled where there are bounds; without `start` where no string of it
        ends."""
        if not self.early:  # then each was made after those that it refers to, and has a string
            return reachable(self.rules, start)
        rules = prune(self.rules, start)
        if rules and self.bounds is not None:
            rules, levels = unroll(rules, start, self.bounds.depth, self.meter)
            if levels is not None:
                self.bound("", "depth", levels)
        return rules

    def clauses(self, goal: Goal) -> list[Clause]:
        """The goal's normal form; a disjunction that makes it too large is dropped, and reported."""
        formula = AllOf(tuple(self.expander.formula(sub) for sub in goal))
        dropped: frozenset[AnyOf] = frozenset()
        while True:
            self.meter.step()
            try:
                return normal_form(formula, self.limits.clauses, dropped, self.meter.step)
            except TooManyClauses as error:
                self.loosen(error.at.pointer, error.at.keyword or "anyOf", "any branch, as if the keyword were not there")
                dropped |= {error.at}
                self.meter.check_time()

    def _clauses(self, clauses: Iterable[Clause], pointer: str, hint: str) -> Node:
        out: list[Node] = []
        for clause in clauses:
            listed = [constraint for constraint in clause.constraints if constraint.kind == "in"]
            if listed:
                out.append(self._listed(clause, listed, pointer))
                continue
            out.extend(self._typed(clause, pointer, hint))
        return alt(*out)

    def _typed(self, clause: Clause, pointer: str, hint: str) -> Iterable[Node]:
        types = set(clause.types)
        if FRACTION in types:
            yield scalars.number(self, clause, pointer, whole=INTEGER in types)
            types -= {INTEGER, FRACTION}
        for type_ in _ORDER:
            if type_ in types:
                yield _BUILDERS[type_](self, clause, pointer, hint)

    def _listed(self, clause: Clause, listed: list[Constraint], pointer: str) -> Node:
        """The values of an enum or const that satisfy everything else."""
        first = min(listed, key=lambda constraint: len(constraint.value))
        rest = [constraint for constraint in clause.constraints if constraint is not first]
        kept = [
            v
            for v in first.value
            if type_of(v) in clause.types and all(satisfies_constraint(self.expander, constraint, v) for constraint in rest)
        ]
        self.meter.count(len(kept))
        if not kept:
            return self.never(first.pointer, "none of the listed values satisfies the other keywords")
        texts = [literal for value in kept if is_text(literal := json_literal(value))]
        if not texts:
            return self.never(first.pointer, "the listed values hold lone surrogates, which no text can")
        return alt(*map(text, texts))


_BUILDERS: dict[str, Callable[[Builder, Clause, str, str], Node]] = {
    STRING: scalars.string,
    INTEGER: scalars.integer,
    BOOLEAN: scalars.boolean,
    NULL: scalars.null,
    ARRAY: arrays.array,
    OBJECT: objects.object_,
}


@lru_cache(maxsize=4096)
def _words_of(hint: str) -> str:
    """The last words of a pointer."""
    words = [word for word in re.split(r"[^a-zA-Z0-9]+", hint) if word not in ("", "properties", "defs", "definitions")]
    return "-".join(words[-3:])[-40:].strip("-").lower() or "value"


def size(node: Node) -> int:
    """Nodes in a tree; a long text counts by its length."""
    total, stack = 0, [node]
    while stack:
        item = stack.pop()
        total += 1
        if type(item) is Text:
            total += len(item.value) // _LONG_TEXT
        if type(item) is Seq or type(item) is And:
            stack.extend(item.parts)
        elif type(item) is Alt:
            stack.extend(item.options)
        elif type(item) is Repeat or type(item) is Not:
            stack.append(item.item)
    return total
