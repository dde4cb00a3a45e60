"""`portico key`: bearer keys for the HTTP side. A key is shown once; portico.toml keeps its hash."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import click

from portico_gateway.cli import exit_codes
from portico_gateway.config.sections import Scope
from portico_gateway.safe_output.inert import inert

_UNITS = {"h": "hours", "d": "days", "w": "weeks"}
_WHICH = [
    click.option("--workspace", is_flag=True, help="In the working directory's portico.toml; default: the user's."),
    click.option("--config", type=click.Path(path_type=Path), help="In this portico.toml."),
]


def _which_file(command: click.decorators.FC) -> click.decorators.FC:
    for option in reversed(_WHICH):
        command = option(command)
    return command


def _when(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    """The end of a time such as 30d, from now on."""
    if value is None:
        return None
    found = re.fullmatch(r"(\d{1,5})([hdw])", value)
    if found is None or not int(found[1]):
        raise click.BadParameter("it must be a number of hours, days or weeks, as 12h, 30d or 4w")
    return datetime.now(UTC).replace(microsecond=0) + timedelta(**{_UNITS[found[2]]: int(found[1])})


@click.group()
def command() -> None:
    """Keys for the HTTP side: make, list, rotate and revoke them."""


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
@click.option("--expires", callback=_when, metavar="TIME", help="After which it opens nothing: 12h, 30d, 4w.")
def new(name: str, scopes: tuple[str, ...], expires: datetime | None) -> None:
    """Make a key for NAME: the key goes to stdout, the lines for portico.toml to stderr."""
    from portico_gateway.http.middleware.keys import new_key

    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        raise click.UsageError("NAME must be 1 to 64 letters, digits, - or _")
    key, digest = new_key()
    listed = ", ".join(f'"{scope}"' for scope in dict.fromkeys(scopes))
    ends = f"expires = {expires.isoformat().replace('+00:00', 'Z')}\n" if expires is not None else ""
    click.echo("The key is shown this once. Add these lines to portico.toml:\n", err=True)
    click.echo(f'[keys.{name}]\nsha256 = "{digest}"\nscopes = [{listed}]\n{ends}', err=True)
    click.echo(key)


@command.command(name="list")
@click.option("--config", type=click.Path(path_type=Path), help="Of this portico.toml.")
def list_keys(config: Path | None) -> None:
    """The keys of portico.toml: name, scopes, when each ends, what it may use. No key can be read back."""
    from portico_gateway.config.portico_config import load_config

    now = datetime.now(UTC)
    keys = load_config(config).keys
    for name, key in keys.items():
        ends = "" if key.expires is None else f"  {'expired' if key.is_over(now) else 'expires'} {key.expires.isoformat()}"
        of_day = (("requests", key.requests_per_day), ("tokens", key.tokens_per_day))
        quotas = "".join(f"  {most} {what} a day" for what, most in of_day if most is not None)
        click.echo(inert(f"{name}  {', '.join(key.scopes)}{ends}{quotas}"))
    if not keys:
        click.echo("there are no keys; make one with portico key new NAME", err=True)


@command.command(name="revoke")
@click.argument("name")
@_which_file
def revoke(name: str, workspace: bool, config: Path | None) -> int:
    """Take the key NAME out of portico.toml. A running `portico serve` refuses it once it has read the file again."""
    from portico_gateway.cli.server_edits import edit
    from portico_gateway.config.edit import without_server

    path = edit(config, workspace, lambda text, path: without_server(text, name, path, table="keys"))
    click.echo(inert(f"{name} is out of {path}"), err=True)
    return exit_codes.OK


@command.command(name="rotate")
@click.argument("name")
@_which_file
def rotate(name: str, workspace: bool, config: Path | None) -> int:
    """Put another key in the place of NAME's, which stops; scopes and limits stay. The key goes to stdout."""
    from portico_gateway.cli.server_edits import edit
    from portico_gateway.config.edit import with_other_hash
    from portico_gateway.http.middleware.keys import new_key

    key, digest = new_key()
    path = edit(config, workspace, lambda text, path: with_other_hash(text, name, digest, path))
    click.echo(inert(f"the key of {name} in {path} is another now, shown this once; the old one stops"), err=True)
    click.echo(key)
    return exit_codes.OK
