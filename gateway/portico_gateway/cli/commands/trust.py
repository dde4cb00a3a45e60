"""`portico trust`: a workspace's portico.toml counts from now on, with the content that it has now."""

from __future__ import annotations

from pathlib import Path

import click

from portico_gateway.cli import exit_codes
from portico_gateway.safe_output.inert import inert, inert_line


@click.command(
    epilog="A changed file has to be trusted again. Files given by --config, and the one in your own config folder, need no "
    "trust. Exit codes: 0 done, 1 nothing there to revoke, 2 wrong usage or configuration."
)
@click.argument("place", metavar="[DIR]", type=click.Path(path_type=Path), required=False)
@click.option("--list", "show", is_flag=True, help="Show what is trusted.")
@click.option("--revoke", is_flag=True, help="Trust what lies in DIR no more.")
def command(place: Path | None, show: bool, revoke: bool) -> int:
    """Trust a workspace's portico.toml, or show and revoke what is trusted.

    DIR (default: the working directory) is the folder of the file. What it would start is shown on stderr.
    """
    from portico_gateway.cli.trust_prompt import what_it_does
    from portico_gateway.config import trust
    from portico_gateway.config.config_file import FILE_NAME, read_bytes
    from portico_gateway.errors import ConfigError

    if show and (revoke or place is not None):
        raise click.UsageError("--list takes neither DIR nor --revoke")
    if show:
        for each in trust.trusted_configs():
            click.echo(inert_line(f"{each.time}\t{each.sha256[:12]}\t{each.path}"))
        return exit_codes.OK
    place = place or Path.cwd()
    if revoke:
        gone = trust.revoke(place)
        for name in dict.fromkeys(each.path for each in gone):
            click.echo(inert(f"{name} is no longer trusted"), err=True)
        if not gone:
            click.echo(inert(f"portico: nothing in {place} was trusted"), err=True)
        return exit_codes.OK if gone else exit_codes.FAILED
    path = place / FILE_NAME if place.is_dir() else place
    found = trust.WorkspaceConfig(path, read_bytes(path))
    try:
        lines = list(what_it_does(found))
    except UnicodeDecodeError:
        raise ConfigError("this is not UTF-8 text", path=path) from None
    trust.trust(found)
    click.echo(inert(f"{path} is trusted as it is now ({found.sha256[:12]}):"), err=True)
    for line in lines:
        click.echo(f"  {line}", err=True)
    return exit_codes.OK
