"""Does a concrete JSON value satisfy a subschema? Used where a schema lists values, and to put a value's keys in grammar order.

The final word on a call is check.py's (jsonschema); this is the compiler's own, on the compiler's formulas.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from portico_engine.grammar.ecma.search import finds
from portico_engine.grammar.schema import keywords as read
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
    Constraint,
    Formula,
    Formulas,
    PropertyApplicators,
    SignedSchema,
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


def json_equal(first: Any, second: Any) -> bool:
    """JSON Schema's equality: 1 is 1.0, but not true."""
    kind = type_of(first)
    if kind != type_of(second):
        return False
    if kind == ARRAY:
        return len(first) == len(second) and all(json_equal(a, b) for a, b in zip(first, second, strict=True))
    if kind == OBJECT:
        return first.keys() == second.keys() and all(json_equal(value, second[key]) for key, value in first.items())
    return bool(first == second)


def equality_key(value: Any) -> Any:
    """A hashable key that is the same for equal values."""
    kind = type_of(value)
    if kind == ARRAY:
        return (kind, tuple(equality_key(item) for item in value))
    if kind == OBJECT:
        return (kind, frozenset((key, equality_key(item)) for key, item in value.items()))
    return (kind, value)


def satisfies(formulas: Formulas, sub: SignedSchema, value: Any) -> bool:
    """Does `value` satisfy the subschema (or its negation)?"""
    return satisfies_formula(formulas, formulas.formula(sub), value)


def satisfies_formula(formulas: Formulas, formula: Formula, value: Any) -> bool:
    match formula:
        case Types(types):
            return type_of(value) in types
        case AllOf(parts):
            return all(satisfies_formula(formulas, part, value) for part in parts)
        case AnyOf(parts):
            return any(satisfies_formula(formulas, part, value) for part in parts)
        case Constraint():
            return satisfies_constraint(formulas, formula, value)


def satisfies_constraint(formulas: Formulas, constraint: Constraint, value: Any) -> bool:
    """One constraint on one value; true where it is on another type."""
    kind = type_of(value)
    if kind not in constraint.types:
        return True
    if constraint.kind in ("in", "not-in"):
        return any(json_equal(value, item) for item in constraint.value) is (constraint.kind == "in")
    if kind in (INTEGER, FRACTION):
        return _number_satisfies(constraint, read.exact(value))
    if kind == STRING:
        return _string_satisfies(constraint, value)
    if kind == ARRAY:
        return _array_satisfies(formulas, constraint, value)
    return kind != OBJECT or _object_satisfies(formulas, constraint, value)


def _number_satisfies(constraint: Constraint, value: Decimal) -> bool:
    match constraint.kind:
        case "min":
            return bool(value > constraint.value[0] or (value == constraint.value[0] and not constraint.value[1]))
        case "max":
            return bool(value < constraint.value[0] or (value == constraint.value[0] and not constraint.value[1]))
        case "multiple":
            return is_multiple(value, constraint.value)
        case "not-multiple":
            return not is_multiple(value, constraint.value)
    raise AssertionError(constraint.kind)


def is_multiple(value: Decimal, step: Decimal) -> bool:
    """Exactly, by integers: no rounding of binary fractions."""
    above, below = value.as_integer_ratio()
    step_above, step_below = step.as_integer_ratio()
    return above * step_below % (below * step_above) == 0


def _string_satisfies(constraint: Constraint, value: str) -> bool:
    match constraint.kind:
        case "min-length":
            return len(value) >= int(constraint.value)
        case "max-length":
            return len(value) <= int(constraint.value)
        case "pattern":
            return finds(constraint.value, value)
        case "not-pattern":
            return not finds(constraint.value, value)
        case "format" | "not-format":
            from portico_engine.grammar.schema.formats import conforms

            return conforms(constraint.value, value) is not (constraint.kind == "not-format")
    raise AssertionError(constraint.kind)


def _array_satisfies(formulas: Formulas, constraint: Constraint, value: list[Any]) -> bool:
    match constraint.kind:
        case "prefix":
            index, sub = constraint.value
            return index >= len(value) or satisfies(formulas, sub, value[index])
        case "rest":
            first, sub = constraint.value
            return all(satisfies(formulas, sub, item) for item in value[first:])
        case "contains":
            sub, least, most, first = constraint.value
            found = sum(satisfies(formulas, sub, item) for item in value[first:])
            return found >= least and (most is None or found <= most)
        case "min-items":
            return len(value) >= int(constraint.value)
        case "max-items":
            return len(value) <= int(constraint.value)
        case "unique":
            return len({equality_key(item) for item in value}) == len(value)
    raise AssertionError(constraint.kind)


def _object_satisfies(formulas: Formulas, constraint: Constraint, value: dict[str, Any]) -> bool:
    match constraint.kind:
        case "properties":
            return all(
                satisfies(formulas, sub, item)
                for name, item in value.items()
                for sub in applied_schemas(constraint.value, name)
            )
        case "some":
            applicators, index = constraint.value
            return any(
                not satisfies(formulas, sub, item)
                for name, item in value.items()
                for sub in applied_part(applicators, index, name)
            )
        case "required":
            return all(name in value for name in constraint.value)
        case "absent":
            return not any(name in value for name in constraint.value)
        case "min-properties":
            return len(value) >= int(constraint.value)
        case "max-properties":
            return len(value) <= int(constraint.value)
        case "names":
            return all(satisfies(formulas, constraint.value, name) for name in value)
    raise AssertionError(constraint.kind)


def applied_schemas(applicators: PropertyApplicators, name: str) -> list[SignedSchema]:
    """The subschemas that apply to the property `name`."""
    out = [applicators.named[name]] if name in applicators.named else []
    out += [sub for pattern, sub in applicators.patterns if finds(pattern, name)]
    return out if out or applicators.additional is None else [applicators.additional]


def applied_part(applicators: PropertyApplicators, index: int, name: str) -> list[SignedSchema]:
    """Of them only what pattern `index` says, or, past the patterns, what is said of additional properties."""
    if index < len(applicators.patterns):
        pattern, sub = applicators.patterns[index]
        return [sub] if finds(pattern, name) else []
    covered = name in applicators.named or any(finds(pattern, name) for pattern, _ in applicators.patterns)
    return [] if covered or applicators.additional is None else [applicators.additional]
