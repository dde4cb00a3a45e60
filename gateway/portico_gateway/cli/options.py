"""The click options that several commands share: workspace, model, adapter, level of the log. It gives them no meaning."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])

_WORKSPACE = (
    click.option("--root", type=click.Path(path_type=Path), help="Folder of code; default: the working directory."),
    click.option(
        "--docs", type=click.Path(path_type=Path), multiple=True, help="Folder of documents; repeatable; default: the root."
    ),
    click.option("--db", multiple=True, help="Database file or DSN; repeatable; default: the SQLite files in the root."),
    click.option(
        "--config", type=click.Path(path_type=Path), help="portico.toml or a host's mcp.json: its servers instead of ours."
    ),
)
model_option = click.option("--model", metavar="NAME|FILE.gguf", help="The model; default: SmolLM2-135M-Instruct.")
adapter_option = click.option(
    "--adapter", metavar="NAME", help="The adapter that answers: default (Portico's own), one of [model.adapters], or none."
)
log_level_option = click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="How much goes to the log file."
)


class Seconds(click.FloatRange):
    """A range of times; `nan` and `inf`, which floats can be, are none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        seconds = super().convert(value, param, ctx)
        if not math.isfinite(seconds):
            self.fail(f"{value!r} is no number of seconds", param, ctx)
        return seconds


def workspace_options(command: _Command) -> _Command:
    """Adds --root, --docs, --db and --config to a click command."""
    for option in reversed(_WORKSPACE):
        command = option(command)
    return command
