"""`portico remove`: an MCP server that was added goes."""

from __future__ import annotations

from pathlib import Path

import click

from portico_gateway.cli import exit_codes
from portico_gateway.safe_output.inert import inert


@click.command(epilog="Exit codes: 0 removed, 1 there is no such server, 2 wrong usage or configuration.")
@click.argument("name")
@click.option("--workspace", is_flag=True, help="From the working directory's portico.toml; default: the user's.")
@click.option("--config", type=click.Path(path_type=Path), help="From this portico.toml.")
def command(name: str, workspace: bool, config: Path | None) -> int:
    """Take an MCP server out of portico.toml, and leave the rest of the file as it is."""
    from portico_gateway.cli.server_edits import edit
    from portico_gateway.config.edit import without_server

    if workspace and config:
        raise click.UsageError("give --workspace or --config, not both")
    path = edit(config, workspace, lambda text, path: without_server(text, name, path))
    click.echo(inert(f"{name} is no longer in {path}"), err=True)
    return exit_codes.OK
