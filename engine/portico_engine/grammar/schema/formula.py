"""Schemas as formulas: conjunctions and disjunctions of atoms about one JSON type each, and their disjunctive normal form.

Negation never appears: it was pushed into the atoms when the formula was made (expand.py). An atom says nothing about values of
another type than its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from portico_engine.grammar.schema.document import SchemaNode

NULL, BOOLEAN, INTEGER, FRACTION, STRING, ARRAY, OBJECT = "null", "boolean", "integer", "fraction", "string", "array", "object"
ALL_TYPES = frozenset({NULL, BOOLEAN, INTEGER, FRACTION, STRING, ARRAY, OBJECT})  # every number is an INTEGER or a FRACTION
NUMBER = frozenset({INTEGER, FRACTION})

MAX_PRODUCT = 128  # cases that two disjunctions together may make, beyond twice those of one

Sub: TypeAlias = tuple[SchemaNode, bool]  # a subschema that a value must satisfy (True) or must not (False)
Goal: TypeAlias = tuple[Sub, ...]  # all of them at once; () is "any value"


@dataclass(frozen=True, slots=True)
class Types:
    """The value's type is one of these."""

    types: frozenset[str]


@dataclass(frozen=True, eq=False, slots=True)
class Atom:
    """One constraint on values of `types`; `kind` says what `value` means (the table is in expand.py)."""

    types: frozenset[str]
    kind: str
    value: Any
    pointer: str


@dataclass(frozen=True, slots=True)
class AllOf:
    parts: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: tuple[Formula, ...]
    pointer: str = ""
    keyword: str = ""


Formula: TypeAlias = Types | Atom | AllOf | AnyOf

TRUE = AllOf(())
FALSE = AnyOf(())


def goal_of(subs: Iterable[Sub]) -> Goal:
    """A goal in one order, whatever way led to it, so that a value has one spelling."""
    return tuple(sorted(dict.fromkeys(subs), key=lambda sub: (sub[0].pointer, sub[1])))


@dataclass(frozen=True, slots=True)
class Case:
    """One conjunction of the normal form: a value of one of `types` that satisfies every atom about its type."""

    types: frozenset[str]
    atoms: tuple[Atom, ...]

    def of(self, type_: str) -> tuple[Atom, ...]:
        return tuple(atom for atom in self.atoms if type_ in atom.types)


ANYTHING = Case(ALL_TYPES, ())


def conjoin(first: Case, second: Case) -> Case | None:
    """Both, or None where no type is left."""
    types = first.types & second.types
    if not types:
        return None
    if not second.atoms and types == first.types:
        return first
    seen = dict.fromkeys((*first.atoms, *second.atoms))
    return Case(types, tuple(atom for atom in seen if atom.types & types))


class TooManyCases(Exception):
    """The normal form outgrew its limit; carries the disjunction at which it did."""

    def __init__(self, at: AnyOf) -> None:
        super().__init__(at.pointer)
        self.at = at


def normal_form(formula: Formula, limit: int, dropped: frozenset[AnyOf] = frozenset()) -> list[Case]:
    """The cases whose union `formula` is; `dropped` disjunctions count as true. Raises TooManyCases."""
    match formula:
        case Types(types):
            return [Case(types, ())] if types else []
        case Atom():
            return [Case(ALL_TYPES, (formula,))]
        case AnyOf(parts):
            if formula in dropped:
                return [ANYTHING]
            out = [case for part in parts for case in normal_form(part, limit, dropped)]
            if len(out) > limit:
                raise TooManyCases(formula)
            return out
        case AllOf(parts):
            return _product(_flat(parts), limit, dropped)


def _flat(parts: Sequence[Formula]) -> list[Formula]:
    """Conjuncts without conjunctions among them."""
    out: list[Formula] = []
    for part in parts:
        if isinstance(part, AllOf):
            out += _flat(part.parts)
        else:
            out.append(part)
    return out


def _product(parts: Sequence[Formula], limit: int, dropped: frozenset[AnyOf]) -> list[Case]:
    """What doesn't branch goes first: it empties cases before they multiply. Ties keep the schema's order."""
    types = ALL_TYPES
    atoms: dict[Atom, None] = {}
    branching: list[AnyOf] = []
    for part in parts:
        match part:
            case Types():
                types &= part.types
            case Atom():
                atoms[part] = None
            case AnyOf():
                branching.append(part)
    cases = [Case(types, tuple(atom for atom in atoms if atom.types & types))] if types else []
    for part in branching:
        options = normal_form(part, limit, dropped)
        cases = [both for other in options for case in cases if (both := conjoin(case, other))]
        if len(cases) > max(MAX_PRODUCT, 2 * len(options)) or len(cases) > limit:
            raise TooManyCases(part)
    return cases
