"""Strings, numbers, booleans and null of one clause, as IR."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from portico_engine.grammar.ir import (
    ANY_CHARACTER,
    NEVER,
    Alt,
    And,
    Chars,
    Node,
    Not,
    Repeat,
    Seq,
    alt,
    optional,
    repeat,
    seq,
    text,
)
from portico_engine.grammar.regular.automata import TooManyStates, is_empty
from portico_engine.grammar.regular.numbers import Interval, decimal_range, integer_range
from portico_engine.grammar.regular.strings import is_text, quoted
from portico_engine.grammar.schema import keywords as read
from portico_engine.grammar.schema.formula import BOOLEAN, FRACTION, INTEGER, NULL, STRING, Clause, Constraint
from portico_engine.grammar.schema.values import type_of

if TYPE_CHECKING:
    from portico_engine.grammar.schema.build import Builder

MAX_EXCLUDED = 1_000  # strings that a string may not be: each step of a mask goes through them
_MAX_SEARCHED = 3000  # states of an intersection that are searched for a string


def null(builder: Builder, clause: Clause, pointer: str, hint: str) -> Node:
    return NEVER if any(value is None for value in _excluded(clause, NULL)) else text("null")


def boolean(builder: Builder, clause: Clause, pointer: str, hint: str) -> Node:
    excluded = _excluded(clause, BOOLEAN)
    return alt(*(text(spelling) for value, spelling in ((True, "true"), (False, "false")) if value not in excluded))


def _excluded(clause: Clause, type_: str) -> list[object]:
    return [
        v for constraint in clause.of(type_) if constraint.kind == "not-in" for v in constraint.value if type_of(v) == type_
    ]


# --- strings ------------------------------------------------------------------------------------------------------------------


def string(builder: Builder, clause: Clause, pointer: str, hint: str) -> Node:
    """A quoted string; lengths, patterns, formats and exclusions by intersection."""
    language = string_language(builder, clause.of(STRING), pointer)
    return language if language == NEVER else quoted(language)


def string_language(builder: Builder, constraints: tuple[Constraint, ...], pointer: str) -> Node:
    """The language of a string's code points."""
    least, most = 0, None
    parts: list[Node] = []
    for constraint in constraints:
        match constraint.kind:
            case "min-length":
                least = max(least, constraint.value)
            case "max-length":
                most = constraint.value if most is None else min(most, constraint.value)
            case "pattern" | "not-pattern":
                parts += _pattern(builder, constraint)
            case "format" | "not-format":
                parts += _format(builder, constraint)
            case "not-in":
                texts = [value for value in constraint.value if isinstance(value, str) and is_text(value)]
                if len(texts) > MAX_EXCLUDED:
                    builder.loosen(constraint.pointer, constraint.pointer.rsplit("/", 1)[-1], "the excluded strings")
                elif texts:
                    parts.append(Not(alt(*map(text, texts))))
    if most is not None and least > most:
        return builder.never(pointer, f"minLength {least} is above maxLength {most}")
    if most is None and builder.bounds is not None and not any(map(_bounded, parts)):
        most = _default_bound(builder, parts, least, pointer)
    if least > 0 or most is not None or not any(not isinstance(part, Not) for part in parts):
        parts.append(repeat(ANY_CHARACTER, least, most))
    node = parts[0] if len(parts) == 1 else And(tuple(parts))
    if isinstance(node, And) and surely_empty(node):
        return builder.never(pointer, "no string satisfies its pattern, format and length together")
    return node


def _default_bound(builder: Builder, parts: list[Node], least: int, pointer: str) -> int | None:
    """The default bound on length: for a string without patterns itself; within patterns, on each run of a class.

    Intersecting a pattern with a length multiplies the states of a mask's automaton by it (milliseconds a mask), and an
    answer is closed within its budget anyway.
    """
    assert builder.bounds is not None
    bound = max(builder.bounds.string, least)
    if not parts:
        builder.bound(pointer, "string", bound)
        return bound
    limited = [_limited(part, bound) for part in parts]
    if limited != parts:
        builder.bound(pointer, "string", bound)
        parts[:] = limited
    return None


def _limited(node: Node, bound: int) -> Node:
    match node:
        case Repeat(Chars() as item, low, None):
            return repeat(item, low, max(low, bound))
        case Seq(parts):
            return seq(*(_limited(part, bound) for part in parts))
        case Alt(options):
            return alt(*(_limited(option, bound) for option in options))
        case _:
            return node


