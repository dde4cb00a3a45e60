"""A definition of a tool's text as the IR of its texts."""

from __future__ import annotations

from portico_engine.errors import GrammarError
from portico_engine.grammar import ir
from portico_engine.grammar.gbnf.left_recursion import left_recursion
from portico_engine.grammar.lark.patterns import matched_strings
from portico_engine.grammar.lark.reader import MAX_TEXT, parse_lark
from portico_engine.grammar.shortest_length import check_shortest, shortest_length
from portico_engine.tool import TextInput


def text_language(text_input: TextInput, prefix: str) -> ir.Grammar:
    """The texts that a tool takes; its notes say what is accepted beyond the definition. Raises GrammarError."""
    match text_input.syntax:
        case "any":
            return ir.Grammar({f"{prefix}text": ir.ANY_TEXT}, f"{prefix}text")
        case "regex":
            return _regex(text_input.definition, f"{prefix}text")
        case "lark":
            return _lark(text_input.definition, prefix)


def _regex(pattern: str, name: str) -> ir.Grammar:
    if len(pattern) > MAX_TEXT:
        raise GrammarError(f"the regular expression has {len(pattern):,} characters; the limit is {MAX_TEXT:,}")
    language = matched_strings(pattern)
    return _checked(ir.Grammar({name: language.node}, name, language.notes))


def _lark(text: str, prefix: str) -> ir.Grammar:
    grammar = parse_lark(text, prefix=prefix)
    for name, path in left_recursion(dict(grammar.rules)):
        plain = " -> ".join(each.removeprefix(prefix).partition("-")[2] for each in path)
        raise GrammarError(f"Lark grammar: {name.removeprefix(prefix).partition('-')[2]!r} begins with itself ({plain})")
    return _checked(grammar)


def _checked(grammar: ir.Grammar) -> ir.Grammar:
    if shortest_length(grammar.rules, grammar.start) is None:
        raise GrammarError("no text of finite length is in the language")
    check_shortest(grammar)
    return grammar
