"""A cheap proof that two formulas have no value in common. False means "not proved", not "they overlap".

It looks at types, listed values, bounds, and, for objects, at discriminators: a property that one side requires and on whose
value the two sides differ, or that the other side forbids.
"""

from __future__ import annotations

from portico_engine.errors import InvalidSchema
from portico_engine.grammar.regular.numbers import Interval
from portico_engine.grammar.schema.expand import Expander
from portico_engine.grammar.schema.formula import (
    ARRAY,
    FRACTION,
    INTEGER,
    OBJECT,
    STRING,
    AllOf,
    Atom,
    Case,
    Formula,
    Sub,
    TooManyCases,
    conjoin,
    normal_form,
)
from portico_engine.grammar.schema.values import atom_holds, subs_for, type_of

_CASES = 64
_DEPTH = 4


def surely_disjoint(expander: Expander, first: Formula, second: Formula, depth: int = _DEPTH) -> bool:
    """Is it proved that no value satisfies both?"""
    try:
        one, two = normal_form(first, _CASES), normal_form(second, _CASES)
    except TooManyCases:
        return False
    return all(_cases_disjoint(expander, a, b, depth) for a in one for b in two)


def _cases_disjoint(expander: Expander, first: Case, second: Case, depth: int) -> bool:
    both = conjoin(first, second)
    return both is None or all(surely_empty(expander, both, type_, depth) for type_ in both.types)


def surely_empty(expander: Expander, case: Case, type_: str, depth: int = _DEPTH) -> bool:
    """Is it proved that no value of `type_` is in the case?"""
    atoms = case.of(type_)
    listed = [atom for atom in atoms if atom.kind == "in"]
    if listed:
        smallest = min(listed, key=lambda atom: len(atom.value))
        rest = [atom for atom in atoms if atom is not smallest]
        return not any(type_of(v) == type_ and all(atom_holds(expander, a, v) for a in rest) for v in smallest.value)
    if type_ in (INTEGER, FRACTION):
        return _range(atoms).empty
    if type_ == STRING:
        return _sizes_clash(atoms, "min-length", "max-length")
    if type_ == ARRAY:
        return _sizes_clash(atoms, "min-items", "max-items")
    return type_ == OBJECT and _object_empty(expander, atoms, depth)


def _range(atoms: tuple[Atom, ...]) -> Interval:
    interval = Interval()
    for atom in atoms:
        if atom.kind == "min":
            interval = interval.above(*atom.value)
        elif atom.kind == "max":
            interval = interval.below(*atom.value)
    return interval


def _sizes_clash(atoms: tuple[Atom, ...], low: str, high: str) -> bool:
    least = max((atom.value for atom in atoms if atom.kind == low), default=0)
    most = min((atom.value for atom in atoms if atom.kind == high), default=None)
    return most is not None and least > most


def _object_empty(expander: Expander, atoms: tuple[Atom, ...], depth: int) -> bool:
    required = dict.fromkeys(name for atom in atoms if atom.kind == "required" for name in atom.value)
    absent = {name for atom in atoms if atom.kind == "absent" for name in atom.value}
    if absent & required.keys() or _sizes_clash(atoms, "min-properties", "max-properties"):
        return True
    if depth == 0:
        return False
    for name in required:
        subs = tuple(dict.fromkeys(sub for atom in atoms if atom.kind == "properties" for sub in subs_for(atom.value, name)))
        if subs and _goal_empty(expander, subs, depth - 1):
            return True
    return False


def _goal_empty(expander: Expander, subs: tuple[Sub, ...], depth: int) -> bool:
    try:
        formula = AllOf(tuple(expander.formula(sub) for sub in subs))
        cases = normal_form(formula, _CASES)
    except (TooManyCases, InvalidSchema):  # a schema in the making refers back here; a bad one is refused where it counts
        return False
    return all(surely_empty(expander, case, type_, depth) for case in cases for type_ in case.types)
