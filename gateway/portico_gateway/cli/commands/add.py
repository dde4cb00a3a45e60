"""`portico add`: another MCP server beside Portico's own."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from portico_gateway.cli import exit_codes
from portico_gateway.safe_output.inert import inert


def _pairs(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = [value.partition("=") for value in values]
    if wrong := next((name for name, equals, _ in pairs if not (name and equals)), None):
        raise click.BadParameter(f"{wrong!r} is not NAME=VALUE")
    return {name: value for name, _, value in pairs}


@click.command(
    epilog='For example: portico add files -- npx -y some-server "$HOME/notes". Values may be ${VAR}, which is looked up at '
    "each start. Exit codes: 0 added, 2 wrong usage or configuration."
)
@click.argument("name")
@click.argument("program", metavar="[-- COMMAND...]", nargs=-1)
@click.option("--url", help="A server that runs, by HTTP, instead of a command.")
@click.option("--env", multiple=True, callback=_pairs, metavar="NAME=VALUE", help="For the server's environment; repeatable.")
@click.option("--header", multiple=True, callback=_pairs, metavar="NAME=VALUE", help="For requests to --url; repeatable.")
@click.option("--workspace", is_flag=True, help="Into the working directory's portico.toml; default: the user's.")
@click.option("--config", type=click.Path(path_type=Path), help="Into this portico.toml.")
def command(
    name: str,
    program: tuple[str, ...],
    url: str | None,
    env: dict[str, str],
    header: dict[str, str],
    workspace: bool,
    config: Path | None,
) -> int:
    """Add an MCP server to portico.toml, and leave the rest of the file as it is."""
    from portico_gateway.cli.server_edits import edit
    from portico_gateway.config.edit import Value, with_server

    if bool(program) == bool(url):
        raise click.UsageError("give either a command after -- or --url URL")
    if (header and program) or (env and url):
        raise click.UsageError("--env is for a command, --header for a --url")
    if workspace and config:
        raise click.UsageError("give --workspace or --config, not both")
    command_entry: dict[str, Value] = {"command": program[0] if program else "", "args": program[1:], "env": env}
    entry: dict[str, Value] = {"url": url, "headers": header} if url else command_entry
    path = edit(config, workspace, lambda text, path: with_server(text, name, entry, path))
    click.echo(inert(f"{name} is in {path}; its tools: portico tools {name}"), err=True)
    if program and "${" not in program[0] and shutil.which(program[0]) is None:
        click.echo(inert(f"portico: {program[0]} is no program on this machine: until it is, {name} has no tools"), err=True)
    return exit_codes.OK
