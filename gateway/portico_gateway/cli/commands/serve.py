"""`portico serve`: the model under OpenAI's and Anthropic's API, and MCP over HTTP."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from portico_gateway.cli import exit_codes
from portico_gateway.cli.options import log_level_option, model_option, workspace_options
from portico_gateway.safe_output.inert import inert


@click.command(
    epilog="Exit codes: 0 stopped (SIGTERM), 1 the port can't be had, 2 wrong usage or configuration, 3 the model can't be "
    "loaded, 130 interrupted (Ctrl-C)."
)
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port to listen on; 0 picks a free one.  [default: 8630]")
@click.option("--socket", type=click.Path(path_type=Path), help="Unix socket to listen on, in place of host and port.")
@model_option
@click.option("--no-model", is_flag=True, help="Serve MCP only.")
@click.option("--context", type=int, help="Context length in tokens; default: the model's own.")
@click.option("--allow-host", multiple=True, metavar="NAME", help="A further name of this machine to answer to; repeatable.")
@click.option(
    "--without-keys", is_flag=True, help="Serve whoever reaches an address beyond this machine, although there are no keys."
)
@workspace_options
@log_level_option
def command(
    host: str | None,
    port: int | None,
    socket: Path | None,
    model: str | None,
    no_model: bool,
    context: int | None,
    allow_host: tuple[str, ...],
    without_keys: bool,
    root: Path | None,
    docs: tuple[Path, ...],
    db: tuple[str, ...],
    config: Path | None,
    log_level: str | None,
) -> None:
    """Serve the model under OpenAI's and Anthropic's API, and MCP, over HTTP.

    /v1/chat/completions, /v1/responses and /v1/models speak OpenAI's protocol, /v1/messages speaks Anthropic's, /mcp is an MCP
    server with all tools of all servers, /healthz tells how everything is.
    """
    from functools import partial

    from portico_engine.errors import ModelError
    from portico_gateway.assembly.serve import ServeFailed, run_server
    from portico_gateway.cli.asking import AskOptions
    from portico_gateway.cli.background_process import listen_beside
    from portico_gateway.cli.interrupt import interruptible
    from portico_gateway.cli.trust_prompt import ask_trust
    from portico_gateway.config.config_file import find_config
    from portico_gateway.config.portico_config import parse_config
    from portico_gateway.config.workspace import config_source, workspace_specs
    from portico_gateway.hub.suggestion import suggest_once

    flags = {
        "serve.host": host,
        "serve.port": port,
        "serve.socket": socket,
        "serve.allowed_hosts": list(allow_host) or None,
        "serve.without_keys": without_keys or None,
        "model.name": model,
        "model.context": context,
        "log.level": log_level,
    }
    file = find_config(config, folder=root, ask=ask_trust)
    loaded = parse_config(file, flags=flags)
    specs = workspace_specs(loaded, root, docs, db)
    interruptible()
    source = config_source(config, flags, root, docs, db)
    answers = loaded.background.enabled and context is None  # else its model is not the one that `ask` would load
    about = AskOptions(file, root, docs, db, model)
    beside = partial(listen_beside, about, "serve", guidance=loaded.model.guidance) if answers else None
    if not no_model and (said := suggest_once(loaded.model.name)):
        click.echo(inert(f"portico: {said}"), err=True)
    try:
        run_server(loaded, specs, with_model=not no_model, source=source, beside=beside)
    except (ModelError, ServeFailed) as error:
        click.echo(inert(f"portico: {error}"), err=True)
        sys.exit(exit_codes.NO_MODEL)
