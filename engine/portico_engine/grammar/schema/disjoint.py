"""A cheap proof that two formulas have no value in common. False means "not proved", not "they overlap".

It looks at types, listed values, bounds, and, for objects, at discriminators: a property that one side requires and on whose
value the two sides differ, or that the other side forbids.
"""

from __future__ import annotations

from portico_engine.errors import InvalidSchema
from portico_engine.grammar.regular.numbers import Interval
from portico_engine.grammar.schema.formula import (
    ARRAY,
    FRACTION,
    INTEGER,
    OBJECT,
    STRING,
    AllOf,
    Clause,
    Constraint,
    Formula,
    Formulas,
    SignedSchema,
    TooManyClauses,
    conjoin,
    normal_form,
)
from portico_engine.grammar.schema.values import applied_schemas, satisfies_constraint, type_of

_CLAUSES = 64
_DEPTH = 4


def surely_disjoint(formulas: Formulas, first: Formula, second: Formula, depth: int = _DEPTH) -> bool:
    """Is it proved that no value satisfies both?"""
    try:
        one, two = normal_form(first, _CLAUSES), normal_form(second, _CLAUSES)
    except TooManyClauses:
        return False
    return all(_cases_disjoint(formulas, a, b, depth) for a in one for b in two)


def _cases_disjoint(formulas: Formulas, first: Clause, second: Clause, depth: int) -> bool:
    both = conjoin(first, second)
    return both is None or all(surely_empty(formulas, both, type_, depth) for type_ in both.types)


def surely_empty(formulas: Formulas, clause: Clause, type_: str, depth: int = _DEPTH) -> bool:
    """Is it proved that no value of `type_` is in the clause?"""
    constraints = clause.of(type_)
    listed = [constraint for constraint in constraints if constraint.kind == "in"]
    if listed:
        smallest = min(listed, key=lambda constraint: len(constraint.value))
        rest = [constraint for constraint in constraints if constraint is not smallest]
        return not any(type_of(v) == type_ and all(satisfies_constraint(formulas, a, v) for a in rest) for v in smallest.value)
    if type_ in (INTEGER, FRACTION):
        return _range(constraints).empty
    if type_ == STRING:
        return _sizes_clash(constraints, "min-length", "max-length")
    if type_ == ARRAY:
        return _sizes_clash(constraints, "min-items", "max-items")
    return type_ == OBJECT and _object_empty(formulas, constraints, depth)


def _range(constraints: tuple[Constraint, ...]) -> Interval:
    interval = Interval()
    for constraint in constraints:
        if constraint.kind == "min":
            interval = interval.above(*constraint.value)
        elif constraint.kind == "max":
            interval = interval.below(*constraint.value)
    return interval


def _sizes_clash(constraints: tuple[Constraint, ...], low: str, high: str) -> bool:
    least = max((constraint.value for constraint in constraints if constraint.kind == low), default=0)
    most = min((constraint.value for constraint in constraints if constraint.kind == high), default=None)
    return most is not None and least > most


def _object_empty(formulas: Formulas, constraints: tuple[Constraint, ...], depth: int) -> bool:
    required = dict.fromkeys(name for constraint in constraints if constraint.kind == "required" for name in constraint.value)
    absent = {name for constraint in constraints if constraint.kind == "absent" for name in constraint.value}
    if absent & required.keys() or _sizes_clash(constraints, "min-properties", "max-properties"):
        return True
    if depth == 0:
        return False
    for name in required:
        subs = tuple(
            dict.fromkeys(
                sub
                for constraint in constraints
                if constraint.kind == "properties"
                for sub in applied_schemas(constraint.value, name)
            )
        )
        if subs and _goal_empty(formulas, subs, depth - 1):
            return True
    return False


def _goal_empty(formulas: Formulas, subs: tuple[SignedSchema, ...], depth: int) -> bool:
    try:
        formula = AllOf(tuple(formulas.formula(sub) for sub in subs))
        clauses = normal_form(formula, _CLAUSES)
    except (TooManyClauses, InvalidSchema):  # a schema in the making refers back here; a bad one is refused where it counts
        return False
    return all(surely_empty(formulas, clause, type_, depth) for clause in clauses for type_ in clause.types)
