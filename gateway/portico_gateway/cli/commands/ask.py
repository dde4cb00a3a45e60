"""`portico ask`: one question about a workspace, answered by the local model through real MCP servers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from portico_gateway.cli import exit_codes
from portico_gateway.cli.asking import AskOptions, answer
from portico_gateway.cli.options import adapter_option, model_option, workspace_options
from portico_gateway.safe_output.inert import inert
from portico_servers.common.unicode_text import plain_text

if TYPE_CHECKING:
    from portico_gateway.background.protocol import AskedQuestion
    from portico_gateway.config.trust import WorkspaceConfig

DEFAULT_STEPS = 4  # of a small model
MAX_QUESTION = 200_000  # characters: no model's context holds more


def _patterns(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    if not values:
        return ()
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
@adapter_option
@click.option(
    "--max-steps",
    type=click.IntRange(1, 64),
    help="Tool calls at most, 4 by default; turns with calls for a model of a billion parameters or more, 12 by default.",
)
@click.option(
    "--allow",
    multiple=True,
    callback=_patterns,
    metavar="PATTERN",
    help='Run these tools without asking, e.g. "files__*"; repeatable.',
)
@click.option("--continue", "go_on", is_flag=True, help="Go on with the last conversation about this workspace.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout, and nothing else.")
@click.option("--no-background", is_flag=True, help="Answer in this process, and leave none behind for the next question.")
def command(
    question: str | None,
    root: Path | None,
    docs: tuple[Path, ...],
    db: tuple[str, ...],
    config: Path | None,
    model: str | None,
    adapter: str | None,
    max_steps: int | None,
    allow: tuple[str, ...],
    go_on: bool,
    as_json: bool,
    no_background: bool,
) -> int:
    """Answer QUESTION (or stdin) about code, documents and databases, with sources."""
    from portico_gateway.background.protocol import AskedQuestion
    from portico_gateway.cli.interrupt import interruptible
    from portico_gateway.cli.process_start import process_start
    from portico_gateway.config.config_file import find_config
    from portico_gateway.config.places import check_places
    from portico_gateway.model.installed import INSTALL_ENGINE, missing_libraries

    text = _question(question)
    options = AskOptions(find_config(config, folder=root, ask=_ask_trust), root, docs, db, model, adapter)
    check_places(root, docs, db)
    given = [str(place) for place in (root or Path.cwd(), *docs, *db, config) if place is not None]
    places = tuple(str(Path(place).absolute()) for place in given)
    asked = AskedQuestion(text, max_steps, allow, go_on, as_json, places, process_start())
    if missing := missing_libraries():
        click.echo(f"portico: the engine is not installed ({', '.join(missing)}): {INSTALL_ENGINE}", err=True)
        return exit_codes.NO_MODEL
    interruptible()
    _suggest(options)
    if not no_background:
        from portico_gateway.cli.ask_background import ask_background

        code = ask_background(asked, options, config)
        if code is not None:
            return code
    from portico_servers.common.collector import collector_paused

    with collector_paused():  # it is soon answered, and the process ends then
        return _ask_here(asked, options)


def _suggest(options: AskOptions) -> None:
    """A better model, once, where the default one is all there is."""
    from portico_gateway.hub.suggestion import suggest_once, was_suggested

    if options.model is not None or not sys.stderr.isatty() or was_suggested():
        return
    from portico_gateway.config.portico_config import parse_config

    config = parse_config(options.config)
    if not config.engine.url and (said := suggest_once(config.model.name)):
        click.echo(inert(f"portico: {said}"), err=True)


def _ask_trust(found: WorkspaceConfig) -> bool:
    """An `AskTrust` that is imported for a file that isn't trusted alone."""
    from portico_gateway.cli.trust_prompt import ask_trust

    return ask_trust(found)


def _ask_here(question: AskedQuestion, options: AskOptions) -> int:
    """Start everything in this process, and end it afterwards."""
    import anyio

    from portico_engine import lean_torch
    from portico_engine.errors import EngineError
    from portico_gateway.assembly.ask_session import open_ask_session
    from portico_gateway.cli.screen import local_screen
    from portico_gateway.config.logs import set_up_logging
    from portico_gateway.config.portico_config import parse_config
    from portico_gateway.config.workspace import workspace_specs
    from portico_gateway.policy.terminal_consent import terminal_caller

    lean_torch()
    loaded = parse_config(options.config, flags=options.flags)
    specs = workspace_specs(loaded, options.root, options.docs, options.db)
    policy = loaded.policy.model_copy(update={"allow": [*loaded.policy.allow, *question.allow]})
    config = loaded.model_copy(update={"policy": policy})
    set_up_logging("ask", loaded.log)
    caller = terminal_caller("portico ask")
    try:
        return anyio.run(
            answer, lambda update: open_ask_session(config, specs, update, caller=caller), question, local_screen()
        )
    except EngineError as error:
        click.echo(inert(f"portico: {error}"), err=True)
        return exit_codes.NO_MODEL


def _question(given: str | None) -> str:
    """What is asked, as text that is Unicode whatever bytes were given."""
    text = sys.stdin.read(MAX_QUESTION + 1) if given in (None, "-") and not sys.stdin.isatty() else (given or "")
    if not text.strip() or text == "-":
        raise click.UsageError('no question: write it after `portico ask`, in quotes, or pipe it in (echo "..." | portico ask)')
    if len(text) > MAX_QUESTION:
        raise click.UsageError(f"a question may have at most {MAX_QUESTION:,} characters")
    return plain_text(text.strip())
