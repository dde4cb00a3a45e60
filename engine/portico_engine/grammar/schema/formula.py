"""Schemas as formulas: conjunctions and disjunctions of constraints on one JSON type each, and their disjunctive normal form.

Negation never appears: it was pushed into the constraints when the formula was made (expand.py). A constraint says nothing
about values of another type than its own.

Kinds of constraints, and what their `value` is:

    any type  in, not-in            list of JSON values
    number    min, max              (Decimal, exclusive)            multiple, not-multiple      Decimal
    string    min-length, max-length  int       pattern, not-pattern, format, not-format        str
    array     prefix                (index, schema)                 rest         (first index, schema): items from there on
              contains              (schema, least, most or None, first index)
              min-items, max-items  int                             unique       None
    object    properties            PropertyApplicators: which schema applies to which property
              required, absent      names, all of them              names        schema of every property's name
              min-properties, max-properties  int
              some                  (PropertyApplicators, index of its part): a property there fails its schema
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from portico_engine.grammar.schema.document import SchemaNode

NULL, BOOLEAN, INTEGER, FRACTION, STRING, ARRAY, OBJECT = "null", "boolean", "integer", "fraction", "string", "array", "object"
ALL_TYPES = frozenset({NULL, BOOLEAN, INTEGER, FRACTION, STRING, ARRAY, OBJECT})  # every number is an INTEGER or a FRACTION
NUMBER = frozenset({INTEGER, FRACTION})

MAX_PRODUCT = 128  # clauses that two disjunctions together may make, beyond twice those of one

SignedSchema: TypeAlias = tuple[SchemaNode, bool]  # a subschema that a value must satisfy (True) or must not (False)
Goal: TypeAlias = tuple[SignedSchema, ...]  # all of them at once; () is "any value"


@dataclass(frozen=True, slots=True)
class Types:
    """The value's type is one of these."""

    types: frozenset[str]


@dataclass(frozen=True, eq=False, slots=True)
class Constraint:
    """One constraint on values of `types`; `kind` says what `value` means, by the table above."""

    types: frozenset[str]
    kind: str
    value: Any
    pointer: str


@dataclass(frozen=True, eq=False, slots=True)
class PropertyApplicators:
    """Which subschemas apply to the value of a property: by name, by pattern of the name, and to names that neither covers."""

    named: Mapping[str, SignedSchema]
    patterns: tuple[tuple[str, SignedSchema], ...]
    additional: SignedSchema | None  # None: nothing is asked of the others
    pointer: str


@dataclass(frozen=True, slots=True)
class AllOf:
    parts: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: tuple[Formula, ...]
    pointer: str = ""
    keyword: str = ""


Formula: TypeAlias = Types | Constraint | AllOf | AnyOf


class Formulas(Protocol):
    """Where the formula of a subschema is looked up."""

    def formula(self, sub: SignedSchema) -> Formula:
        """The formula of a subschema, or of its negation."""
        ...


TRUE = AllOf(())
FALSE = AnyOf(())


def goal_of(subs: Iterable[SignedSchema]) -> Goal:
    """A goal in one order, whatever way led to it, so that a value has one spelling."""
    return tuple(sorted(dict.fromkeys(subs), key=lambda sub: (sub[0].pointer, sub[1])))


@dataclass(frozen=True, slots=True)
class Clause:
    """One conjunction of the normal form: a value of one of `types` that satisfies every constraint on its type."""

    types: frozenset[str]
    constraints: tuple[Constraint, ...]

    def of(self, type_: str) -> tuple[Constraint, ...]:
        return tuple(constraint for constraint in self.constraints if type_ in constraint.types)


ANYTHING = Clause(ALL_TYPES, ())


def conjoin(first: Clause, second: Clause) -> Clause | None:
    """Both, or None where no type is left."""
    types = first.types & second.types
    if not types:
        return None
    if not second.constraints and types == first.types:
        return first
    seen = dict.fromkeys((*first.constraints, *second.constraints))
    return Clause(types, tuple(constraint for constraint in seen if constraint.types & types))


class TooManyClauses(Exception):
    """The normal form outgrew its limit; carries the disjunction at which it did."""

    def __init__(self, at: AnyOf) -> None:
        super().__init__(at.pointer)
        self.at = at


def normal_form(
    formula: Formula, limit: int, dropped: frozenset[AnyOf] = frozenset(), step: Callable[[], None] = lambda: None
) -> list[Clause]:
    """The clauses whose union `formula` is; `dropped` disjunctions count as true. Raises TooManyCases, and what `step` raises,
    which is called for each part: a formula that is small may hold a part a million times."""
    step()
    match formula:
        case Types(types):
            return [Clause(types, ())] if types else []
        case Constraint():
            return [Clause(ALL_TYPES, (formula,))]
        case AnyOf(parts):
            if formula in dropped:
                return [ANYTHING]
            out = [clause for part in parts for clause in normal_form(part, limit, dropped, step)]
            if len(out) > limit:
                raise TooManyClauses(formula)
            return out
        case AllOf(parts):
            return _product(_flat(parts, step), limit, dropped, step)


def _flat(parts: Sequence[Formula], step: Callable[[], None]) -> list[Formula]:
    """Conjuncts without conjunctions among them."""
    out: list[Formula] = []
    for part in parts:
        if isinstance(part, AllOf):
            step()
            out += _flat(part.parts, step)
        else:
            out.append(part)
    return out


def _product(parts: Sequence[Formula], limit: int, dropped: frozenset[AnyOf], step: Callable[[], None]) -> list[Clause]:
    """What doesn't branch goes first: it empties clauses before they multiply. Ties keep the schema's order."""
    types = ALL_TYPES
    constraints: dict[Constraint, None] = {}
    branching: list[AnyOf] = []
    for part in parts:
        match part:
            case Types():
                types &= part.types
            case Constraint():
                constraints[part] = None
            case AnyOf():
                branching.append(part)
    clauses = [Clause(types, tuple(constraint for constraint in constraints if constraint.types & types))] if types else []
    for part in branching:
        options = normal_form(part, limit, dropped, step)
        clauses = [both for other in options for clause in clauses if (both := conjoin(clause, other))]
        if len(clauses) > max(MAX_PRODUCT, 2 * len(options)) or len(clauses) > limit:
            raise TooManyClauses(part)
    return clauses
