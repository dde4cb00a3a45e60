"""The entry that adds Portico to an MCP host's configuration.

Hosts start servers without a shell: paths are absolute, and nothing is looked up on PATH.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from portico_gateway.config.edit import with_server
from portico_gateway.config.hosts.registry import Host
from portico_gateway.config.isolated_python import python_module
from portico_gateway.errors import ConfigError
from portico_gateway.safe_output.inert import inert_json

NAME = "portico"  # of the server, in every host


def stdio_command() -> list[str]:
    """This installation's `portico stdio`: the script beside the interpreter, or the interpreter itself."""
    script = Path(sys.executable).with_name("portico")
    return [str(script), "stdio"] if script.is_file() else python_module("portico_gateway", "stdio")


def workspace_args(root: Path | None, docs: Sequence[Path], db: Sequence[str], config: Path | None) -> list[str]:
    """The options of `portico stdio` that give the same workspace from any working directory."""
    args: list[str] = []
    if config is not None:
        args += ["--config", str(config.absolute())]
    if root is not None or config is None:
        args += ["--root", str((root or Path.cwd()).absolute())]
    for folder in docs:
        args += ["--docs", str(folder.absolute())]
    for file in db:
        args += ["--db", file if "://" in file else str(Path(file).absolute())]
    return args


def host_entry(host: Host, *, args: Sequence[str] = (), url: str | None = None) -> dict[str, Any]:
    """What stands under Portico's name in the host's file. Raises ConfigError where the host can't take a URL."""
    if url is not None:
        if host.url_key is None:
            raise ConfigError(f"{host.name} starts its servers itself and takes no URL in its file; leave --http out")
        return {**({"type": "http"} if host.typed else {}), host.url_key: url}
    program, *rest = stdio_command()
    typed = {"type": "stdio"} if host.typed else {}
    return {**typed, **host.extra, "command": program, "args": [*rest, *args]}


def entry_text(host: Host, entry: dict[str, Any]) -> str:
    """A whole file of the host's with this entry alone."""
    if host.toml:
        return with_server("", NAME, entry, host.file("user", Path()), table=host.key).rstrip("\n")
    return inert_json({host.key: {NAME: entry}}, indent=2)
