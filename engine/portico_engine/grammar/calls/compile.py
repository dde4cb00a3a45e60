"""Tools and a tool choice -> one grammar that allows the family's calls with valid arguments and nothing else.

It owns how the grammars of single tools are joined and how free text ends where a call begins. What a tool's schema means is
`schema`'s affair. One bad tool never spoils the others: it is degraded or left out, and the report says so.
"""

from __future__ import annotations

import gc
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from portico_engine.errors import GrammarError, GrammarTooLarge
from portico_engine.grammar import ir
from portico_engine.grammar.bounds import DEFAULT_BOUNDS, Bounds, Limits
from portico_engine.grammar.cache import ByteCache
from portico_engine.grammar.calls.formats import (
    ANSWER_MARK,
    CALLS_BEGIN,
    THINK_CLOSE,
    THINK_OPEN,
    CallFormat,
    Envelope,
    NamedTool,
    ToolChoice,
    envelope,
)
from portico_engine.grammar.calls.tool_rules import tool_rules
from portico_engine.grammar.compile import Enforced, Joined, enforced_or_looser
from portico_engine.grammar.compiled import CompiledGrammar, CompileReport
from portico_engine.grammar.regular.markers import up_to, without
from portico_engine.grammar.schema.compiler import RULE_BYTES, schema_to_ir
from portico_engine.tool import Tool

CALL = "call"  # the rule of one call, an object
_ANSWER = "answer"  # what the names of the answer's rules begin with, where it has a schema
_SPACE = ir.chars(" \t\r\n")

_catalogs: ByteCache[CompiledGrammar] = ByteCache(32 * 1024 * 1024)


class AnswerSchema(NamedTuple):
    """What an answer is that is no call: JSON of a schema."""

    schema: Any


class CallGrammar(NamedTuple):
    """The joined grammar before it is printed, what is not exact in it, and how many rules each tool has in it."""

    grammar: ir.Grammar
    report: CompileReport
    sizes: Mapping[str, int]
    json_rules: tuple[str, ...] = (CALL,)  # whose texts are JSON, and none can be read beside another


def compile_tool_calls(
    tools: Sequence[Tool],
    *,
    choice: ToolChoice = "required",
    answer: AnswerSchema | None = None,
    format: CallFormat = CallFormat.GENERIC,
    parallel: tuple[int, int] = (1, 1),
    thinking: int | None = None,
    special_tokens: Mapping[str, int] | None = None,
    bounds: Bounds | None = DEFAULT_BOUNDS,
    limits: Limits | None = None,
    too_large: Mapping[str, str] | None = None,
) -> CompiledGrammar:
    """The enforced grammar of `tools`; see `tool_calls_grammar` for what the arguments mean and which errors it raises.

    Where all together are too large for the matcher, the largest tool is degraded, and the next, until they are not.

    Kept by what it was made from, a bounded number of bytes of them: the same tools compile once. So does each single tool
    (in `tool_to_ir`).
    """
    began = time.perf_counter()
    key = _key(tools, choice, (answer, format, parallel, thinking, special_tokens, bounds, limits, too_large))
    known = _catalogs.get(key)
    if known is not None:
        return known
    limits = limits or Limits()
    join = partial(
        tool_calls_grammar,
        tools,
        choice=choice,
        answer=answer,
        format=format,
        parallel=parallel,
        thinking=thinking,
        special_tokens=special_tokens,
        bounds=bounds,
    )
    with _collector_paused():
        grammar, report, printed = _enforced(join, limits, dict(too_large or {}))
    report = replace(report, compile_seconds=time.perf_counter() - began)
    compiled = CompiledGrammar(printed.text, report, grammar, printed.open_strings)
    _catalogs.put(key, compiled, RULE_BYTES * len(grammar.rules) + 4 * (len(printed.text) + _size(tools)))
    return compiled


def kept_tool_calls(
    tools: Sequence[Tool],
    *,
    choice: ToolChoice = "required",
    answer: AnswerSchema | None = None,
    format: CallFormat = CallFormat.GENERIC,
    parallel: tuple[int, int] = (1, 1),
    thinking: int | None = None,
    special_tokens: Mapping[str, int] | None = None,
) -> CompiledGrammar | None:
    """What `compile_tool_calls` keeps of these, where it was compiled before: in tens of microseconds."""
    return _catalogs.get(_key(tools, choice, (answer, format, parallel, thinking, special_tokens, DEFAULT_BOUNDS, None, None)))


