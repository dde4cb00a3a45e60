"""`portico server code|docs|db`: one of Portico's own servers, in place of this process."""

from __future__ import annotations

import os
import sys

import click

from portico_gateway.config.isolated_python import python_module

_SUMMARIES = {
    "code": "Code search: portico server code DIR...",
    "docs": "Documentation search: portico server docs DIR...",
    "db": "Databases, read-only: portico server db FILE...",
}


@click.group(epilog="The same as portico-code, portico-docs and portico-db; `portico server code --help` shows its options.")
def command() -> None:
    """Run one of Portico's own MCP servers."""


def _add(kind: str, summary: str) -> None:
    @command.command(kind, short_help=summary, add_help_option=False, context_settings={"ignore_unknown_options": True})
    @click.argument("args", nargs=-1, type=click.UNPROCESSED)
    def run(args: tuple[str, ...]) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(sys.executable, python_module(f"portico_servers.{kind}", *args))


for _kind, _summary in _SUMMARIES.items():
    _add(_kind, _summary)
