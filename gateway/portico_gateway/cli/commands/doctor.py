"""`portico doctor`: is everything there, and is it fast?"""

from __future__ import annotations

import sys
from collections.abc import Iterable

import click

from portico_gateway.cli import exit_codes
from portico_gateway.safe_output.inert import inert, inert_json


@click.command(epilog="Exit codes: 0 nothing is broken, 1 something is.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array on stdout.")
@click.option("--quick", is_flag=True, help="Start no servers.")
def command(as_json: bool, quick: bool) -> None:
    """Check this machine: Python, libraries, model, configuration, hosts' files, port, permissions, servers."""
    import dataclasses

    import anyio

    from portico_gateway.cli.doctor_check import Check
    from portico_gateway.cli.doctor_checks import (
        configuration_checks,
        gateway_check,
        machine_checks,
        model_checks,
        server_checks,
    )

    checks: list[Check] = [*machine_checks(), *model_checks(), *configuration_checks()]
    if not quick:
        if not as_json:
            click.echo("starting each server once ...", err=True)
        checks += anyio.run(server_checks)
        checks.append(gateway_check())
    if as_json:
        click.echo(inert_json([dataclasses.asdict(check) for check in checks], indent=2))
    else:
        _print(checks)
    sys.exit(exit_codes.FAILED if any(check.state == "fail" for check in checks) else exit_codes.OK)


def _print(checks: Iterable[object]) -> None:
    from rich.console import Console
    from rich.table import Table

    from portico_gateway.cli.doctor_check import Check

    styles = {"ok": "green", "warn": "yellow", "fail": "red"}
    table = Table(box=None, pad_edge=False)
    for title in ("", "what", "found", "how to mend it"):
        table.add_column(title, overflow="fold")
    for check in checks:
        assert isinstance(check, Check)
        table.add_row(f"[{styles[check.state]}]{check.state}[/]", *map(_plain, (check.what, check.found, check.mend)))
    Console(highlight=False).print(table)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(inert(text))
