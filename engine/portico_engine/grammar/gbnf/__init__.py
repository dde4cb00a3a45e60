"""GBNF, the grammar format of llama.cpp: a parser with positions in its errors, and a printer for people and for llama.cpp.

parser    text -> ir.Grammar         printer   ir.Grammar -> text
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from portico_engine.errors import GrammarError
from portico_engine.grammar import ir
from portico_engine.grammar.compiled import CompiledGrammar, CompileReport
from portico_engine.grammar.gbnf.parser import parse_gbnf
from portico_engine.grammar.gbnf.printer import to_gbnf
from portico_engine.grammar.llguidance.lark import to_lark

__all__ = ["check_gbnf", "compile_gbnf", "parse_gbnf", "to_gbnf"]


def compile_gbnf(text: str, *, tokens: Mapping[str, int] | None = None) -> CompiledGrammar:
    """A user's own grammar, ready to enforce. Its report's notes say where it had to be read in small pieces, which is slower.

    `tokens`: the model's tokens by their text, for token references by name; without it they are left to the matcher, which
    knows the control tokens only. Raises GBNFSyntaxError with line and column, GrammarError for an unknown token,
    GrammarTooLarge.
    """
    began = time.perf_counter()
    grammar = parse_gbnf(text)
    printed = to_lark(grammar if tokens is None else _with_token_ids(grammar, tokens))
    report = CompileReport(notes=(*grammar.notes, *printed.notes), compile_seconds=time.perf_counter() - began)
    return CompiledGrammar(printed.text, report, grammar, printed.open_strings)


def check_gbnf(text: str) -> CompiledGrammar:
    """As `compile_gbnf`, and the matcher is asked to take it, where it is installed. Raises the same, and GrammarError."""
    compiled = compile_gbnf(text)
    try:
        from llguidance import LLMatcher
    except ImportError:
        return compiled
    if error := LLMatcher.validate_grammar(LLMatcher.grammar_from_lark(compiled.lark)):
        raise GrammarError(f"the matcher can't take this grammar: {error.splitlines()[0]}")
    return compiled


def _with_token_ids(grammar: ir.Grammar, tokens: Mapping[str, int]) -> ir.Grammar:
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

    return ir.Grammar({name: walk(body) for name, body in grammar.rules.items()}, grammar.start, grammar.notes)
