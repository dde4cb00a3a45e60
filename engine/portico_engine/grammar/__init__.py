"""From tool lists, JSON Schemas and GBNF to what a model may write next, in reading order:

schema/        JSON Schema -> IR, and what could not be kept exactly
gbnf/          a user's GBNF -> IR, and IR -> GBNF, which is shown
lark/          the text that a tool takes, by Lark's grammar or a regular expression -> IR
calls/         tools and a tool choice -> one IR of calls, compiled; generated text -> calls
ir.py          the one small language between them: regular expressions with intersection and complement, plus rules
regular/       regular languages of the IR: automata, JSON's strings and numbers
ecma/          ECMA-262's patterns as regular languages
compile.py     schema or GBNF -> CompiledGrammar, loosened where the matcher finds it too large
compiled.py    what compiling yields: the enforced text, its IR, a report
backend.py     the seam: which matcher enforces, named here alone
protocol.py    what the engine asks of a matcher, whichever it is
llguidance/    the matcher: IR -> its Lark, lexeme by lexeme; masks, forced runs
closing/       the shortest way to end from every state, so that no answer is cut by its budget
work_slice.py  how much of that a step may find out
isolated/      compiling and checking in a process that can be ended, for what anybody may have written
accept.py      a text that somebody else wrote, against a grammar
check.py       a value against its schema, after the call
sample.py      random sentences of a grammar
bounds.py      bounds of open ends, limits on compiling, and their meter
cache.py  notation.py  rule_order.py     compiled things by digest; how GBNF spells a node; rules from the lowest up
shortest_length.py    how long the shortest text is, before anything of its length is made

    schema | gbnf | tools -> IR -> enforced text -> matcher -> masks
                             IR -> GBNF, shown

Imports go one way: ir < regular < ecma < schema, gbnf; closing < llguidance < backend < compile < calls. Importing the package
loads nothing: each name below is imported when it is first asked for, and llguidance when a matcher is made.

Exported, by what one wants to do:
    compile      compile_schema, compile_gbnf, check_gbnf (asks the matcher too), compile_tool_calls -> CompiledGrammar, whose
                 CompileReport says what is not exact; for what strangers wrote, awaited:
                 compile_schema_isolated, compile_gbnf_isolated, compile_tool_calls_isolated, and compile_tool_calls_here
                 for what is small;
                 Bounds, DEFAULT_BOUNDS and Limits say how far and at what cost
    read, show   schema_to_ir, tool_to_ir, parse_gbnf, tool_calls_grammar -> IR; to_gbnf, enforced_text, sentences of it
    tool calls   CallFormat (detect_format, call_mark, control_tokens, thinks_first), ToolChoice, NamedTool; AnswerSchema
                 (calls, or else an answer of that schema); ToolCallParser and its events ContentText, ThinkingText,
                 CallStarted, ArgumentsText, CallFinished, CallCut
    match        matcher_factory, for a vocabulary
    check        accepts, a text by a grammar; check_arguments -> Violations (ArgumentChecker: of many values;
                 check_arguments_isolated, awaited, by what strangers wrote); canonical_text, a value as a grammar writes it
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from portico_engine.grammar.accept import accepts as accepts
    from portico_engine.grammar.backend import enforced_text as enforced_text
    from portico_engine.grammar.backend import matcher_factory as matcher_factory
    from portico_engine.grammar.bounds import DEFAULT_BOUNDS as DEFAULT_BOUNDS
    from portico_engine.grammar.bounds import Bounds as Bounds
    from portico_engine.grammar.bounds import Limits as Limits
    from portico_engine.grammar.calls.compile import AnswerSchema as AnswerSchema
    from portico_engine.grammar.calls.compile import compile_tool_calls as compile_tool_calls
    from portico_engine.grammar.calls.compile import tool_calls_grammar as tool_calls_grammar
    from portico_engine.grammar.calls.formats import CallFormat as CallFormat
    from portico_engine.grammar.calls.formats import NamedTool as NamedTool
    from portico_engine.grammar.calls.formats import ToolChoice as ToolChoice
    from portico_engine.grammar.calls.formats import call_mark as call_mark
    from portico_engine.grammar.calls.formats import control_tokens as control_tokens
    from portico_engine.grammar.calls.formats import detect_format as detect_format
    from portico_engine.grammar.calls.formats import thinks_first as thinks_first
    from portico_engine.grammar.calls.parser import ArgumentsText as ArgumentsText
    from portico_engine.grammar.calls.parser import CallCut as CallCut
    from portico_engine.grammar.calls.parser import CallFinished as CallFinished
    from portico_engine.grammar.calls.parser import CallStarted as CallStarted
    from portico_engine.grammar.calls.parser import ContentText as ContentText
    from portico_engine.grammar.calls.parser import ThinkingText as ThinkingText
    from portico_engine.grammar.calls.parser import ToolCallParser as ToolCallParser
    from portico_engine.grammar.check import ArgumentChecker as ArgumentChecker
    from portico_engine.grammar.check import Violation as Violation
    from portico_engine.grammar.check import check_arguments as check_arguments
    from portico_engine.grammar.compile import check_gbnf as check_gbnf
    from portico_engine.grammar.compile import compile_gbnf as compile_gbnf
    from portico_engine.grammar.compile import compile_schema as compile_schema
    from portico_engine.grammar.compiled import CompiledGrammar as CompiledGrammar
    from portico_engine.grammar.compiled import CompileReport as CompileReport
    from portico_engine.grammar.gbnf import parse_gbnf as parse_gbnf
    from portico_engine.grammar.gbnf import to_gbnf as to_gbnf
    from portico_engine.grammar.isolated import check_arguments_isolated as check_arguments_isolated
    from portico_engine.grammar.isolated import compile_gbnf_isolated as compile_gbnf_isolated
    from portico_engine.grammar.isolated import compile_schema_isolated as compile_schema_isolated
    from portico_engine.grammar.isolated import compile_tool_calls_here as compile_tool_calls_here
    from portico_engine.grammar.isolated import compile_tool_calls_isolated as compile_tool_calls_isolated
    from portico_engine.grammar.sample import sentences as sentences
    from portico_engine.grammar.schema import schema_to_ir as schema_to_ir
    from portico_engine.grammar.schema import tool_to_ir as tool_to_ir
    from portico_engine.grammar.schema.order import canonical_text as canonical_text

# module of this package -> the names that it has
_EXPORTS = {
    "schema": ("schema_to_ir", "tool_to_ir"),
    "schema.order": ("canonical_text",),
    "gbnf": ("parse_gbnf", "to_gbnf"),
    "calls.formats": ("CallFormat", "NamedTool", "ToolChoice", "call_mark", "control_tokens", "detect_format", "thinks_first"),
    "calls.compile": ("AnswerSchema", "compile_tool_calls", "tool_calls_grammar"),
    "calls.parser": (
        "ArgumentsText",
        "CallCut",
        "CallFinished",
        "CallStarted",
        "ContentText",
        "ThinkingText",
        "ToolCallParser",
    ),
    "bounds": ("Bounds", "DEFAULT_BOUNDS", "Limits"),
    "compile": ("check_gbnf", "compile_gbnf", "compile_schema"),
    "isolated": (
        "check_arguments_isolated",
        "compile_gbnf_isolated",
        "compile_schema_isolated",
        "compile_tool_calls_here",
        "compile_tool_calls_isolated",
    ),
    "compiled": ("CompileReport", "CompiledGrammar"),
    "accept": ("accepts",),
    "backend": ("enforced_text", "matcher_factory"),
    "check": ("ArgumentChecker", "Violation", "check_arguments"),
    "sample": ("sentences",),
}
_HOMES = {name: module for module, names in _EXPORTS.items() for name in names}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
