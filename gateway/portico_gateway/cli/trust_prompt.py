"""How a person at the terminal is asked whether a workspace's configuration counts: what it would start, then y or n.

Nothing in the file is expanded, read or run for that, and what it says is shown inert. Without a terminal one line says that
the file is left out, and how to trust it.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from typing import Any

import click

from portico_gateway.config.config_file import ConfigFile
from portico_gateway.config.portico_config import read_document
from portico_gateway.config.trust import WorkspaceConfig, trust
from portico_gateway.errors import ConfigError
from portico_gateway.safe_output.inert import inert, inert_line

_MAX_VALUE = 2000  # characters of one value; of a longer one both ends are shown, and its length


def ask_trust(found: WorkspaceConfig) -> bool:
    """Ask where a person sits, else leave it out. An `AskTrust`."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return left_out(found)
    try:
        summary = list(what_it_does(found))
    except (ConfigError, UnicodeDecodeError) as error:
        click.echo(inert(f"portico: {found.path} is left out: {error}"), err=True)
        return False
    click.echo(inert(f"{found.path} was not trusted yet. It came with this folder, and would do this:"), err=True)
    for line in summary:
        click.echo(f"  {line}", err=True)
    if not click.confirm("Trust this content?", default=False, err=True):
        return left_out(found)
    trust(found)
    return True


def left_out(found: WorkspaceConfig) -> bool:
    """Say so. An `AskTrust` for a process whose stdin is not a person's."""
    click.echo(inert_line(f"portico: {found}"), err=True)
    return False


def what_it_does(found: WorkspaceConfig) -> Iterator[str]:
    """A line for each server that it would start or reach and for each thing that it sets. Raises ConfigError, UnicodeError."""
    document = read_document(ConfigFile(found.path, found.content.decode("utf-8-sig")))
    servers = document.pop("servers", {})
    for name, entry in servers.items() if isinstance(servers, dict) else ():
        yield inert_line(f"server {name}: {_server(entry)}")
    for section, values in document.items():
        for key, value in values.items() if isinstance(values, dict) else [("", values)]:
            yield inert_line(f"sets {section}{'.' if key else ''}{key} = {_shortened(_as_text(value))}")
    if not document and not servers:
        yield "nothing: it is empty"


def _server(entry: Any) -> str:
    if not isinstance(entry, dict):
        return _shortened(_as_text(entry))
    args = entry.get("args", [])
    words = [str(word) for word in (entry.get("command", ""), *(args if isinstance(args, list) else [args])) if word != ""]
    said = [f"starts {_shortened(shlex.join(words))}"] if words else []
    said += [f"{key} {_shortened(_as_text(value))}" for key, value in entry.items() if key not in ("command", "args")]
    return ", ".join(said)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _shortened(text: str) -> str:
    if len(text) <= _MAX_VALUE:
        return text
    half = _MAX_VALUE // 2
    return f"{text[:half]} ... ({len(text)} characters in all) ... {text[-half:]}"
