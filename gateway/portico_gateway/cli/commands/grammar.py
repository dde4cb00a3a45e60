"""`portico grammar`: what tools, a schema or a GBNF file compile to, and what is not exact about it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from portico_gateway.cli import exit_codes
from portico_gateway.cli.options import Seconds
from portico_gateway.safe_output.inert import inert

if TYPE_CHECKING:
    from portico_engine.grammar import CompileReport
    from portico_engine.grammar.ir import Grammar
    from portico_gateway.cli.grammar_input import GrammarInput

_EPILOG = """\b
Examples:
  portico grammar tools.json                     the GBNF of a tools/list answer
  portico grammar --report npx -y some-server    what is bounded or looser, tool by tool
  portico grammar --check my.gbnf --sample 5     is it right, and what does it allow?

\b
Exit codes: 0 every tool, schema or grammar compiles; 1 one does not (a tool is degraded to
any object, or left out; a schema nothing satisfies; an error in the GBNF); 2 wrong usage, or
a file that is neither JSON nor GBNF; 4 the server can't be reached."""


@click.command(
    epilog=_EPILOG,
    context_settings={"ignore_unknown_options": True},  # a server's command has options of its own
)
@click.argument("source", nargs=-1, type=click.UNPROCESSED)
@click.option("--report", is_flag=True, help="Show what is looser than the schemas and which open ends got a bound.")
@click.option("--check", metavar="FILE.gbnf", type=click.Path(path_type=Path), help="Check a GBNF file instead of a SOURCE.")
@click.option("--sample", metavar="N", type=click.IntRange(1, 10_000), help="Print N random sentences of the grammar.")
@click.option("--seed", type=int, help="Makes --sample repeatable.")
@click.option(
    "--for",
    "target",
    type=click.Choice(["portico", "llama.cpp", "lark"]),
    default="portico",
    show_default=True,
    help="Whom the grammar is printed for: llama.cpp within its limits; lark is the text that is enforced here.",
)
@click.option(
    "--format",
    "call_format",
    type=click.Choice(["generic", "hermes", "llama3", "mistral", "mistral-args"]),
    default="generic",
    show_default=True,
    help="The model family's way to write tool calls.",
)
@click.option("--parallel", metavar="N", type=click.IntRange(1), default=1, show_default=True, help="At most N calls at once.")
@click.option("--timeout", type=Seconds(0.1), default=30.0, show_default=True, help="Seconds a server may take to start.")
def command(
    source: tuple[str, ...],
    report: bool,
    check: Path | None,
    sample: int | None,
    seed: int | None,
    target: Literal["portico", "llama.cpp", "lark"],
    call_format: str,
    parallel: int,
    timeout: float,
) -> int:
    """Show the grammar that tools, a schema or a GBNF file compile to.

    SOURCE is a file (a tools/list answer, {"tools": [...]}, a JSON Schema, or GBNF), - for stdin, the URL of an MCP server, or
    the command that starts one (after -- where the command's options are named like these).
    """
    from portico_gateway.cli.grammar_input import GbnfInput, read_input, read_text

    if (check is None) == (not source):
        raise click.UsageError("give a SOURCE, or --check FILE.gbnf" if check is None else "--check takes the place of SOURCE")
    given: GrammarInput = GbnfInput(read_text(check), str(check)) if check is not None else read_input(source, timeout=timeout)
    grammar, compiled = _compile(given, call_format, parallel)
    if sample is not None:
        _print_sentences(grammar, sample, seed)
    elif report:
        _print_report(compiled)
    elif check is not None:
        _print_verdict(given, grammar, compiled)
    else:
        _print_grammar(grammar, target)
    if not report:
        _print_failures(compiled)
    return exit_codes.FAILED if compiled.failed else exit_codes.OK


def _compile(given: GrammarInput, call_format: str, parallel: int) -> tuple[Grammar, CompileReport]:
    from dataclasses import replace

    from portico_engine.grammar import CallFormat, check_gbnf, schema_to_ir, tool_calls_grammar
    from portico_gateway.cli.grammar_input import GbnfInput, SchemaInput

    if isinstance(given, GbnfInput):
        compiled = check_gbnf(given.text)
        assert compiled.ir is not None
        return compiled.ir, compiled.report
    if isinstance(given, SchemaInput):
        return schema_to_ir(given.schema)
    grammar, report, _, _ = tool_calls_grammar(given.tools, format=CallFormat(call_format), parallel=(1, parallel))
    notes = (*_failures(report), *(f"looser: {each.tool} {each.pointer}: {each.what}" for each in report.loosened))
    return replace(grammar, notes=(*grammar.notes, *notes)), report


