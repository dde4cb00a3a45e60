"""Which portico.toml `portico add` and `portico remove` write, and that what they wrote counts.

It owns the choice of the file, that nothing is written which would not load, and the trust of a workspace's file: it goes on
where the content before was trusted, for the content that was written here.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click

from portico_gateway.config.config_file import FILE_NAME, ConfigFile, named_file, read_bytes, user_file, workspace_file
from portico_gateway.config.edit import write
from portico_gateway.config.portico_config import parse_config
from portico_gateway.config.trust import WorkspaceConfig, is_trusted, trust
from portico_gateway.errors import ConfigError
from portico_gateway.safe_output.inert import inert


def edit(config: Path | None, in_workspace: bool, change: Callable[[str, Path], str]) -> Path:
    """Change the text of the file that is meant. Raises GatewayError, and then nothing was written."""
    named = named_file(config, os.environ)
    path = Path.cwd() / FILE_NAME if in_workspace else named or user_file()
    if path.suffix.lower() == ".json":
        raise ConfigError("this is a host's own file; portico writes portico.toml alone", path=path)
    if in_workspace and not Path(os.path.realpath(path)).is_relative_to(Path.cwd()):
        raise ConfigError("this is a link out of the workspace: give the file that is meant by --config", path=path)
    needs_trust = in_workspace and workspace_file() is not None
    before = WorkspaceConfig(path, read_bytes(path) if path.exists() else b"")
    if needs_trust and not is_trusted(before):
        raise ConfigError(f"this content is not trusted yet; look at it, then: portico trust {path.parent}", path=path)
    try:
        text = before.content.decode()
    except UnicodeDecodeError:
        raise ConfigError("this is not UTF-8 text", path=path) from None
    changed = change(text, path)
    parse_config(ConfigFile(path, changed))  # what is wrong with it is said before it is written
    write(path, changed)
    if in_workspace:
        trust(WorkspaceConfig(path, changed.encode()))
    _say_what_counts(path)
    return path


def _say_what_counts(path: Path) -> None:
    """Another file may count here."""
    other = named_file(None, os.environ) or workspace_file()
    if other is not None and os.path.realpath(other) != os.path.realpath(path):
        click.echo(inert(f"portico: in this folder {other} counts instead of {path}"), err=True)
