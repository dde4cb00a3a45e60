"""A tool that takes one text: its arguments `{"input": TEXT}` in IR, the text as JSON spells it.

What is regular becomes one string lexeme, like a schema's pattern; what recurs keeps its rules, spelled one by one. A
definition that can't be compiled leaves any text, and the report says why.
"""

from __future__ import annotations

from collections.abc import Mapping

from portico_engine.errors import GrammarError
from portico_engine.grammar import ir
from portico_engine.grammar.compiled import CompileReport, Failed, Loosened
from portico_engine.grammar.lark.language import text_language
from portico_engine.grammar.regular.automata import inline
from portico_engine.grammar.regular.strings import quoted, spell
from portico_engine.tool import TEXT_PARAMETER, TextInput, Tool

_MOST_INLINED = 4_000  # nodes of one lexeme, references written out
_POINTER = "/format/definition"


def text_input_to_ir(tool: Tool, text_input: TextInput, prefix: str, too_large: str | None) -> tuple[ir.Grammar, CompileReport]:
    """The arguments of a tool that takes a text; `too_large` says why its definition is not to be enforced."""
    try:
        if too_large is not None:
            raise GrammarError(too_large)
        language = text_language(text_input, prefix)
    except GrammarError as error:
        failed = Failed(tool.name, _POINTER, str(error), degraded=True)
        return _arguments(text_language(TextInput(), prefix), prefix), CompileReport(failed=(failed,))
    loosened = tuple(Loosened(tool.name, _POINTER, text_input.syntax, note) for note in language.notes)
    return _arguments(language, prefix), CompileReport(loosened=loosened)


def _arguments(language: ir.Grammar, prefix: str) -> ir.Grammar:
    key = ir.text(f'{{"{TEXT_PARAMETER}":')
    root = f"{prefix}root"
    if _inlined_size(language) is not None:
        text = quoted(inline(ir.Ref(language.start), language.rules))
        return ir.Grammar({root: ir.seq(key, text, ir.text("}"))}, root)
    rules = {name: _spelled(body) for name, body in language.rules.items()}
    return ir.Grammar({root: ir.seq(key, ir.text('"'), ir.Ref(language.start), ir.text('"}')), **rules}, root)


def _inlined_size(language: ir.Grammar) -> int | None:
    """How many nodes it has with its references written out; None where it recurs or has too many."""
    sizes: dict[str, int | None] = {}

    def of_rule(name: str, rules: Mapping[str, ir.Node]) -> int | None:
        if name not in sizes:
            sizes[name] = None  # for a rule that leads to itself
            sizes[name] = of_node(rules[name])
        return sizes[name]

    def of_node(node: ir.Node) -> int | None:
        total = 1
        stack = [node]
        while stack and total <= _MOST_INLINED:
            match item := stack.pop():
                case ir.Ref(name):
                    size = of_rule(name, language.rules)
                    if size is None:
                        return None
                    total += size
                case ir.Seq(parts) | ir.Alt(parts) | ir.And(parts):
                    total += len(parts)
                    stack.extend(parts)
                case ir.Repeat() | ir.Not():
                    total += 1
                    stack.append(item.item)
        return total if total <= _MOST_INLINED else None

    return of_rule(language.start, language.rules)


def _spelled(node: ir.Node) -> ir.Node:
    match node:
        case ir.Ref():
            return node
        case ir.Seq(parts):
            return ir.seq(*map(_spelled, parts))
        case ir.Alt(options):
            return ir.alt(*map(_spelled, options))
        case ir.Repeat(item, low, high):
            return ir.repeat(_spelled(item), low, high)
        case _:
            return spell(node)
