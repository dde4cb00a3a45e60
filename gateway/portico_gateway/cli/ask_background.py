"""`portico ask` by a process that stays: the thin client's side, and how that process answers.

The client's side imports nothing that takes long. What goes wrong with the process costs one line, and the command answers by
itself.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from portico_gateway.background.client import BackgroundLost, ask, connect_or_start
from portico_gateway.background.key import BackgroundKey, background_key
from portico_gateway.background.protocol import AskedQuestion
from portico_gateway.cli import exit_codes
from portico_gateway.config.isolated_python import python_module
from portico_gateway.errors import GatewayError
from portico_gateway.safe_output.inert import inert

if TYPE_CHECKING:
    from portico_gateway.cli.asking import AskOptions
    from portico_gateway.config.config_file import ConfigFile

_NO = ("0", "false", "no", "off")


def key_of(options: AskOptions) -> BackgroundKey:
    return background_key(
        options.config,
        root=options.root,
        docs=options.docs,
        db=options.db,
        model=options.model,
        adapter=options.adapter,
    )


def ask_background(question: AskedQuestion, options: AskOptions, config: Path | None) -> int | None:
    """The exit code; None where this process has to answer, which one line says where it isn't meant so."""
    if not is_enabled(options.config):
        return None
    try:
        connection = connect_or_start(key_of(options), _command(options, config))
        return ask(connection, question, _confirm)
    except BackgroundLost as error:
        if not error.nothing_shown:
            click.echo(f"portico: {error}; ask again", err=True)
            return exit_codes.FAILED
        click.echo(f"portico: {error}; this process answers", err=True)
    except GatewayError as error:
        click.echo(inert(f"portico: there is no background process, so this one answers: {error}"), err=True)
    return None


def _confirm(question: Any) -> Any:
    from portico_gateway.policy.terminal_consent import ask_at_terminal

    return ask_at_terminal(question)


def is_enabled(config: ConfigFile | None) -> bool:
    """`enabled` under [background], or its variable, read without the whole configuration: a mistake in it is said later."""
    if given := os.environ.get("PORTICO_BACKGROUND_ENABLED"):
        return given.lower() not in _NO
    if config is None or config.is_json:
        return True
    try:
        return tomllib.loads(config.text).get("background", {}).get("enabled") is not False
    except (tomllib.TOMLDecodeError, AttributeError, RecursionError):
        return True


def _command(options: AskOptions, config: Path | None) -> list[str]:
    """How the process is started: with the same options, in the same folder."""
    places = [("--root", options.root), *(("--docs", docs) for docs in options.docs), *(("--db", db) for db in options.db)]
    given = [*places, ("--config", config), ("--model", options.model), ("--adapter", options.adapter)]
    words = [f"{option}={value}" for option, value in given if value is not None]
    return python_module("portico_gateway", "background", "run", *words)
