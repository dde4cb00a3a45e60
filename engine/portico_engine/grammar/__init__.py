"""From tool lists, JSON Schemas and GBNF to a matcher: schema or GBNF -> `ir` -> Lark (enforced) and GBNF (shown).

Importing it loads nothing: each name below is imported when it is first asked for, and llguidance when a matcher is made.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from portico_engine.grammar.bounds import DEFAULT_BOUNDS as DEFAULT_BOUNDS
    from portico_engine.grammar.bounds import Bounds as Bounds
    from portico_engine.grammar.bounds import Limits as Limits
    from portico_engine.grammar.calls.compile import compile_tool_calls as compile_tool_calls
    from portico_engine.grammar.calls.compile import tool_calls_grammar as tool_calls_grammar
    from portico_engine.grammar.calls.formats import CallFormat as CallFormat
    from portico_engine.grammar.calls.formats import NamedTool as NamedTool
    from portico_engine.grammar.calls.formats import ToolChoice as ToolChoice
    from portico_engine.grammar.calls.formats import control_tokens as control_tokens
    from portico_engine.grammar.calls.formats import detect_format as detect_format
    from portico_engine.grammar.calls.parser import ArgumentsText as ArgumentsText
    from portico_engine.grammar.calls.parser import CallCut as CallCut
    from portico_engine.grammar.calls.parser import CallFinished as CallFinished
    from portico_engine.grammar.calls.parser import CallStarted as CallStarted
    from portico_engine.grammar.calls.parser import ContentText as ContentText
    from portico_engine.grammar.calls.parser import ThinkingText as ThinkingText
    from portico_engine.grammar.calls.parser import ToolCallParser as ToolCallParser
    from portico_engine.grammar.check import Violation as Violation
    from portico_engine.grammar.check import check_arguments as check_arguments
    from portico_engine.grammar.compiled import CompiledGrammar as CompiledGrammar
    from portico_engine.grammar.compiled import CompileReport as CompileReport
    from portico_engine.grammar.gbnf import check_gbnf as check_gbnf
    from portico_engine.grammar.gbnf import compile_gbnf as compile_gbnf
    from portico_engine.grammar.gbnf import parse_gbnf as parse_gbnf
    from portico_engine.grammar.gbnf import to_gbnf as to_gbnf
    from portico_engine.grammar.llguidance.lark import LarkText as LarkText
    from portico_engine.grammar.llguidance.lark import to_lark as to_lark
    from portico_engine.grammar.llguidance.matcher import LLGuidanceFactory as LLGuidanceFactory
    from portico_engine.grammar.sample import sentences as sentences
    from portico_engine.grammar.schema import compile_schema as compile_schema
    from portico_engine.grammar.schema import schema_to_ir as schema_to_ir
    from portico_engine.grammar.schema import tool_to_ir as tool_to_ir
    from portico_engine.grammar.schema.order import canonical_text as canonical_text

# name -> the module of this package that has it
_HOMES = {
    "CallFormat": "calls.formats",
    "NamedTool": "calls.formats",
    "ToolChoice": "calls.formats",
    "control_tokens": "calls.formats",
    "detect_format": "calls.formats",
    "compile_tool_calls": "calls.compile",
    "tool_calls_grammar": "calls.compile",
    "ArgumentsText": "calls.parser",
    "CallCut": "calls.parser",
    "CallFinished": "calls.parser",
    "CallStarted": "calls.parser",
    "ContentText": "calls.parser",
    "ThinkingText": "calls.parser",
    "ToolCallParser": "calls.parser",
    "Bounds": "bounds",
    "DEFAULT_BOUNDS": "bounds",
    "Limits": "bounds",
    "Violation": "check",
    "check_arguments": "check",
    "LLGuidanceFactory": "llguidance.matcher",
    "canonical_text": "schema.order",
    "compile_schema": "schema",
    "schema_to_ir": "schema",
    "tool_to_ir": "schema",
    "CompileReport": "compiled",
    "CompiledGrammar": "compiled",
    "LarkText": "llguidance.lark",
    "to_lark": "llguidance.lark",
    "check_gbnf": "gbnf",
    "compile_gbnf": "gbnf",
    "parse_gbnf": "gbnf",
    "to_gbnf": "gbnf",
    "sentences": "sample",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
