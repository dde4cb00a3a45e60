"""`portico launch`: a coding agent on the local model, with nothing of its own configuration changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from portico_gateway.cli import exit_codes
from portico_gateway.safe_output.inert import inert

if TYPE_CHECKING:
    from portico_gateway.config.sections import ServeConfig

_SMALL_CONTEXT = 32_768  # tokens


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog="Exit codes: the client's own; 1 it is not installed, or no model can be had; 2 wrong usage or configuration.",
)
@click.option("--url", help="A running `portico serve`; default: [serve] of the configuration, or one that is started for it.")
@click.option("--key", envvar="PORTICO_KEY", help="A bearer key with the scope chat, where the server has keys.")
@click.option("--model", metavar="NAME", help="One of the server's models or adapters; default: its model.")
@click.option("--config", type=click.Path(path_type=Path), help="portico.toml; for a server that is started, too.")
@click.option("--print", "print_only", is_flag=True, help="Print the client's variables and command line, and start nothing.")
@click.argument("client", type=click.Choice(["codex", "claude", "opencode"]))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(
    url: str | None,
    key: str | None,
    model: str | None,
    config: Path | None,
    print_only: bool,
    client: str,
    arguments: tuple[str, ...],
) -> int:
    """Start Codex, Claude Code or opencode on the local model; ARGUMENTS go to the client as they are."""
    import os
    import shlex
    import shutil
    import signal
    import subprocess

    from portico_gateway.cli.launch_clients import CLIENTS, NO_KEY, client_environ
    from portico_gateway.cli.launch_server import local_model
    from portico_gateway.cli.trust_prompt import ask_trust
    from portico_gateway.config.portico_config import load_config

    chosen = CLIENTS[client]
    program = shutil.which(chosen.program)
    if program is None and not print_only:
        click.echo(f"portico: {chosen.program} is not on PATH; {chosen.title} is installed by: {chosen.install}", err=True)
        return exit_codes.FAILED
    serve = load_config(config, ask=ask_trust).serve
    where = (url or _address(serve)).rstrip("/").removesuffix("/v1")
    serve_args = () if config is None else ("--config", str(config.absolute()))
    with local_model(where, key or NO_KEY, model, serve_args, _say) as found:
        start = chosen.start(found, os.environ)
        if print_only:
            for name, value in start.set.items():
                shown = "..." if value == key else value
                click.echo(inert(f"{name}={shlex.quote(shown)}"))
            click.echo(inert(shlex.join([chosen.program, *start.arguments, *arguments])))
            return exit_codes.OK
        if found.context is not None and found.context < _SMALL_CONTEXT:
            _say(f"{found.name} has a context of {found.context} tokens; agents' instructions and tools alone often need more")
        assert program is not None
        command_line = [program, *start.arguments, *arguments]
        before = signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C is the client's, which starts with the default
        try:
            ended = subprocess.run(command_line, env=client_environ(start, os.environ), check=False)
        finally:
            signal.signal(signal.SIGINT, before)
    return ended.returncode if ended.returncode >= 0 else 128 - ended.returncode


def _address(serve: ServeConfig) -> str:
    """Where `portico serve` is reached from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(serve.host, serve.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{serve.port}"


def _say(text: str) -> None:
    click.echo(inert(f"portico: {text}"), err=True)
