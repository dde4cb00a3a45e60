"""`portico background`: the processes that `portico ask` leaves behind to answer the next question at once."""

from __future__ import annotations

from pathlib import Path

import click

from portico_gateway.cli import exit_codes
from portico_gateway.cli.options import adapter_option, model_option, workspace_options
from portico_gateway.safe_output.inert import inert, inert_json


@click.group()
def command() -> None:
    """Show and stop the processes that answer questions at once."""


@command.command("list", epilog="Exit codes: 0 always.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array on stdout.")
def list_(as_json: bool) -> int:
    """Show what runs: kind, process id, folder, memory, since when."""
    from dataclasses import asdict

    from portico_gateway.cli.background_list import describe, running

    found = [status for _, status in running()]
    if as_json:
        click.echo(inert_json([asdict(status) for status in found], indent=2))
        return exit_codes.OK
    for status in found:
        click.echo(inert(describe(status)))
    if not found:
        click.echo("no process runs in the background", err=True)
    return exit_codes.OK


@command.command("stop", epilog="Exit codes: 0 stopped, 1 nothing to stop.")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
def stop(folder: Path | None) -> int:
    """Stop the processes of FOLDER, or all. Questions under way are answered first."""
    import os

    from portico_gateway.background.client import request
    from portico_gateway.cli.background_list import describe, running
    from portico_gateway.errors import GatewayError

    wanted = None if folder is None else os.path.realpath(folder)
    stopped = 0
    for place, status in running():
        if wanted not in (None, status.folder):
            continue
        try:
            stopped += request(place, "stop") is not None
            click.echo(inert(f"stopped {describe(status)}"))
        except GatewayError as error:
            click.echo(inert(f"portico: {status.pid} is not stopped: {error}"), err=True)
    if not stopped:
        click.echo("portico: there is nothing to stop", err=True)
    return exit_codes.OK if stopped else exit_codes.FAILED


@command.command("run", hidden=True)
@workspace_options
@model_option
@adapter_option
def run(
    root: Path | None,
    docs: tuple[Path, ...],
    db: tuple[str, ...],
    config: Path | None,
    model: str | None,
    adapter: str | None,
) -> int:
    """Be such a process; `portico ask` starts it."""
    from portico_gateway.background.socket_place import only_one, socket_place
    from portico_gateway.cli.ask_background import key_of
    from portico_gateway.cli.asking import AskOptions
    from portico_gateway.config.config_file import find_config
    from portico_servers.common.collector import pause_collector

    options = AskOptions(find_config(config, folder=root, ask=lambda _: False), root, docs, db, model, adapter)
    key = key_of(options)
    place = socket_place(key)
    with only_one(place) as alone:
        if alone:
            pause_collector()  # until everything is open
            from portico_engine import lean_torch
            from portico_gateway.cli.background_process import run_background

            lean_torch()
            run_background(place, key, options)
    return exit_codes.OK
