"""Portico's entry put into a host's own file and taken out again, and what such a file says of Portico now.

It owns reading and replacing the file: a byte order mark, line ends and permissions stay, a copy of what was there is kept, and
what can't be read is never written. It knows no host by name.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from portico_gateway.config.config_file import is_there, read_bytes
from portico_gateway.config.edit import toml_document, with_server, without_server, write
from portico_gateway.config.hosts import json_member
from portico_gateway.config.hosts.entry import NAME
from portico_gateway.config.hosts.registry import Host
from portico_gateway.errors import ConfigError

_BOM = "\ufeff"
_MAX_BYTES = 32 << 20  # a host may keep its history beside its servers
_OURS = frozenset(["type", "command", "args", "url", "serverUrl", "httpUrl", "source"])  # what an entry of ours decides


class Change(NamedTuple):
    """What became of a host's file; `backup`: the copy of what it was, None where it was not there or stays as it is."""

    path: Path
    changed: bool
    backup: Path | None


def install(host: Host, path: Path, entry: dict[str, Any]) -> Change:
    """Put the entry into the file, in place of an earlier one, whose other keys stay; a file that says the same stays
    untouched.

    Raises ConfigError, which names the line, where the file can't be read, edited or written, and then nothing was.
    """

    def edited(text: str) -> str:
        known = _entry(host, text, path)
        kept = {key: value for key, value in (known or {}).items() if key not in _OURS}
        if not host.toml:
            return json_member.with_member(text, host.key, NAME, {**entry, **kept}, path)
        if known == {**entry, **kept}:
            return text
        without = text if known is None else without_server(text, NAME, path, table=host.key)
        return with_server(without, NAME, {**entry, **kept}, path, table=host.key)

    return _changed(path, edited)


def remove(host: Host, path: Path) -> Change:
    """Take Portico's entry out; a file that has none, or isn't there, stays as it is. Raises as `install`."""

    def edited(text: str) -> str:
        if not host.toml:
            return json_member.without_member(text, host.key, NAME, path)
        return text if _entry(host, text, path) is None else without_server(text, NAME, path, table=host.key)

    return _changed(path, edited) if is_there(path) else Change(path, False, None)


def installed_entry(host: Host, path: Path) -> dict[str, Any] | None:
    """What the file says of Portico; None where it says nothing. Raises ConfigError where it can't be read."""
    return _entry(host, _read(path)[0], path)


def _entry(host: Host, text: str, path: Path) -> dict[str, Any] | None:
    document = toml_document(text, path) if host.toml else json_member.parsed(text, path)
    servers = document.get(host.key)
    entry = servers.get(NAME) if isinstance(servers, dict) else None
    return entry if isinstance(entry, dict) else None


def _changed(path: Path, edited: Callable[[str], str]) -> Change:
    there = is_there(path)
    text, mark = _read(path) if there else ("", "")
    after = edited(text)
    if after == text and there:
        return Change(path, False, None)
    backup = _copy(path) if there else None
    write(path, mark + after)
    return Change(path, True, backup)


def _read(path: Path) -> tuple[str, str]:
    """The text, and the byte order mark before it, if there is one."""
    try:
        text = read_bytes(path, most=_MAX_BYTES).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"this is not UTF-8 text (byte {error.start}), so nothing was changed", path=path) from None
    return (text[1:], _BOM) if text.startswith(_BOM) else (text, "")


def _copy(path: Path) -> Path:
    """A copy beside the file itself, with its permissions. Raises ConfigError."""
    real = Path(os.path.realpath(path))
    stamp = time.strftime("%Y%m%d-%H%M%S")
    number = 0
    while (backup := real.with_name(f"{real.name}.{stamp}{f'-{number}' if number else ''}.bak")).exists():
        number += 1
    try:
        shutil.copy2(real, backup)
    except OSError as error:
        raise ConfigError(
            f"no copy can be kept beside it, so nothing was changed: {error.strerror or error}", path=path
        ) from None
    return backup
