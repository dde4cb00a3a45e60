"""What two processes must have in common for one to answer for the other, as a digest.

The workspace and its options, the content of the configuration that counts, the part of the environment that reaches servers
and settings, this installation and its version. It reads files and starts nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from portico_gateway.config.config_file import ConfigFile
from portico_servers.common.version import package_version

_VARIABLES = ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")
_SERVERS_VARIABLES = ("PATH", "SHELL", "USER", "LOGNAME", "PYTHONPATH")  # what programs of the configuration are given, too
_MENTIONED = re.compile(r"\$\{(?:env:)?(\w+)")


@dataclass(frozen=True, slots=True)
class BackgroundKey:
    """`digest` is of all that counts, `folder` among it; it is a part of file names."""

    folder: Path
    digest: str


def background_key(
    config: ConfigFile | None,
    *,
    root: Path | None = None,
    docs: Sequence[Path] = (),
    db: Sequence[str] = (),
    model: str | None = None,
    adapter: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> BackgroundKey:
    """The key of a command with these options, whose configuration is `config`. Paths count from the working directory."""
    environ = os.environ if environ is None else environ
    folder = Path(os.path.realpath(root or Path.cwd()))
    whole = {
        "installation": [package_version(), sys.executable, _package_state()],
        "folder": str(folder),
        "named": bool(root or docs or db) and config is not None and (config.is_json or "own_servers" in config.text),
        "docs": [os.path.realpath(path) for path in docs] or [str(folder)],
        "db": [file if "://" in file else os.path.realpath(file) for file in db],
        "config": None if config is None else [os.path.realpath(config.path), config.text],
        "model": _absolute_model(model),
        "adapter": adapter,
        "environ": _relevant(environ, "" if config is None else config.text),
    }
    return BackgroundKey(folder, hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:16])


def _absolute_model(model: str | None) -> str | None:
    """A known name as it is, a file by its path."""
    return os.path.realpath(model) if model is not None and os.path.exists(model) else model


def _relevant(environ: Mapping[str, str], config: str) -> dict[str, str]:
    names = {*_VARIABLES, *_MENTIONED.findall(config), *(name for name in environ if name.startswith("PORTICO_"))}
    if config:
        names |= {*_SERVERS_VARIABLES}
    return {name: environ[name] for name in sorted(names) if name in environ}


def _package_state() -> int:
    """When the newest module of the gateway, the engine and the servers was written: one version may be worked on."""
    gateway = Path(__file__).parents[1]
    beside = [gateway, gateway.parents[1] / "engine" / "portico_engine", gateway.parents[1] / "servers" / "portico_servers"]
    beside += [gateway.parent / "portico_engine", gateway.parent / "portico_servers"]
    return max(_newest(str(folder)) for folder in beside)


def _newest(folder: str) -> int:
    newest = 0
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return 0
    for entry in entries:
        if entry.name.endswith(".py"):
            newest = max(newest, entry.stat().st_mtime_ns)
        elif entry.name != "__pycache__" and entry.is_dir(follow_symlinks=False):
            newest = max(newest, _newest(entry.path))
    return newest
