"""A schema or a user's GBNF -> a grammar that a matcher takes: IR first, then the text that is enforced.

It owns the order of the steps, and what is loosened where the matcher finds a grammar too large. What a source means is
`schema`'s and `gbnf`'s affair, how a text enforces it the matcher's (`backend`). Tool calls are joined in `calls`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from portico_engine.errors import GrammarError, GrammarTooLarge, LexemesTooLarge
from portico_engine.grammar import ir
from portico_engine.grammar.backend import enforced_text, why_refused
from portico_engine.grammar.bounds import DEFAULT_BOUNDS, DEFAULT_LIMITS, MAX_TEXT, Bounds, Limits, Meter
from portico_engine.grammar.compiled import CompiledGrammar, CompileReport, EnforcedText
from portico_engine.grammar.gbnf.parser import parse_gbnf
from portico_engine.grammar.ir import Grammar
from portico_engine.grammar.schema.compiler import schema_to_ir
from portico_engine.grammar.shortest_length import check_shortest


def compile_schema(
    schema: Any,
    *,
    tool: str = "",
    bounds: Bounds | None = DEFAULT_BOUNDS,
    limits: Limits = DEFAULT_LIMITS,
    resources: Mapping[str, Any] | None = None,
) -> CompiledGrammar:
    """A grammar for one schema's values; errors as `schema_to_ir`."""
    make = partial(schema_to_ir, schema, tool=tool, bounds=bounds, resources=resources)
    grammar, report, printed = enforced_or_looser(lambda limits: Joined(*make(limits=limits)), limits)
    return CompiledGrammar(printed.text, report, grammar, printed.open_strings)


class Joined(NamedTuple):
    """An IR, where it is not exact, and its rules whose texts are JSON among others (see `enforced_text`)."""

    grammar: Grammar
    report: CompileReport
    json_rules: tuple[str, ...] = ()


class Enforced(NamedTuple):
    """An IR, where it is not exact, and the text that the matcher enforces of it."""

    grammar: Grammar
    report: CompileReport
    printed: EnforcedText


def enforced_or_looser(make: Callable[[Limits], Joined], limits: Limits) -> Enforced:
    """What `make` makes, in the matcher's language.

    Digits that are counted by rules are no JSON tokens, and many rules; where the text is too large, or the search for other
    lexemes takes too long, they are not counted, and the report says so. Raises GrammarTooLarge where that doesn't help.
    """
    meter = Meter(limits)
    grammar, report, json_rules = make(limits)
    try:
        return Enforced(grammar, report, enforced_text(grammar, json_rules=json_rules, meter=meter))
    except GrammarTooLarge as error:
        if not limits.residues:
            raise
        looser, report, json_rules = make(replace(limits, residues=0))
        if len(looser.rules) == len(grammar.rules) and not isinstance(error, LexemesTooLarge):
            raise  # nothing was counted
        return Enforced(looser, report, enforced_text(looser, json_rules=json_rules, meter=Meter(limits)))


def compile_gbnf(text: str, *, tokens: Mapping[str, int] | None = None) -> CompiledGrammar:
    """A user's own grammar, ready to enforce. Its report's notes say where it had to be read in small pieces, which is slower.

    `tokens`: the model's tokens by their text, for token references by name; without it they are left to the matcher, which
    knows the control tokens only. Raises GBNFSyntaxError with line and column, GrammarError for an unknown token,
    GrammarTooLarge.
    """
    began = time.perf_counter()
    if len(text) > MAX_TEXT:
        raise GrammarTooLarge(f"the grammar has {len(text):,} characters; the limit is {MAX_TEXT:,}")
    try:
        grammar = parse_gbnf(text)
        check_shortest(grammar)
        printed = enforced_text(grammar if tokens is None else _with_token_ids(grammar, tokens))
    except RecursionError:
        raise GrammarTooLarge("the grammar nests too deeply: give inner parts rules of their own") from None
    report = CompileReport(notes=(*grammar.notes, *printed.notes), compile_seconds=time.perf_counter() - began)
    return CompiledGrammar(printed.text, report, grammar, printed.open_strings)


def check_gbnf(text: str) -> CompiledGrammar:
    """As `compile_gbnf`, and the matcher is asked to take it, where it is installed. Raises the same, and GrammarError."""
    compiled = compile_gbnf(text)
    if reason := why_refused(compiled.text):
        raise GrammarError(f"the matcher can't take this grammar: {reason}")
    return compiled


def _with_token_ids(grammar: Grammar, tokens: Mapping[str, int]) -> Grammar:
    def walk(node: ir.Node) -> ir.Node:
        match node:
            case ir.TokenRef(str() as name, negated):
                if name not in tokens:
                    raise GrammarError(f"the model has no token {name}; a token reference needs exactly one token")
                return ir.TokenRef(tokens[name], negated)
            case ir.Seq(parts):
                return ir.Seq(tuple(map(walk, parts)))
            case ir.Alt(options):
                return ir.Alt(tuple(map(walk, options)))
            case ir.Repeat(item, low, high):
                return ir.Repeat(walk(item), low, high)
            case _:
                return node

    return Grammar({name: walk(body) for name, body in grammar.rules.items()}, grammar.start, grammar.notes)
