"""Rules that schemas share: any JSON value, any string, any number. Made once, so that a catalog has one copy of each.

Their names begin with `any-`. Most properties of real tools are plain strings.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from portico_engine.grammar.bounds import DEFAULT_LIMITS, Bounds, Meter
from portico_engine.grammar.ir import Ref
from portico_engine.grammar.schema.build import Builder, SharedRule
from portico_engine.grammar.schema.document import SchemaDocument
from portico_engine.grammar.schema.formula import ALL_TYPES, BOOLEAN, INTEGER, NUMBER, STRING

_SCHEMAS = {
    "any-value": (ALL_TYPES, True),
    "any-string": (frozenset({STRING}), {"type": "string"}),
    "any-integer": (frozenset({INTEGER}), {"type": "integer"}),
    "any-number": (NUMBER, {"type": "number"}),
    "any-boolean": (frozenset({BOOLEAN}), {"type": "boolean"}),
}


@lru_cache(maxsize=16)
def shared_rules(bounds: Bounds | None) -> Mapping[frozenset[str], SharedRule]:
    """By the types that a value may have, where nothing else is asked of it."""
    return {types: _made(name, schema, bounds) for name, (types, schema) in _SCHEMAS.items()}


def _made(name: str, schema: object, bounds: Bounds | None) -> SharedRule:
    meter = Meter(DEFAULT_LIMITS)
    document = SchemaDocument(schema, meter)
    builder = Builder(document, tool="", prefix="any-", bounds=bounds, limits=DEFAULT_LIMITS, meter=meter, shared={})
    start = builder.goal(((document.root, True),), name.removeprefix("any-"))
    rules = builder.finished(start.name) if isinstance(start, Ref) else {}
    return SharedRule(rules, start, tuple(builder.bounded.values()))