def surely_empty(node: Node) -> bool:
    """Is an intersection proved to have no string?"""
    try:
        return is_empty(node, _MAX_SEARCHED)
    except TooManyStates:
        return False


def _pattern(builder: Builder, constraint: Constraint) -> list[Node]:
    from portico_engine.grammar.ecma.language import pattern_language
    from portico_engine.grammar.ecma.python_patterns import as_ecma

    language = pattern_language(constraint.value, constraint.pointer)
    if looser := as_ecma(constraint.value).looser:
        builder.loosen(constraint.pointer, "pattern", looser)
    positive = constraint.kind == "pattern"
    if language.loosened:
        builder.loosen(constraint.pointer, "pattern", language.loosened if positive else "any string")
        if not positive:
            return []
    return [language.node if positive else Not(language.node)]


def _format(builder: Builder, constraint: Constraint) -> list[Node]:
    from portico_engine.grammar.schema.formats import format_language

    node = format_language(constraint.value)
    if node is None:
        if constraint.value == "regex":
            builder.loosen(constraint.pointer, "format", "any string, be it a regular expression or not")
        return []
    return [node if constraint.kind == "format" else Not(node)]


def _bounded(node: Node) -> bool:
    """Is the language surely finite?"""
    if isinstance(node, Not):
        return False
    if isinstance(node, And):
        return any(map(_bounded, node.parts))
    if isinstance(node, Repeat):
        return node.high is not None and _bounded(node.item)
    inner: tuple[Node, ...] = node.parts if isinstance(node, Seq) else node.options if isinstance(node, Alt) else ()
    return all(map(_bounded, inner))


# --- numbers ------------------------------------------------------------------------------------------------------------------


def integer(builder: Builder, clause: Clause, pointer: str, hint: str) -> Node:
    """Integers of a range, multiples and exclusions exact."""
    from portico_engine.grammar.schema.multiples import integers

    interval, steps, not_steps = _number_constraints(clause.of(INTEGER))
    low, high = interval.integers()
    if low is not None and high is not None and low > high:
        return builder.never(pointer, f"no integer is at least {low} and at most {high}")
    digits = None
    if builder.bounds is not None and (low is None or high is None):
        digits = builder.bounds.integer
        builder.bound(pointer, "integer", digits)
    excluded = [int(v) for v in _excluded(clause, INTEGER)]  # type: ignore[call-overload]
    if not steps and not not_steps and not excluded:
        node = integer_range(low, high, digits)
    else:
        node = integers(builder, low, high, digits, steps, not_steps, excluded, pointer)
        if isinstance(node, And) and surely_empty(node):
            return builder.never(pointer, "no integer in its range is such a multiple")
    return _as_float(node) if builder.bounds is None else node


def _as_float(node: Node) -> Node:
    """For checking, `2.0` is an integer too."""
    return seq(node, optional(seq(text("."), repeat(text("0"), 1))))


def number(builder: Builder, clause: Clause, pointer: str, *, whole: bool) -> Node:
    """Numbers of a range; `whole` False leaves the integers out."""
    from portico_engine.grammar.schema.multiples import decimals

    constraints = clause.of(FRACTION)
    interval, steps, not_steps = _number_constraints(constraints)
    if interval.empty:
        return builder.never(pointer, f"no number is within {interval.low} and {interval.high}")
    digits = fraction = None
    if builder.bounds is not None:
        digits, fraction = builder.bounds.integer, builder.bounds.fraction
        builder.bound(pointer, "number", digits)
    left_out = [*_excluded(clause, FRACTION), *(_excluded(clause, INTEGER) if whole else ())]
    excluded = [read.exact(v) for v in left_out if isinstance(v, int | float)]
    if steps or not_steps or excluded or not whole:
        node = decimals(builder, interval, digits, fraction, steps, not_steps, excluded, whole, pointer)
        if isinstance(node, And) and surely_empty(node):
            return builder.never(pointer, "no number in its range is such a multiple")
        return node
    return decimal_range(interval, digits, fraction, exponent=True)


def _number_constraints(constraints: tuple[Constraint, ...]) -> tuple[Interval, list[Decimal], list[Decimal]]:
    interval, steps, not_steps = Interval(), [], []
    for constraint in constraints:
        match constraint.kind:
            case "min":
                interval = interval.above(*constraint.value)
            case "max":
                interval = interval.below(*constraint.value)
            case "multiple":
                steps.append(constraint.value)
            case "not-multiple":
                not_steps.append(constraint.value)
    return interval, steps, not_steps
