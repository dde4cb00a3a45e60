"""An adapter into the user's own folder and configuration, so that `serve` and `ask` know it by name."""

from __future__ import annotations

import shutil
from pathlib import Path

import platformdirs

from portico_gateway.config.config_file import user_file
from portico_gateway.config.edit import with_adapter, write
from portico_gateway.errors import ConfigError


def install_adapter(adapter: Path, name: str, config: Path | None = None) -> tuple[Path, Path]:
    """Copy it, and name it in portico.toml (the user's, unless another is given). Returns where it lies, and the file.

    Raises ConfigError for a name that is none or taken, and then nothing was copied.
    """
    place = platformdirs.user_data_path("portico", appauthor=False) / "adapters" / name
    file = config or user_file()
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    changed = with_adapter(text, name, str(place), file)
    if place.exists():
        raise ConfigError(f"there is an adapter in {place} already; remove it, or give another name")
    place.parent.mkdir(parents=True, exist_ok=True)
    new = place.with_name(f"{name}.new")
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(adapter, new)
    new.replace(place)
    write(file, changed)
    return place, file
