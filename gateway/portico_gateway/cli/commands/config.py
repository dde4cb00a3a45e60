"""`portico config`: the entry that adds Portico to an MCP host."""

from __future__ import annotations

from pathlib import Path

import click

from portico_gateway.cli.options import workspace_options
from portico_gateway.safe_output.inert import inert, inert_json


@click.command(
    epilog="The entry goes to stdout, where it belongs to stderr. Exit codes: 0 printed, 2 wrong usage or configuration."
)
@click.argument("host", type=click.Choice(["claude-desktop", "claude-code", "vscode", "cursor"]))
@workspace_options
@click.option("--http", "http", is_flag=True, help="For a running `portico serve` instead of a process of the host's own.")
def command(host: str, root: Path | None, docs: tuple[Path, ...], db: tuple[str, ...], config: Path | None, http: bool) -> None:
    """Print the entry that adds Portico to an MCP host."""
    from portico_gateway.cli.trust_prompt import ask_trust
    from portico_gateway.config.config_file import find_config, workspace_file
    from portico_gateway.config.host_entry import HOSTS, host_entry, workspace_args
    from portico_gateway.config.portico_config import parse_config
    from portico_gateway.config.workspace import workspace_specs

    file = find_config(config, folder=root, ask=ask_trust)
    if file is not None and root is None and not docs and not db:
        config = file.path
    loaded = parse_config(file)
    workspace_specs(loaded, root, docs, db)  # names what isn't there now, rather than in the host's log
    chosen = HOSTS[host]
    url = f"http://{loaded.serve.host}:{loaded.serve.port}/mcp" if http else None
    click.echo(inert_json(host_entry(chosen, args=workspace_args(root, docs, db, config), url=url), indent=2))
    if file is not None and file.path == workspace_file():
        click.echo(inert(f"The host names {file.path} itself: edits of it count without being trusted again."), err=True)
    places = "; ".join(f"{place} ({what})" for what, place in chosen.files)
    click.echo(f"Add it to {places}, and restart the host.", err=True)
