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
from portico_engine.grammar.schema.formula import ARRAY, OBJECT, Case, Goal, Sub, goal_of
from portico_engine.grammar.schema.names import shape_of
from portico_engine.grammar.schema.values import atom_holds, equal, subs_for, type_of


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
    for case in builder.cases(goal):
        if kind in case.types and all(atom_holds(builder.expander, atom, value) for atom in case.atoms):
            if any(atom.kind == "in" for atom in case.atoms):
                return _as_listed(case, value)
            if kind == OBJECT:
                return _object(builder, case, value)
            return _array(builder, case, value) if kind == ARRAY else value
    return value


def _as_listed(case: Case, value: Any) -> Any:
    return next(item for atom in case.atoms if atom.kind == "in" for item in atom.value if equal(item, value))


def _object(builder: Builder, case: Case, value: dict[str, Any]) -> dict[str, Any]:
    atoms = case.of(OBJECT)
    shape = shape_of(builder, atoms, "")
    names = [name for name in shape.declared if name in value]
    names += [name for name in value if name not in shape.declared]
    return {name: _ordered(builder, _goal_of(shape.applied, name), value[name]) for name in names}


def _goal_of(applied: list[Any], name: str) -> Goal:
    return goal_of(sub for each in applied for sub in subs_for(each, name))


def _array(builder: Builder, case: Case, value: list[Any]) -> list[Any]:
    out = []
    for index, item in enumerate(value):
        subs: list[Sub] = []
        for atom in case.of(ARRAY):
            if (atom.kind == "prefix" and atom.value[0] == index) or (atom.kind == "rest" and atom.value[0] <= index):
                subs.append(atom.value[1])
        out.append(_ordered(builder, goal_of(subs), item))
    return out
