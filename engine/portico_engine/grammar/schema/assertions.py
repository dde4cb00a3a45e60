"""The keywords that assert something of a value by themselves (type, enum, limits, pattern, required): the formula of each, or
of its negation. Those that apply subschemas are expand.py's.

Where a negation can't be expressed it is loosened, and `note` hears of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from portico_engine.errors import GrammarTooLarge, InvalidSchema
from portico_engine.grammar.bounds import MAX_LISTED
from portico_engine.grammar.schema import keywords as read
from portico_engine.grammar.schema.document import SchemaNode
from portico_engine.grammar.schema.formula import (
    ALL_TYPES,
    ARRAY,
    BOOLEAN,
    FALSE,
    INTEGER,
    NULL,
    NUMBER,
    OBJECT,
    STRING,
    TRUE,
    AllOf,
    AnyOf,
    Constraint,
    Formula,
    Types,
)

OnLoosened = Callable[[str, str, str], None]  # pointer, keyword, what is accepted instead
TYPES = {
    "null": frozenset({NULL}),
    "boolean": frozenset({BOOLEAN}),
    "integer": frozenset({INTEGER}),
    "number": NUMBER,
    "string": frozenset({STRING}),
    "array": frozenset({ARRAY}),
    "object": frozenset({OBJECT}),
}
_ARRAY, _OBJECT, _STRING = frozenset({ARRAY}), frozenset({OBJECT}), frozenset({STRING})
_SIZES = {
    "minLength": ("min-length", _STRING),
    "maxLength": ("max-length", _STRING),
    "minItems": ("min-items", _ARRAY),
    "maxItems": ("max-items", _ARRAY),
    "minProperties": ("min-properties", _OBJECT),
    "maxProperties": ("max-properties", _OBJECT),
}


# --- any type ----------------------------------------------------------------------------------------------------------


def _type(node: SchemaNode, keyword: str, positive: bool, note: OnLoosened) -> Formula:
    value = node.value[keyword]
    listed = value if isinstance(value, list) else [value]
    types: frozenset[str] = frozenset()
    for name in listed:
        if not isinstance(name, str) or name not in TYPES:
            if name == "any":  # draft-03's word, still written
                return TRUE if positive else FALSE
            raise InvalidSchema(
                read.pointer(node.pointer, keyword), f"{read.short_repr(name)} is no type; right are {', '.join(TYPES)}"
            )
        types |= TYPES[name]
    if node.value.get("nullable") is True:
        types |= TYPES["null"]
    return Types(types if positive else ALL_TYPES - types)


def _enum(node: SchemaNode, keyword: str, positive: bool, note: OnLoosened) -> Formula:
    values = node.value[keyword] if keyword == "enum" else [node.value[keyword]]
    if not isinstance(values, list):
        raise InvalidSchema(
            read.pointer(node.pointer, keyword), f"enum must be a list of values, not {read.short_repr(values)}"
        )
    if len(values) > MAX_LISTED:
        raise GrammarTooLarge(
            f"{read.pointer(node.pointer, keyword)} lists {len(values):,} values; the limit is {MAX_LISTED:,}"
        )
    return Constraint(ALL_TYPES, "in" if positive else "not-in", values, read.pointer(node.pointer, keyword))


# --- numbers and strings -----------------------------------------------------------------------------------------------


def _limit(node: SchemaNode, keyword: str, positive: bool, note: OnLoosened) -> Formula | None:
    value = node.value[keyword]
    lower = keyword.endswith("inimum")
    exclusive = keyword.startswith("exclusive")
    if isinstance(value, bool) and exclusive:
        return None  # draft-04's flag: read with its minimum
    other = node.value.get("exclusiveMinimum" if lower else "exclusiveMaximum")
    exclusive = exclusive or other is True
    limit = read.number(node.pointer, keyword, value)
    at = read.pointer(node.pointer, keyword)
    if positive:
        return Constraint(NUMBER, "min" if lower else "max", (limit, exclusive), at)
    return AllOf((Types(NUMBER), Constraint(NUMBER, "max" if lower else "min", (limit, not exclusive), at)))


def _multiple(node: SchemaNode, keyword: str, positive: bool, note: OnLoosened) -> Formula:
    step = read.number(node.pointer, keyword, node.value[keyword])
    at = read.pointer(node.pointer, keyword)
    if step <= 0:
        raise InvalidSchema(at, f"multipleOf must be above 0, not {step}")
    constraint = Constraint(NUMBER, "multiple" if positive else "not-multiple", step, at)
    return constraint if positive else AllOf((Types(NUMBER), constraint))


def _sized(node: SchemaNode, keyword: str, positive: bool, note: OnLoosened) -> Formula:
    """minLength, maxItems and their kin."""
    kind, types = _SIZES[keyword]
    size = read.count(node.pointer, keyword, node.value[keyword])
    at = read.pointer(node.pointer, keyword)
    if positive:
        return Constraint(types, kind, size, at)
    if kind.startswith("min"):
        if size == 0:
            return FALSE
        return AllOf((Types(types), Constraint(types, kind.replace("min", "max"), size - 1, at)))
    return AllOf((Types(types), Constraint(types, kind.replace("max", "min"), size + 1, at)))


def _pattern(node: SchemaNode, keyword: str, positive: bool, note: OnLoosened) -> Formula:
    value = read.string(node.pointer, keyword, node.value[keyword])
    constraint = Constraint(_STRING, keyword if positive else f"not-{keyword}", value, read.pointer(node.pointer, keyword))
    return constraint if positive else AllOf((Types(_STRING), constraint))


def _unique(node: SchemaNode, keyword: str, positive: bool, note: OnLoosened) -> Formula | None:
    at = read.pointer(node.pointer, keyword)
    if node.value[keyword] is not True:
        return None
    if positive:
        return Constraint(_ARRAY, "unique", None, at)
    note(at, keyword, "arrays whose items are all different, too")
    return AllOf((Types(_ARRAY), Constraint(_ARRAY, "min-items", 2, at)))


def _required(node: SchemaNode, keyword: str, positive: bool, note: OnLoosened) -> Formula | None:
    if isinstance(node.value[keyword], bool):  # draft-03's flag
        return None
    listed, at = read.names(node.pointer, keyword, node.value[keyword]), read.pointer(node.pointer, keyword)
    return names_required(listed, at, positive)


def names_required(listed: tuple[str, ...], at: str, positive: bool) -> Formula:
    """All of these properties are there; negated, an object lacks one of them."""
    if positive:
        return Constraint(_OBJECT, "required", listed, at)
    missing = [Constraint(_OBJECT, "absent", (name,), at) for name in listed]
    return AllOf((Types(_OBJECT), AnyOf(tuple(missing), at, "not")))


_Assertion = Callable[[SchemaNode, str, bool, OnLoosened], Formula | None]
ASSERTIONS: Mapping[str, _Assertion] = {
    "type": _type,
    "enum": _enum,
    "const": _enum,
    "minimum": _limit,
    "maximum": _limit,
    "exclusiveMinimum": _limit,
    "exclusiveMaximum": _limit,
    "multipleOf": _multiple,
    **dict.fromkeys(_SIZES, _sized),
    "pattern": _pattern,
    "format": _pattern,
    "uniqueItems": _unique,
    "required": _required,
}
