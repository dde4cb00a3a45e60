"""`portico chat`: a conversation about a workspace at the terminal, by the local model through real MCP servers."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from portico_gateway.cli import exit_codes
from portico_gateway.cli.options import model_option, workspace_options
from portico_gateway.safe_output.inert import inert

if TYPE_CHECKING:
    from portico_gateway.assembly.ask_session import AskParts, Update

INSTALL_CHAT = "pip install 'portico-mcp[chat]'"


@click.command(
    epilog="Exit codes: 0 ended, 2 wrong usage or configuration, 3 the model can't be loaded, 4 no server could be started."
)
@workspace_options
@model_option
@click.option("--continue", "go_on", is_flag=True, help="Go on with the last conversation about this workspace.")
def command(
    root: Path | None, docs: tuple[Path, ...], db: tuple[str, ...], config: Path | None, model: str | None, go_on: bool
) -> int:
    """Talk with the local model about code, documents and databases; calls are approved or edited as they come."""
    from portico_gateway.model.installed import INSTALL_ENGINE, missing_libraries

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("a conversation needs a terminal; portico ask answers one question without")
    if importlib.util.find_spec("prompt_toolkit") is None:
        click.echo(f"portico: prompt_toolkit is not installed: {INSTALL_CHAT}", err=True)
        return exit_codes.FAILED
    if missing := missing_libraries():
        click.echo(f"portico: the engine is not installed ({', '.join(missing)}): {INSTALL_ENGINE}", err=True)
        return exit_codes.NO_MODEL
    return _chat(root, docs, db, config, model, go_on)


def _chat(
    root: Path | None, docs: tuple[Path, ...], db: tuple[str, ...], config: Path | None, model: str | None, go_on: bool
) -> int:
    import anyio
    from rich.console import Console

    from portico_engine import lean_torch
    from portico_engine.errors import EngineError
    from portico_gateway.assembly.ask_session import open_ask_parts
    from portico_gateway.cli.chat.loop import Chat
    from portico_gateway.cli.interrupt import interruptible
    from portico_gateway.cli.trust_prompt import ask_trust
    from portico_gateway.config.config_file import find_config
    from portico_gateway.config.logs import set_up_logging
    from portico_gateway.config.portico_config import parse_config
    from portico_gateway.config.workspace import workspace_specs

    lean_torch()
    file = find_config(config, folder=root, ask=ask_trust)
    loaded = parse_config(file, flags={"model.name": model})
    specs = workspace_specs(loaded, root, docs, db)
    set_up_logging("chat", loaded.log)
    interruptible()
    places = [str(Path(each).absolute()) for each in (root or Path.cwd(), *docs, *db, config) if each is not None]

    def open_parts(name: str | None, update: Update) -> AbstractAsyncContextManager[AskParts]:
        chosen = loaded if name is None else parse_config(file, flags={"model.name": name, "engine.url": ""})
        return open_ask_parts(chosen, specs, update)

    try:
        anyio.run(Chat(open_parts, places, Console(highlight=False), resume=go_on).run)
    except EngineError as error:
        click.echo(inert(f"portico: {error}"), err=True)
        return exit_codes.NO_MODEL
    return exit_codes.OK