def _key(tools: Sequence[Tool], choice: ToolChoice, options: tuple[Any, ...]) -> Hashable:
    """The order of properties counts, since it is the order that they are written in."""
    answer, format, parallel, thinking, special_tokens, bounds, limits, too_large = options
    try:
        return (
            tuple([(tool.name, tool.schema_text, tool.text_input) for tool in tools]),
            (choice.name,) if isinstance(choice, NamedTool) else choice,
            None if answer is None else (json.dumps(answer.schema),),
            (
                format,
                parallel,
                thinking,
                tuple((special_tokens or {}).items()),
                bounds,
                limits,
                tuple((too_large or {}).items()),
            ),
        )
    except (ValueError, RecursionError):
        raise GrammarTooLarge("a tool's schema holds a number of thousands of digits, or nests too deeply") from None


def _size(tools: Sequence[Tool]) -> int:
    return sum(len(tool.schema_text) for tool in tools)


def _enforced(join: Callable[..., CallGrammar], limits: Limits, too_large: dict[str, str]) -> Enforced:
    sizes: dict[str, int] = {}

    def attempt(degraded: Mapping[str, str]) -> Enforced | GrammarTooLarge:
        def make(limits: Limits) -> Joined:
            joined = join(limits=limits, too_large=degraded)
            sizes.update({name: size for name, size in joined.sizes.items() if name not in degraded})
            return Joined(joined.grammar, joined.report, joined.json_rules)

        try:
            return enforced_or_looser(make, limits)
        except GrammarTooLarge as error:
            return error

    found = attempt(too_large)
    if not isinstance(found, GrammarTooLarge):
        return found
    limits = replace(limits, residues=0)  # counting has been tried without
    largest = sorted((name for name in sizes if name not in too_large), key=lambda name: -sizes[name])
    return _fewest(lambda count: attempt({**too_large, **dict.fromkeys(largest[:count], str(found))}), len(largest), found)


