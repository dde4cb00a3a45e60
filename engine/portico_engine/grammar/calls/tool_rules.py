"""All tools' arguments as rules of one grammar, each tool's under a prefix of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from portico_engine.errors import GrammarError
from portico_engine.grammar import ir
from portico_engine.grammar.bounds import Bounds, Limits
from portico_engine.grammar.calls.text_input import text_input_to_ir
from portico_engine.grammar.compiled import CompileReport
from portico_engine.grammar.schema.compiler import degraded, tool_to_ir
from portico_engine.tool import Tool


def tool_rules(
    tools: Sequence[Tool], bounds: Bounds | None, limits: Limits, too_large: Mapping[str, str]
) -> tuple[dict[str, ir.Node], dict[str, ir.Node], CompileReport, dict[str, int]]:
    """All tools' rules; by tool name the node of its arguments; what is not exact; by tool name the number of its rules."""
    rules: dict[str, ir.Node] = {}
    bodies: dict[str, ir.Node] = {}
    reports: list[CompileReport] = []
    sizes: dict[str, int] = {}
    taken: dict[str, int] = {}  # by prefix, the last number that was tried behind it
    for tool in tools:
        prefix = _prefix(tool.name, taken)
        grammar: ir.Grammar | None
        if tool.text_input is not None:
            grammar, report = text_input_to_ir(tool, tool.text_input, prefix, too_large.get(tool.name))
        elif tool.name in too_large:
            grammar, report = degraded(tool.name, "", too_large[tool.name], bounds=bounds, prefix=prefix)
        else:
            text = _text_of(tool)
            grammar, report = tool_to_ir(
                tool.parameters, tool=tool.name, bounds=bounds, limits=limits, prefix=prefix, text=text
            )
        reports.append(report)
        if grammar is not None:
            rules.update(grammar.rules)
            bodies[tool.name] = ir.Ref(grammar.start)
            sizes[tool.name] = len(grammar.rules)
    failed = [entry for report in reports for entry in report.failed]
    if not bodies:
        reasons = "; ".join(f"{each.tool}: at {each.pointer or '/'}, {each.reason}" for each in failed)
        raise GrammarError(f"no tool is left that could be called: {reasons}")
    return rules, bodies, CompileReport().joined(*reports), sizes


def _text_of(tool: Tool) -> str | None:
    try:
        return tool.schema_text
    except (ValueError, RecursionError):  # the compiler says what is wrong
        return None


def _prefix(name: str, taken: dict[str, int]) -> str:
    """What the names of a tool's rules begin with, in GBNF's alphabet. The double dash stands in no other place of a name."""
    base = "-".join(re.findall("[a-zA-Z0-9]+", name)) or "tool"
    if not base[0].isalpha():
        base = f"t-{base}"
    count = taken.get(base, 0) + 1
    unique = base if count == 1 else f"{base}-{count}"
    while unique in taken:
        count += 1
        unique = f"{base}-{count}"
    taken[base] = count
    taken.setdefault(unique, 1)
    return f"{unique}--"