def _print_grammar(grammar: Grammar, target: Literal["portico", "llama.cpp", "lark"]) -> None:
    from portico_engine.grammar import enforced_text, to_gbnf

    if target == "lark":
        click.echo(inert(enforced_text(grammar).text), nl=False)
        return
    text = to_gbnf(grammar, target=target)
    click.echo(inert(text), nl=False)
    for line in text.splitlines():
        if line.startswith("# looser in rule"):
            click.echo(inert(line.removeprefix("# ")), err=True)


def _print_sentences(grammar: Grammar, count: int, seed: int | None) -> None:
    from portico_engine.grammar import sentences

    for sentence in sentences(grammar, count, seed=seed):
        click.echo(inert(sentence))


def _print_verdict(given: GrammarInput, grammar: Grammar, report: CompileReport) -> None:
    from portico_gateway.cli.grammar_input import GbnfInput

    assert isinstance(given, GbnfInput)
    rules = len(grammar.rules)
    took = f"compiled in {report.compile_seconds * 1000:.1f} ms"
    click.echo(inert(f"{given.name}: right, {rules} rule{'s' if rules != 1 else ''}, {took}"))
    for note in report.notes:
        click.echo(inert(f"  note: {note}"))


def _print_failures(report: CompileReport) -> None:
    for line in _failures(report):
        click.echo(inert(f"portico: {line}"), err=True)


def _failures(report: CompileReport) -> Iterator[str]:
    for each in report.failed:
        how = "takes any object" if each.degraded else "is left out"
        yield f"{each.tool} {how}: at {each.pointer or '/'}, {each.reason}"


def _print_report(report: CompileReport) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False)
    for title in ("tool", "", "where", "what the grammar does"):
        table.add_column(title, overflow="fold")
    for failure in report.failed:
        how = "takes any object instead" if failure.degraded else "left out"
        table.add_row(*_cells(failure.tool, "[red]failed[/]", failure.pointer or "/", f"{how}: {failure.reason}"))
    for looser in report.loosened:
        table.add_row(*_cells(looser.tool, "[yellow]looser[/]", looser.pointer, f"{looser.keyword}: {looser.what}"))
    for tool, kind, value, places in _bounds(report):
        table.add_row(*_cells(tool, "[dim]bound[/]", places, _bound_words(kind, value)))
    if table.row_count:
        console.print(table)
    for note in report.notes:
        console.print(f"note: {_plain(note)}")
    console.print(
        f"{len(report.failed)} failed, {len(report.loosened)} looser, {len(report.bounds)} open ends bounded; "
        f"compiled in {report.compile_seconds * 1000:.1f} ms"
    )


def _cells(tool: str, state: str, where: str, what: str) -> tuple[str, str, str, str]:
    """Of one row; `state` alone has markup, which is ours."""
    return _plain(tool), state, _plain(where), _plain(what)


def _bounds(report: CompileReport) -> Iterator[tuple[str, str, int, str]]:
    """Bounds of one tool and kind on one row."""
    groups: dict[tuple[str, str, int], list[str]] = {}
    for bound in report.bounds:
        groups.setdefault((bound.tool, bound.bound, bound.value), []).append(bound.pointer or "/")
    for (tool, kind, value), pointers in groups.items():
        more = f" and {len(pointers) - 3} more" if len(pointers) > 3 else ""
        yield tool, kind, value, ", ".join(pointers[:3]) + more


def _bound_words(kind: str, value: int) -> str:
    match kind:
        case "string":
            return f"at most {value} characters"
        case "integer" | "number":
            return f"at most {value} digits"
        case "array":
            return f"at most {value} items"
        case "object":
            return f"at most {value} further properties" if value else "no properties but the declared ones"
        case _:
            return f"at most {value} levels deep"


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(inert(text))
