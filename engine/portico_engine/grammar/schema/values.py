"""Does a concrete JSON value satisfy a subschema? Used where a schema lists values, and to put a value's keys in grammar order.

The final word on a call is check.py's (jsonschema); this is the compiler's own, on the compiler's formulas.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from portico_engine.grammar.ecma.search import finds
from portico_engine.grammar.schema import keywords as read
from portico_engine.grammar.schema.expand import Applied, Expander
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
    Formula,
    Sub,
    Types,
)


def type_of(value: Any) -> str:
    """The formula type of a JSON value; `2.0` is an integer, as JSON Schema has it."""
    match value:
        case None:
            return NULL
        case bool():
            return BOOLEAN
        case int():
            return INTEGER
        case float():
            return INTEGER if value == value and abs(value) != float("inf") and value == int(value) else FRACTION
        case str():
            return STRING
        case list():
            return ARRAY
        case _:
            return OBJECT


def equal(first: Any, second: Any) -> bool:
    """JSON Schema's equality: 1 is 1.0, but not true."""
    kind = type_of(first)
    if kind != type_of(second):
        return False
    if kind == ARRAY:
        return len(first) == len(second) and all(equal(a, b) for a, b in zip(first, second, strict=True))
    if kind == OBJECT:
        return first.keys() == second.keys() and all(equal(value, second[key]) for key, value in first.items())
    return bool(first == second)


def same_key(value: Any) -> Any:
    """A hashable key that is the same for equal values."""
    kind = type_of(value)
    if kind == ARRAY:
        return (kind, tuple(same_key(item) for item in value))
    if kind == OBJECT:
        return (kind, frozenset((key, same_key(item)) for key, item in value.items()))
    return (kind, value)


def satisfies(expander: Expander, sub: Sub, value: Any) -> bool:
    """Does `value` satisfy the subschema (or its negation)?"""
    return holds(expander, expander.formula(sub), value)


def holds(expander: Expander, formula: Formula, value: Any) -> bool:
    match formula:
        case Types(types):
            return type_of(value) in types
        case AllOf(parts):
            return all(holds(expander, part, value) for part in parts)
        case AnyOf(parts):
            return any(holds(expander, part, value) for part in parts)
        case Atom():
            return atom_holds(expander, formula, value)


def atom_holds(expander: Expander, atom: Atom, value: Any) -> bool:
    """One constraint on one value; true where the atom is about another type."""
    kind = type_of(value)
    if kind not in atom.types:
        return True
    if atom.kind in ("in", "not-in"):
        return any(equal(value, item) for item in atom.value) is (atom.kind == "in")
    if kind in (INTEGER, FRACTION):
        return _number_holds(atom, read.exact(value))
    if kind == STRING:
        return _string_holds(atom, value)
    if kind == ARRAY:
        return _array_holds(expander, atom, value)
    return kind != OBJECT or _object_holds(expander, atom, value)


def _number_holds(atom: Atom, value: Decimal) -> bool:
    match atom.kind:
        case "min":
            return bool(value > atom.value[0] or (value == atom.value[0] and not atom.value[1]))
        case "max":
            return bool(value < atom.value[0] or (value == atom.value[0] and not atom.value[1]))
        case "multiple":
            return is_multiple(value, atom.value)
        case "not-multiple":
            return not is_multiple(value, atom.value)
    raise AssertionError(atom.kind)


def is_multiple(value: Decimal, step: Decimal) -> bool:
    """Exactly, by integers: no rounding of binary fractions."""
    above, below = value.as_integer_ratio()
    step_above, step_below = step.as_integer_ratio()
    return above * step_below % (below * step_above) == 0


def _string_holds(atom: Atom, value: str) -> bool:
    match atom.kind:
        case "min-length":
            return len(value) >= int(atom.value)
        case "max-length":
            return len(value) <= int(atom.value)
        case "pattern":
            return finds(atom.value, value)
        case "not-pattern":
            return not finds(atom.value, value)
        case "format" | "not-format":
            from portico_engine.grammar.schema.formats import conforms

            return conforms(atom.value, value) is not (atom.kind == "not-format")
    raise AssertionError(atom.kind)


def _array_holds(expander: Expander, atom: Atom, value: list[Any]) -> bool:
    match atom.kind:
        case "prefix":
            index, sub = atom.value
            return index >= len(value) or satisfies(expander, sub, value[index])
        case "rest":
            first, sub = atom.value
            return all(satisfies(expander, sub, item) for item in value[first:])
        case "contains":
            sub, least, most, first = atom.value
            found = sum(satisfies(expander, sub, item) for item in value[first:])
            return found >= least and (most is None or found <= most)
        case "min-items":
            return len(value) >= int(atom.value)
        case "max-items":
            return len(value) <= int(atom.value)
        case "unique":
            return len({same_key(item) for item in value}) == len(value)
    raise AssertionError(atom.kind)


def _object_holds(expander: Expander, atom: Atom, value: dict[str, Any]) -> bool:
    match atom.kind:
        case "properties":
            return all(satisfies(expander, sub, item) for name, item in value.items() for sub in subs_for(atom.value, name))
        case "some":
            applied, index = atom.value
            return any(
                not satisfies(expander, sub, item) for name, item in value.items() for sub in part_for(applied, index, name)
            )
        case "required":
            return all(name in value for name in atom.value)
        case "absent":
            return not any(name in value for name in atom.value)
        case "min-properties":
            return len(value) >= int(atom.value)
        case "max-properties":
            return len(value) <= int(atom.value)
        case "names":
            return all(satisfies(expander, atom.value, name) for name in value)
    raise AssertionError(atom.kind)


def subs_for(applied: Applied, name: str) -> list[Sub]:
    """The subschemas that apply to the property `name`."""
    out = [applied.named[name]] if name in applied.named else []
    out += [sub for pattern, sub in applied.patterns if finds(pattern, name)]
    return out if out or applied.additional is None else [applied.additional]


def part_for(applied: Applied, index: int, name: str) -> list[Sub]:
    """Of them only what pattern `index` says, or, past the patterns, what is said of additional properties."""
    if index < len(applied.patterns):
        pattern, sub = applied.patterns[index]
        return [sub] if finds(pattern, name) else []
    covered = name in applied.named or any(finds(pattern, name) for pattern, _ in applied.patterns)
    return [] if covered or applied.additional is None else [applied.additional]
