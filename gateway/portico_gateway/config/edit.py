"""Adds servers, keys and adapters to the text of a portico.toml, takes servers and keys out, and leaves everything else as a
person wrote it.

Text is edited, and the edit is proven: the document that comes out must be the one that went in but for that table. Where a
table is written in a way that this doesn't cut out cleanly, it is refused, with its line.
"""

from __future__ import annotations

import json
import os
import re
import stat
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from portico_gateway.config.key_lines import toml_line
from portico_gateway.errors import ConfigError, UnknownName

Value: TypeAlias = str | bool | int | float | Sequence[Any] | Mapping[str, Any]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_NAME = re.compile(r"(?!.*__)[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_HEADER = re.compile(r"^\s*\[(?!\[)(.+)\]\s*(?:#.*)?$")


def with_server(text: str, name: str, entry: Mapping[str, Value], path: Path, *, table: str = "servers") -> str:
    """The text with `[servers.NAME]`, or that of another table, at its end. Raises ConfigError where there is one, or the name
    can't be a server's."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r} can't name a server: letters, digits, - and _ (not two in a row), at most 32 of them")
    before = toml_document(text, path)
    if not isinstance(before.get(table, {}), dict):
        raise ConfigError(
            f"{table!r} must be a table of servers; {name!r} can't be added", path=path, line=toml_line(text, (table,))
        )
    if name in before.get(table, {}):
        raise ConfigError(f"there is a server {name!r} already; portico remove {name} takes it out", path=path)
    lines = [f"[{table}.{name}]"]
    lines += [f"{key} = {_value(value)}" for key, value in entry.items() if value not in ("", [], (), {})]
    if any("\ud800" <= character <= "\udfff" for line in lines for character in line):
        raise ConfigError(f"what is given for {name!r} holds bytes that are no UTF-8 text, which a portico.toml can't hold")
    newline = "\r\n" if "\r\n" in text else "\n"
    added = text.rstrip("\r\n") + (newline * 2 if text.strip() else "") + newline.join(lines) + newline
    after = _added_document(added, name, path)
    if after.get(table, {}).pop(name, None) is None or _without_empty(after, table) != _without_empty(before, table):
        raise ConfigError(f"{name!r} can't be added to what is written there; add it by hand", path=path)
    return added


def with_adapter(text: str, name: str, place: str, path: Path) -> str:
    """The text with NAME in `[model.adapters]`. Raises ConfigError where there is one, or where it can't be written there."""
    before = toml_document(text, path)
    adapters = before.get("model", {}).get("adapters", {})
    if name in adapters:
        raise ConfigError(f"there is an adapter {name!r} already; give another name, or take that line out", path=path)
    line = f"{_value(name)} = {_value(place)}\n"
    lines = text.splitlines(keepends=True)
    header = next(
        (at for at, each in enumerate(lines) if (m := _HEADER.match(each)) and _path_of(m[1]) == ["model", "adapters"]), None
    )
    if header is None:
        added = text.rstrip("\n") + ("\n\n" if text.strip() else "") + f"[model.adapters]\n{line}"
    else:
        lines[header] = lines[header].rstrip("\n") + "\n"
        added = "".join([*lines[: header + 1], line, *lines[header + 1 :]])
    wanted = {**before, "model": {**before.get("model", {}), "adapters": {**adapters, name: place}}}
    if not _is_document(added, wanted, "servers"):
        raise ConfigError(f"{name!r} can't be added to what is written there; add it by hand: {line.strip()}", path=path)
    return added


def without_server(text: str, name: str, path: Path, *, table: str = "servers") -> str:
    """The text without `[servers.NAME]`, or that of another table, and the tables below it. Raises UnknownName; ConfigError
    where it is no table."""
    kind = "key" if table == "keys" else "server"
    before = toml_document(text, path)
    if name not in before.get(table, {}):
        raise UnknownName(kind, name, before.get(table, {}))
    cut = "".join(_lines_without(text, [table, name]))
    del before[table][name]
    if not _is_document(cut, before, table):
        raise ConfigError(
            f"the {kind} {name!r} is not written as a table [{table}.{name}]; take it out by hand",
            path=path,
            line=toml_line(text, (table, name)),
        )
    return cut


def with_other_hash(text: str, name: str, sha256: str, path: Path) -> str:
    """The text with another key under the same name. Raises UnknownName; ConfigError where it is no table."""
    before = toml_document(text, path)
    if name not in before.get("keys", {}):
        raise UnknownName("key", name, before.get("keys", {}))
    old = str(before["keys"][name].get("sha256"))
    changed = text.replace(old, sha256)
    before["keys"][name]["sha256"] = sha256
    if not old or not _is_document(changed, before, "keys"):
        raise ConfigError(
            f"the hash of the key {name!r} is not written once and whole; change it by hand to {sha256}",
            path=path,
            line=toml_line(text, ("keys", name)),
        )
    return changed


def _lines_without(text: str, table: list[str]) -> list[str]:
    """The lines but for a table and those below it. What follows their last key (empty lines, comments) belongs to what comes
    next, and stays."""
    kept: list[str] = []
    section: list[str] = []

    def close() -> None:
        last = max((i for i, line in enumerate(section) if line.strip() and not line.lstrip().startswith("#")), default=-1)
        kept.extend(section[last + 1 :])
        section.clear()

    inside = False
    for line in text.splitlines(keepends=True):
        if header := _HEADER.match(line):
            close()
            inside = _path_of(header[1])[:2] == table
        (section if inside else kept).append(line)
    close()
    return kept


def write(path: Path, text: str) -> None:
    """Replace the file in one step; a new one is its owner's alone, for it may hold secrets. Raises ConfigError."""
    real = Path(os.path.realpath(path))
    fresh = None
    try:
        real.parent.mkdir(parents=True, exist_ok=True)
        mode = stat.S_IMODE(real.stat().st_mode) if real.exists() else 0o600
        descriptor, fresh = tempfile.mkstemp(prefix=f".{real.name}.", suffix=".tmp", dir=real.parent)  # never what is there
        with open(descriptor, "wb") as file:
            file.write(text.encode())
        os.chmod(fresh, mode)
        os.replace(fresh, real)
    except OSError as error:
        if fresh is not None:
            Path(fresh).unlink(missing_ok=True)
        raise ConfigError(f"can't be written: {error.strerror or error}", path=path) from None


def toml_document(text: str, path: Path) -> dict[str, Any]:
    """What a TOML text says. Raises ConfigError."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"this is not valid TOML, so nothing was changed: {error}", path=path) from None


def _added_document(text: str, name: str, path: Path) -> dict[str, Any]:
    """A document after its edit, which was one before it."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise ConfigError(f"{name!r} can't be added to what is written there; add it by hand", path=path) from None


def _is_document(text: str, wanted: dict[str, Any], table: str) -> bool:
    try:
        return _without_empty(tomllib.loads(text), table) == _without_empty(wanted, table)
    except tomllib.TOMLDecodeError:
        return False


def _without_empty(document: dict[str, Any], table: str) -> dict[str, Any]:
    """The table of servers without any is as none."""
    return {key: value for key, value in document.items() if key != table or value}


def _path_of(header: str) -> list[str]:
    """The keys of a table's header; none where it only looks like one."""
    try:
        found: Any = tomllib.loads(f"[{header}]")
    except tomllib.TOMLDecodeError:
        return []
    keys: list[str] = []
    while found:
        ((key, found),) = found.items()
        keys.append(key)
    return keys


def _value(value: Value) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{key if _BARE.fullmatch(key) else _value(key)} = {_value(each)}" for key, each in value.items())
        return f"{{ {pairs} }}"
    return f"[{', '.join(map(_value, value))}]"
