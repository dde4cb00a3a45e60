"""The folders and databases that a command was given, checked before anything is read or started."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from portico_gateway.errors import ConfigError


def check_places(root: Path | None, docs: Sequence[Path], db: Sequence[str]) -> None:
    """Raises ConfigError for a folder or file that isn't there."""
    for option, folder in [("--root", root), *(("--docs", folder) for folder in docs)]:
        if folder is not None and not folder.is_dir():
            what = "is not a folder" if folder.exists() else "is not there"
            raise ConfigError(f"{option} {folder} {what}; give an existing folder")
    for file in db:
        if "://" not in file and not Path(file).is_file():
            raise ConfigError(f"--db {file} is not there; give an existing database file or a DSN")
