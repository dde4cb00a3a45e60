"""The room's front door: JSON Schema -> IR, with a report. What a tool's bad schema degrades to is decided here."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from portico_engine.errors import GrammarError, InvalidSchema, Unsatisfiable
from portico_engine.grammar.bounds import DEFAULT_BOUNDS, DEFAULT_LIMITS, Bounds, Limits, Meter
from portico_engine.grammar.cache import ByteCache
from portico_engine.grammar.compiled import CompileReport, Failed
from portico_engine.grammar.ir import Grammar, Never, Node, Ref
from portico_engine.grammar.schema.build import Builder
from portico_engine.grammar.schema.document import SchemaDialect, SchemaDocument, SchemaNode
from portico_engine.grammar.schema.mending import mend
from portico_engine.grammar.schema.shared import shared_rules
from portico_engine.grammar.shortest_length import check_shortest

ANY_OBJECT: Mapping[str, Any] = {"type": "object"}
_OBJECT = SchemaNode(ANY_OBJECT, "", "", SchemaDialect.DRAFT_2020)
RULE_BYTES = 6_000  # of a rule's nodes, rounded up from real tools'


def schema_to_ir(
    schema: Any,
    *,
    tool: str = "",
    bounds: Bounds | None = DEFAULT_BOUNDS,
    limits: Limits = DEFAULT_LIMITS,
    prefix: str = "",
    resources: Mapping[str, Any] | None = None,
    objects: bool = False,
) -> tuple[Grammar, CompileReport]:
    """The language of a schema's values in compact canonical JSON, and where it is not exact.

    `bounds` None leaves open ends open (for checking texts, not for generation). Every rule's name begins with `prefix`;
    `resources` are schemas by URI that references may lead to; `objects` leaves out other
    values that the schema takes. Raises InvalidSchema, Unsatisfiable or GrammarTooLarge.
    """
    began, meter = time.perf_counter(), Meter(limits)
    try:
        document = SchemaDocument(schema, meter, resources)
        shared = shared_rules(bounds)
        builder = Builder(document, tool=tool, prefix=prefix, bounds=bounds, limits=limits, meter=meter, shared=shared)
        goal = ((document.root, True), *(((_OBJECT, True),) if objects else ()))
        start = builder.goal(goal, "root" if not prefix else "")
        rules, name = _finish(builder, start)
    except RecursionError:
        raise InvalidSchema("", "its keywords nest too deeply to be followed") from None
    report = CompileReport(
        tuple(builder.loosened.values()), tuple(builder.bounded.values()), compile_seconds=time.perf_counter() - began
    )
    grammar = Grammar(rules, name)
    check_shortest(grammar)
    return grammar, report


def _finish(builder: Builder, start: Node) -> tuple[dict[str, Node], str]:
    if isinstance(start, Never):
        raise _unsatisfiable(builder)
    if isinstance(start, Ref):
        name = start.name
    else:
        name = builder.new_name("root")
        builder.rules[name] = start
    rules = builder.finished(name)
    if name not in rules:
        raise _unsatisfiable(builder)
    return rules, name


def _unsatisfiable(builder: Builder) -> Unsatisfiable:
    if not builder.dead:
        return Unsatisfiable("", "its references go round in a circle, so that no finite value satisfies it")
    pointer, reason = next(iter(builder.dead.items()))
    return Unsatisfiable(pointer, reason)


def tool_to_ir(
    schema: Any,
    *,
    tool: str,
    bounds: Bounds | None = DEFAULT_BOUNDS,
    limits: Limits = DEFAULT_LIMITS,
    prefix: str = "",
    text: str | None = None,
) -> tuple[Grammar | None, CompileReport]:
    """The arguments of one tool, whatever its schema is like: never raises for a bad one. `text` is the schema as JSON, where
    somebody has it.

    A keyword that can't be read is left out alone, and reported. A schema that is invalid as a whole, or too large, degrades to
    "any JSON object" (`Failed(degraded=True)`, to be checked after the call); one that no object satisfies leaves the tool out
    (None, `Failed(degraded=False)`). Arguments are always an object.
    """
    try:
        key = (text if text is not None else repr(schema), text is None, tool, bounds, limits, prefix)
    except (ValueError, RecursionError):  # a number of more than 4,300 digits, which Python writes for nobody
        return degraded(tool, "", "it holds a number that is too long, or nests too deeply", bounds=bounds, prefix=prefix)
    known = _TOOLS.get(key)
    if known is None:
        known = _tool_to_ir(schema, tool, bounds, limits, prefix)
        _TOOLS.put(key, known, _size(known[0]) + 4 * len(key[0]))
    return known


_TOOLS: ByteCache[tuple[Grammar | None, CompileReport]] = ByteCache(32 * 1024 * 1024)  # so that a catalog costs its new tools


def _size(grammar: Grammar | None) -> int:
    return RULE_BYTES * (1 + len(grammar.rules if grammar else ()))


def _tool_to_ir(
    schema: Any, tool: str, bounds: Bounds | None, limits: Limits, prefix: str
) -> tuple[Grammar | None, CompileReport]:
    try:
        mended = mend(schema, tool)
        schema = mended.schema
        whole = isinstance(schema, dict) and schema.get("type") == "object"
        grammar, report = schema_to_ir(schema, tool=tool, bounds=bounds, limits=limits, prefix=prefix, objects=not whole)
        return grammar, replace(report, loosened=(*mended.loosened, *report.loosened), notes=mended.notes)
    except Unsatisfiable as error:
        return None, CompileReport(failed=(Failed(tool, error.pointer, error.reason, degraded=False),))
    except GrammarError as error:
        pointer = error.pointer if isinstance(error, InvalidSchema) else ""
        reason = error.reason if isinstance(error, InvalidSchema) else str(error)
        return degraded(tool, pointer, reason, bounds=bounds, prefix=prefix)


def degraded(tool: str, pointer: str, reason: str, *, bounds: Bounds | None, prefix: str) -> tuple[Grammar, CompileReport]:
    """ "Any JSON object" in place of a tool's schema, and the report that says why."""
    grammar, report = schema_to_ir(dict(ANY_OBJECT), tool=tool, bounds=bounds, prefix=prefix)
    return grammar, CompileReport(bounds=report.bounds, failed=(Failed(tool, pointer, reason, degraded=True),))
