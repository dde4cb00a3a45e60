"""`portico ask`: one question about a workspace, answered by the local model through real MCP servers."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from portico_gateway.cli import exit_codes
from portico_gateway.cli.options import model_option, workspace_options
from portico_gateway.safe_output.inert import inert

if TYPE_CHECKING:
    from portico_gateway.agent.events import Event, RunFinished
    from portico_gateway.config.portico_config import PorticoConfig
    from portico_gateway.config.server_spec import UpstreamSpec

DEFAULT_STEPS = 4


def _patterns(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    from portico_gateway.config.sections import checked_pattern

    try:
        return tuple(checked_pattern(value) for value in values)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command(
    epilog="Exit codes: 0 answered, 1 no answer, 2 wrong usage or configuration, 3 the model can't be loaded or can't take "
    "the question, 4 no server could be started, 130 interrupted."
)
@click.argument("question", required=False)
@workspace_options
@model_option
@click.option("--max-steps", type=click.IntRange(1, 16), default=DEFAULT_STEPS, show_default=True, help="Tool calls at most.")
@click.option(
    "--allow",
    multiple=True,
    callback=_patterns,
    metavar="PATTERN",
    help='Run these tools without asking, e.g. "files__*"; repeatable.',
)
@click.option("--continue", "go_on", is_flag=True, help="Go on with the last conversation about this workspace.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout, and nothing else.")
def command(
    question: str | None,
    root: Path | None,
    docs: tuple[Path, ...],
    db: tuple[str, ...],
    config: Path | None,
    model: str | None,
    max_steps: int,
    allow: tuple[str, ...],
    go_on: bool,
    as_json: bool,
) -> int:
    """Answer QUESTION (or stdin) about code, documents and databases, with sources."""
    import anyio

    from portico_engine.errors import EngineError
    from portico_gateway.cli.interrupt import interruptible
    from portico_gateway.cli.trust_prompt import ask_trust
    from portico_gateway.config.logs import set_up_logging
    from portico_gateway.config.portico_config import load_config
    from portico_gateway.config.workspace import workspace_specs
    from portico_gateway.model.installed import INSTALL_ENGINE, missing_libraries

    question = _question(question)
    loaded = load_config(config, flags={"model.name": model}, folder=root, ask=ask_trust)
    specs = workspace_specs(loaded, root, docs, db)
    given = [str(place) for place in (root or Path.cwd(), *docs, *db, config) if place is not None]
    places = [str(Path(place).absolute()) for place in given]
    if missing := missing_libraries():
        click.echo(f"portico: the engine is not installed ({', '.join(missing)}): {INSTALL_ENGINE}", err=True)
        return exit_codes.NO_MODEL
    interruptible()
    set_up_logging("ask", loaded.log)
    try:
        return anyio.run(_run, question, specs, places, loaded, allow, max_steps, go_on, as_json)
    except EngineError as error:
        click.echo(inert(f"portico: {error}"), err=True)
        return exit_codes.NO_MODEL


def _question(given: str | None) -> str:
    text = sys.stdin.read() if given in (None, "-") and not sys.stdin.isatty() else (given or "")
    if not text.strip() or text == "-":
        raise click.UsageError('no question: write it after `portico ask`, in quotes, or pipe it in (echo "..." | portico ask)')
    return text.strip()


async def _run(
    question: str,
    specs: tuple[UpstreamSpec, ...],
    places: Sequence[str],
    config: PorticoConfig,
    allow: Sequence[str],
    max_steps: int,
    go_on: bool,
    as_json: bool,
) -> int:
    from rich.console import Console

    from portico_gateway.agent import conversation
    from portico_gateway.assembly.ask_session import open_ask_session
    from portico_gateway.cli.view import ProgressLine, TerminalView, as_json_object
    from portico_gateway.policy.terminal_consent import terminal_caller

    stderr = Console(stderr=True)
    kept = conversation.path_of(places)
    history = conversation.load(kept) if go_on else []
    handle = None if as_json else TerminalView(Console(highlight=False)).handle
    policy = config.policy.model_copy(update={"allow": [*config.policy.allow, *allow]})
    config = config.model_copy(update={"policy": policy})
    with ProgressLine(stderr) as progress:
        async with open_ask_session(config, specs, progress.update, caller=terminal_caller("portico ask")) as session:
            progress.stop()
            for server, why in session.failures().items():
                stderr.print(inert(f"server {server} is not available: {why}"), style="red", highlight=False, markup=False)
            if not session.host.tools():
                stderr.print("no server could be started, so there is nothing to ask", style="red")
                return exit_codes.UNREACHABLE
            finished = await _watch(session.agent.ask(question, history=history, max_steps=max_steps), handle)
            failures = session.failures()
    if as_json:
        click.echo(as_json_object(finished, failures, session.model))
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": finished.answer or "No answer."}]
    try:
        conversation.save(kept, [*history, *turns])
    except OSError as error:  # a disk that is full or read-only costs --continue, and not the answer
        click.echo(inert(f"portico: the conversation can't be kept in {kept}: {error.strerror or error}"), err=True)
    return exit_codes.of_answer(finished)


async def _watch(events: AsyncIterator[Event], handle: Callable[[Event], None] | None) -> RunFinished:
    from portico_gateway.agent.events import RunFinished

    async for event in events:
        if handle is not None:
            handle(event)
        if isinstance(event, RunFinished):
            return event
    raise AssertionError("the loop ended without an end")