def _fewest(attempt: Callable[[int], Enforced | GrammarTooLarge], most: int, refused: GrammarTooLarge) -> Enforced:
    """What the least number does it with, or an eighth more, by doubling and halving: each attempt joins all tools anew. Raises
    what the last attempt met, where not even `most` do; `refused` is what none met."""
    low, high = 0, min(1, most)
    found: Enforced | GrammarTooLarge = refused
    while isinstance(found, GrammarTooLarge):
        if low == most:
            raise found
        found = attempt(high)
        if isinstance(found, GrammarTooLarge):
            low, high = high, min(2 * high, most)
    while high - low > max(1, high // 8):
        middle = (low + high) // 2
        fewer = attempt(middle)
        if isinstance(fewer, GrammarTooLarge):
            low = middle
        else:
            found, high = fewer, middle
    return found


@contextmanager
def _collector_paused() -> Iterator[None]:
    """A catalog makes some hundred thousand objects and no cycles: the collector would walk them, and all others, for
    nothing (a sixth of the time)."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def tool_calls_grammar(
    tools: Sequence[Tool],
    *,
    choice: ToolChoice = "required",
    answer: AnswerSchema | None = None,
    format: CallFormat = CallFormat.GENERIC,
    parallel: tuple[int, int] = (1, 1),
    thinking: int | None = None,
    special_tokens: Mapping[str, int] | None = None,
    bounds: Bounds | None = DEFAULT_BOUNDS,
    limits: Limits | None = None,
    too_large: Mapping[str, str] | None = None,
) -> CallGrammar:
    """Join the tools' grammars into one.

    choice     "required": calls only. "auto": free text, or free text up to the family's marker and then calls (a family
               without a marker calls where its first visible character is the call's own, and free text begins with neither {
               nor [, however many calls are allowed: it would be read as one). "none": free text without calls.
               NamedTool: calls of this tool only.
    answer     with "auto": in place of free text, JSON of this schema, and then nothing stands before a call. Where the
               family has no marker, ANSWER_MARK stands before the answer.
    parallel   fewest and most calls in one answer, once there is one. With GENERIC, more than one possible makes a JSON array.
    thinking   the answer begins with a thought: `<think>` unless the prompt opened it, at most so many characters, `</think>`.
    special_tokens   ids of an envelope's `control` texts that are tokens of the model (Mistral's [TOOL_CALLS]); others are
               plain text.
    too_large  by name, tools that are degraded to "any JSON object", and why.

    Raises GrammarError for no tools, a name used twice, an unknown named tool, bad bounds, or where no tool is left to call.
    """
    fewest, most = parallel
    if not 1 <= fewest <= most:
        raise GrammarError(f"parallel bounds must be 1 <= fewest <= most, not {fewest} and {most}")
    if thinking is not None and thinking < 0:
        raise GrammarError(f"a thinking budget must be 0 or more characters, not {thinking}")
    if choice == "none":
        return CallGrammar(_finished({}, _free_text(envelope(format, array=False)), thinking), CompileReport(), {})
    family = envelope(format, array=most > 1)
    rules, bodies, report, sizes = tool_rules(_chosen(tools, choice), bounds, limits or Limits(), too_large or {})
    known = special_tokens or {}
    write = partial(_fixed, ids={text: known[text] for text in family.control if text in known})
    rules[CALL] = _one_call(family, bodies, write)
    body = _run_of_calls(family, fewest, most, write)
    marker = write(family.marker or "")
    json_rules: tuple[str, ...] = (CALL,)
    if choice == "auto" and answer is not None:
        start, answer_report = _answer_rules(answer, rules, bounds, limits or Limits())
        report, json_rules = report.joined(answer_report), (CALL, start)
        body = ir.alt(ir.seq(marker, body), ir.seq(ir.text("" if family.marker else ANSWER_MARK), ir.Ref(start)))
    elif choice == "auto":
        body = _auto(family, body, marker if isinstance(marker, ir.TokenRef) else None)
    else:
        body = ir.seq(marker, body)
        if thinking is not None and not isinstance(marker, ir.TokenRef):
            body = ir.seq(ir.repeat(ir.chars("\n"), 0, 2), body)
    return CallGrammar(_finished(rules, body, thinking), report, sizes, json_rules)


def _answer_rules(
    answer: AnswerSchema, rules: dict[str, ir.Node], bounds: Bounds | None, limits: Limits
) -> tuple[str, CompileReport]:
    """Adds the answer's rules to the tools'; where they start, and what is not exact. Errors as `schema_to_ir`."""
    number = 0
    while any(name.startswith(prefix := f"{_ANSWER}{number or ''}--") for name in rules):
        number += 1
    grammar, report = schema_to_ir(answer.schema, bounds=bounds, limits=limits, prefix=prefix)
    rules.update(grammar.rules)
    return grammar.start, report


def _chosen(tools: Sequence[Tool], choice: ToolChoice) -> Sequence[Tool]:
    names = [tool.name for tool in tools]
    twice = {name for name, count in Counter(names).items() if count > 1}
    if twice:
        raise GrammarError(f"tool names must differ; used more than once: {', '.join(sorted(twice))}")
    if not isinstance(choice, NamedTool):
        if not tools:
            raise GrammarError(f"tool_choice {choice!r} needs at least one tool")
        return tools
    for tool in tools:
        if tool.name == choice.name:
            return [tool]
    raise GrammarError(f"tool_choice names {choice.name!r}, which is not among the tools: {', '.join(names) or 'none'}")


def _fixed(value: str, ids: Mapping[str, int]) -> ir.Node:
    """Fixed text of an envelope; what is a control token of the model is that token."""
    if not ids:
        return ir.text(value)
    pieces = re.split("(" + "|".join(map(re.escape, ids)) + ")", value)
    return ir.seq(*(ir.TokenRef(ids[piece]) if piece in ids else ir.text(piece) for piece in pieces))


def _one_call(family: Envelope, bodies: Mapping[str, ir.Node], write: Callable[[str], ir.Node]) -> ir.Node:
    name_of = (lambda name: name) if family.bare else _quoted
    options = [ir.seq(write(name_of(name) + family.arguments), arguments) for name, arguments in bodies.items()]
    return ir.seq(write(family.name), ir.alt(*options), write(family.end))


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def _run_of_calls(family: Envelope, fewest: int, most: int, write: Callable[[str], ir.Node]) -> ir.Node:
    """What follows the marker: the first call, and the others with all that stands between."""
    call = ir.Ref(CALL)
    more = ir.repeat(ir.seq(write(family.separator), call), fewest - 1, most - 1)
    return ir.seq(write(family.begin), call, more, write(family.finish))


def _free_text(family: Envelope) -> ir.Node:
    if family.marker:
        return without(family.marker)
    calls_begin = ir.merge_ranges((ord(c), ord(c)) for c in " \t\r\n" + CALLS_BEGIN)
    text = ir.seq(ir.repeat(_SPACE), ir.optional(ir.seq(ir.Chars(ir.complement(calls_begin)), ir.ANY_TEXT)))
    return ir.And((text, ir.Not(ir.seq(ir.repeat(_SPACE), ir.text(family.tag), ir.ANY_TEXT)))) if family.tag else text


def _auto(family: Envelope, calls: ir.Node, token: ir.TokenRef | None) -> ir.Node:
    """Free text, or calls, or free text with calls at its end."""
    if token is not None:
        return ir.seq(ir.ANY_TEXT, ir.optional(ir.seq(token, calls)))
    if family.marker:
        return ir.alt(without(family.marker), ir.seq(up_to(family.marker), calls))
    return ir.alt(_free_text(family), ir.seq(ir.repeat(_SPACE), calls))


def _finished(rules: dict[str, ir.Node], body: ir.Node, thinking: int | None) -> ir.Grammar:
    if thinking is not None:
        rules["thought"] = up_to(THINK_CLOSE, len(THINK_OPEN) + 1 + thinking)
        body = ir.seq(ir.Ref("thought"), body)
    return ir.Grammar({"root": body, **rules})
