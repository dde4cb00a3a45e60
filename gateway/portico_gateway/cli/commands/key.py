"""`portico key new`: a bearer key for the HTTP side, shown once; portico.toml keeps its hash."""

from __future__ import annotations

import re
from typing import get_args

import click

from portico_gateway.config.sections import Scope


@click.group()
def command() -> None:
    """Make keys for the HTTP side."""


@command.command(name="new")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(get_args(Scope)),
    default=("chat", "mcp"),
    show_default=True,
    help="What it opens: chat (/v1), mcp (/mcp), metrics, admin (everything, approvals too); repeatable.",
)
def new(name: str, scopes: tuple[str, ...]) -> None:
    """Make a key for NAME: the key goes to stdout, the lines for portico.toml to stderr."""
    from portico_gateway.http.middleware.keys import new_key

    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        raise click.UsageError("NAME must be 1 to 64 letters, digits, - or _")
    key, digest = new_key()
    listed = ", ".join(f'"{scope}"' for scope in dict.fromkeys(scopes))
    click.echo("The key is shown this once. Add these lines to portico.toml:\n", err=True)
    click.echo(f'[keys.{name}]\nsha256 = "{digest}"\nscopes = [{listed}]\n', err=True)
    click.echo(key)
