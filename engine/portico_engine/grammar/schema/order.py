"""A value as its schema's grammar writes it: compact, canonical escapes, keys in the order of the first alternative that it
satisfies.

For whoever has a call from elsewhere (a data set, another model) and wants the text that the grammar accepts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from portico_engine.grammar.bounds import Limits, Meter
from portico_engine.grammar.regular.strings import json_literal
from portico_engine.grammar.schema.build import Builder
from portico_engine.grammar.schema.document import SchemaDocument
from portico_engine.grammar.schema.formula import ARRAY, OBJECT, Clause, Goal, SignedSchema, goal_of
from portico_engine.grammar.schema.names import property_constraints
from portico_engine.grammar.schema.values import applied_schemas, json_equal, satisfies_constraint, type_of


def canonical_text(schema: Any, value: Any, *, resources: Mapping[str, Any] | None = None) -> str:
    """The text of `value` in the grammar of `schema`; where it satisfies no alternative, its keys as they are.

    Raises InvalidSchema or GrammarTooLarge, as compiling does.
    """
    limits = Limits(seconds=10.0)
    meter = Meter(limits)
    document = SchemaDocument(schema, meter, resources)
    builder = Builder(document, tool="", prefix="", bounds=None, limits=limits, meter=meter, shared={})
    return json_literal(_ordered(builder, ((document.root, True),), value))


def _ordered(builder: Builder, goal: Goal, value: Any) -> Any:
    kind = type_of(value)
    for clause in builder.clauses(goal):
        if kind in clause.types and all(
            satisfies_constraint(builder.expander, constraint, value) for constraint in clause.constraints
        ):
            if any(constraint.kind == "in" for constraint in clause.constraints):
                return _as_listed(clause, value)
            if kind == OBJECT:
                return _object(builder, clause, value)
            return _array(builder, clause, value) if kind == ARRAY else value
    return value


def _as_listed(clause: Clause, value: Any) -> Any:
    return next(
        item
        for constraint in clause.constraints
        if constraint.kind == "in"
        for item in constraint.value
        if json_equal(item, value)
    )


def _object(builder: Builder, clause: Clause, value: dict[str, Any]) -> dict[str, Any]:
    constraints = clause.of(OBJECT)
    properties = property_constraints(builder, constraints, "")
    names = [name for name in properties.declared if name in value]
    names += [name for name in value if name not in properties.declared]
    return {name: _ordered(builder, _goal_of(properties.applicators, name), value[name]) for name in names}


def _goal_of(applicators: list[Any], name: str) -> Goal:
    return goal_of(sub for each in applicators for sub in applied_schemas(each, name))


def _array(builder: Builder, clause: Clause, value: list[Any]) -> list[Any]:
    out = []
    for index, item in enumerate(value):
        subs: list[SignedSchema] = []
        for constraint in clause.of(ARRAY):
            if (constraint.kind == "prefix" and constraint.value[0] == index) or (
                constraint.kind == "rest" and constraint.value[0] <= index
            ):
                subs.append(constraint.value[1])
        out.append(_ordered(builder, goal_of(subs), item))
    return out
