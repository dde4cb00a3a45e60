"""`portico config`: the entry that adds Portico to an MCP host, printed, put into the host's file, or taken out of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from portico_gateway.cli.options import workspace_options
from portico_gateway.safe_output.inert import inert

if TYPE_CHECKING:
    from portico_gateway.config.hosts.installed import Change

HOST_NAMES = ["claude-desktop", "claude-code", "vscode", "cursor", "windsurf", "zed", "codex", "gemini"]


@click.command(
    epilog="The entry goes to stdout, where it belongs to stderr. Exit codes: 0 done, 2 wrong usage or configuration; a host's "
    "file that can't be read is left as it is."
)
@click.argument("host", type=click.Choice(HOST_NAMES))
@workspace_options
@click.option("--http", "http", is_flag=True, help="For a running `portico serve` instead of a process of the host's own.")
@click.option("--install", is_flag=True, help="Put the entry into the host's file; a copy of the file is kept beside it.")
@click.option("--remove", is_flag=True, help="Take the entry out of the host's file; a copy of the file is kept beside it.")
@click.option(
    "--scope",
    type=click.Choice(["project", "user"]),
    help="The file of this project (of --root), or the one for everything; default: the project's, where the host has one.",
)
def command(
    host: str,
    root: Path | None,
    docs: tuple[Path, ...],
    db: tuple[str, ...],
    config: Path | None,
    http: bool,
    install: bool,
    remove: bool,
    scope: Literal["project", "user"] | None,
) -> None:
    """Print the entry that adds Portico to an MCP host, put it into the host's file, or take it out."""
    from portico_gateway.config.hosts import installed
    from portico_gateway.config.hosts.entry import entry_text, host_entry, workspace_args
    from portico_gateway.config.hosts.registry import HOSTS

    if install and remove:
        raise click.UsageError("--install and --remove can't go together: give one of them")
    chosen = HOSTS[host]
    if scope is not None and scope not in chosen.scopes:
        raise click.UsageError(f"{chosen.title} has no file for one {scope}; its scope is {chosen.scopes[0]}")
    file = chosen.file(scope or chosen.scopes[0], (root or Path.cwd()).absolute())
    if remove:
        _say(installed.remove(chosen, file), f"has no entry of {chosen.title}'s for Portico", chosen.title)
        return
    url, config = _checked(root, docs, db, config, http)
    entry = host_entry(chosen, args=workspace_args(root, docs, db, config), url=url)
    if install:
        _say(installed.install(chosen, file, entry), "says so already", chosen.title)
        return
    click.echo(entry_text(chosen, entry))
    places = "; ".join(f"{chosen.file(each, Path())} (--scope {each})" for each in chosen.scopes)
    click.echo(inert(f"Add it to {places}, or have that done by --install; then restart the host."), err=True)


def _checked(
    root: Path | None, docs: tuple[Path, ...], db: tuple[str, ...], config: Path | None, http: bool
) -> tuple[str | None, Path | None]:
    """The URL of a server that runs, if that is asked for, and the configuration file that the host is to name. Raises
    ConfigError for what isn't there: said now, rather than in the host's log."""
    from portico_gateway.cli.trust_prompt import ask_trust
    from portico_gateway.config.config_file import find_config, workspace_file
    from portico_gateway.config.portico_config import parse_config
    from portico_gateway.config.workspace import workspace_specs

    file = find_config(config, folder=root, ask=ask_trust)
    if file is not None and root is None and not docs and not db:
        config = file.path
    loaded = parse_config(file)
    workspace_specs(loaded, root, docs, db)
    if file is not None and file.path == workspace_file():
        click.echo(inert(f"The host names {file.path} itself: edits of it count without being trusted again."), err=True)
    return f"http://{loaded.serve.host}:{loaded.serve.port}/mcp" if http else None, config


def _say(change: Change, unchanged: str, title: str) -> None:
    if not change.changed:
        click.echo(inert(f"portico: {change.path} {unchanged}; nothing was changed"), err=True)
        return
    kept = f" (as it was: {change.backup})" if change.backup is not None else ""
    click.echo(inert(f"portico: {change.path} was written{kept}; restart {title}"), err=True)
