"""The entry that adds Portico to an MCP host's configuration. What it gives is printed for the user to paste.

Hosts start servers without a shell: paths are absolute, and nothing is looked up on PATH.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from portico_gateway.config.isolated_python import python_module
from portico_gateway.errors import ConfigError

HostName = Literal["claude-desktop", "claude-code", "vscode", "cursor"]


@dataclass(frozen=True, slots=True)
class Host:
    """How one host writes its servers. `files` are where its configuration lies, by what that is good for."""

    name: HostName
    key: str
    typed: bool  # does it want "type" in an entry?
    takes_url: bool
    files: tuple[tuple[str, str], ...]


HOSTS: dict[str, Host] = {
    host.name: host
    for host in (
        Host(
            "claude-desktop",
            "mcpServers",
            False,
            False,
            (
                ("macOS", "~/Library/Application Support/Claude/claude_desktop_config.json"),
                ("Windows", "%APPDATA%\\Claude\\claude_desktop_config.json"),
                ("Linux", "~/.config/Claude/claude_desktop_config.json"),
            ),
        ),
        Host("claude-code", "mcpServers", True, True, (("this project", ".mcp.json"), ("everywhere", "~/.claude.json"))),
        Host("vscode", "servers", True, True, (("this workspace", ".vscode/mcp.json"),)),
        Host("cursor", "mcpServers", False, True, (("this project", ".cursor/mcp.json"), ("everywhere", "~/.cursor/mcp.json"))),
    )
}


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
    """What goes into the host's file: `{"mcpServers": {"portico": {...}}}`. Raises ConfigError where it can't take a URL."""
    entry: dict[str, Any]
    if url is not None:
        if not host.takes_url:
            raise ConfigError(f"{host.name} starts its servers itself and takes no URL in its file; leave --http out")
        entry = {"type": "http", "url": url} if host.typed else {"url": url}
    else:
        program, *rest = stdio_command()
        entry = {"command": program, "args": [*rest, *args]}
        if host.typed:
            entry = {"type": "stdio", **entry}
    return {host.key: {"portico": entry}}
