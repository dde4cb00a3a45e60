"""What begins with a slash: commands about the conversation, each one a function of it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from portico_gateway.cli.chat.session import ChatSession
from portico_gateway.cli.chat.transcript import save_transcript
from portico_gateway.cli.view import figures_line
from portico_gateway.policy.rules import Verdict
from portico_gateway.safe_output.inert import inert, inert_line

_HOW = {Verdict.ALLOW: "runs", Verdict.ASK: "asks", Verdict.DENY: "never"}


class EndOfChat(Exception):
    """The person wants to go."""


class OtherModel(Exception):
    """The person wants another model; the conversation goes on with it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True, slots=True)
class Context:
    """What a command works on."""

    chat: ChatSession
    console: Console

    def say(self, text: str, style: str = "") -> None:
        self.console.print(Text(inert(text), style=style))


async def _tools(context: Context, rest: str) -> None:
    """which tools there are, and which calls ask first"""
    chat = context.chat
    table = Table(box=None, pad_edge=False, show_header=False)
    shown = 0
    for entry in chat.session.upstreams.catalog.tools:
        if rest and rest not in entry.name:
            continue
        shown += 1
        said = next(iter((entry.tool.description or entry.tool.title or "").strip().splitlines()), "")
        how = _HOW[chat.parts.tool_calls.ruling(entry, chat.caller).verdict]
        table.add_row(*(Text(inert_line(cell)) for cell in (entry.name, how, said)))
    context.console.print(table if shown else Text(f"no tool has {rest!r} in its name"))


async def _model(context: Context, rest: str) -> None:
    """the model, or /model NAME|FILE to go on with another"""
    if rest:
        raise OtherModel(rest)
    context.say(context.chat.model)


async def _adapter(context: Context, rest: str) -> None:
    """the adapters, or /adapter NAME to answer under one, /adapter none without"""
    if rest:
        await context.chat.use_adapter(None if rest == "none" else rest)
        context.say(f"answers now as {context.chat.model}")
        return
    known = await context.chat.adapters()
    context.say(f"{context.chat.model}; loaded: {', '.join(known) or 'none'}")


def _rating(rating: str) -> Callable[[Context, str], Awaitable[None]]:
    async def rate(context: Context, rest: str) -> None:
        made = context.chat.rate(rating, rest)
        said = (
            f"noted as {rating}: portico audit --{rating} shows it" if made else "not noted: the log of calls is switched off"
        )
        context.say(said, "dim")

    rate.__doc__ = f"the last answer was {rating}; a comment may follow"
    return rate


async def _stats(context: Context, rest: str) -> None:
    """how fast it was"""
    totals, last = context.chat.totals, context.chat.last
    if last is not None:
        context.say(f"last answer: {figures_line(last.metrics)}")
    known = totals.cached_tokens / totals.prompt_tokens if totals.prompt_tokens else 0.0
    context.say(
        f"{totals.questions} questions, {totals.seconds:.1f} s; {totals.prompt_tokens} tokens read, {known:.0%} of them known "
        f"before; {totals.completion_tokens} written"
    )


async def _save(context: Context, rest: str) -> None:
    """the conversation into a Markdown file, /save FILE or one by the time of day"""
    path = save_transcript(rest or time.strftime("portico-chat-%Y%m%d-%H%M%S.md"), context.chat.exchanges, context.chat.model)
    context.say(f"saved in {path}", "dim")


async def _help(context: Context, rest: str) -> None:
    """this list"""
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, what in HELP.items():
        table.add_row(name, what)
    context.console.print(table)
    context.say("Anything else is a question. Ctrl-C interrupts an answer, Ctrl-D ends.", "dim")


async def _quit(context: Context, rest: str) -> None:
    """end; portico chat --continue goes on"""
    raise EndOfChat


COMMANDS: dict[str, Callable[[Context, str], Awaitable[None]]] = {
    "/tools": _tools,
    "/model": _model,
    "/adapter": _adapter,
    "/good": _rating("good"),
    "/bad": _rating("bad"),
    "/stats": _stats,
    "/save": _save,
    "/help": _help,
    "/quit": _quit,
}
HELP = {name: (command.__doc__ or "") for name, command in COMMANDS.items()}


async def run_command(context: Context, line: str) -> None:
    """Run what the line says. Raises EndOfChat, OtherModel, GatewayError."""
    name, _, rest = line.partition(" ")
    command = COMMANDS.get(name)
    if command is None:
        context.say(f"there is no {name}; there are {', '.join(COMMANDS)}", "red")
        return
    await command(context, rest.strip())
