"""Which servers a command works with: those of the configuration, or Portico's own over the folders and databases given.

It owns the choice between the two, the errors for folders and files that aren't there, and where to read the choice anew when
the file changes. It starts nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portico_gateway.config.portico_config import PorticoConfig, config_file, load_config
from portico_gateway.config.server_spec import UpstreamSpec, default_specs
from portico_gateway.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ConfigSource:
    """Where a configuration came from. `read` reads it and its servers anew, with the same flags; it may raise ConfigError."""

    path: Path
    read: Callable[[], tuple[PorticoConfig, Sequence[UpstreamSpec]]]


def workspace_specs(
    config: PorticoConfig, root: Path | None = None, docs: Sequence[Path] = (), db: Sequence[str] = ()
) -> tuple[UpstreamSpec, ...]:
    """The servers of the configuration; or ours, where folders or databases are given or nothing is configured.

    Raises ConfigError for a folder or file that isn't there.
    """
    for option, folder in [("--root", root), *(("--docs", folder) for folder in docs)]:
        if folder is not None and not folder.is_dir():
            what = "is not a folder" if folder.exists() else "is not there"
            raise ConfigError(f"{option} {folder} {what}; give an existing folder")
    for file in db:
        if "://" not in file and not Path(file).is_file():
            raise ConfigError(f"--db {file} is not there; give an existing database file or a DSN")
    if config.servers and root is None and not docs and not db:
        return config.specs()
    return default_specs(root, list(docs) or None, list(db) or None)


def config_source(
    config: Path | None, flags: Mapping[str, Any], root: Path | None, docs: Sequence[Path], db: Sequence[str]
) -> ConfigSource | None:
    """The configuration file that a command with these options reads; None where there is no file."""
    path = config or config_file(os.environ, root)
    if path is None:
        return None

    def read() -> tuple[PorticoConfig, Sequence[UpstreamSpec]]:
        loaded = load_config(path, flags=flags)
        return loaded, workspace_specs(loaded, root, docs, db)

    return ConfigSource(path, read)
