"""Reads the server lists that MCP hosts keep: `mcpServers` (Claude, Cursor, Windsurf, Cline, Gemini), VS Code's `servers`,
Zed's `context_servers`, opencode's `mcp`.

It translates entries into the keys of `[servers.NAME]` in portico.toml; `variables.py` expands what stands in them. Keys that
only concern the host are passed over: these files belong to others, so an unknown key in them is no error, and an entry that
can't be used costs that entry alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from portico_gateway.config.key_lines import json_line, without_comments
from portico_gateway.errors import ConfigError

SERVER_KEYS = ("mcpServers", "servers", "context_servers", "mcp")
_TYPES = {
    "stdio": "stdio", "local": "stdio", "command": "stdio", "http": "http", "remote": "http", "streamable-http": "http",
    "streamableHttp": "http", "streamable_http": "http", "sse": "sse",
}  # fmt: skip
_ERAS = {"auto": "auto", "legacy": "legacy", "modern": "modern"}
_SAME = ("command", "args", "env", "cwd", "url", "headers")
_OTHER_NAMES = {"serverUrl": "url", "httpUrl": "url", "environment": "env", "envFile": "env_file"}


class HostServers(NamedTuple):
    """Entries by name, and why some of them can't be used: `problems` names the line."""

    entries: dict[str, Any]
    problems: dict[str, str]


def read_host_json(text: str, path: Path) -> HostServers:
    """`{name: {command, args, env, ...}}` of a host's file, nothing expanded. Raises ConfigError where it is no such file."""
    try:
        document = json.loads(without_comments(text))
    except json.JSONDecodeError as error:
        raise ConfigError(f"this is not valid JSON: {error.msg}", path=path, line=error.lineno) from None
    except RecursionError:
        raise ConfigError("this nests too deeply for a configuration", path=path) from None
    except ValueError as error:  # a number of thousands of digits
        raise ConfigError(f"this can't be read: {error}", path=path) from None
    key = next((key for key in SERVER_KEYS if isinstance(document, dict) and key in document), None)
    if key is None:
        raise ConfigError("expected an object with 'mcpServers' (or 'servers', as VS Code writes it)", path=path)
    given = document[key]
    if key == "mcp" and isinstance(given, dict) and _is_list_of_servers(given.get("servers")):  # VS Code's settings.json
        given = given["servers"]
    if not isinstance(given, dict):
        raise ConfigError(f"{key!r} must be an object of name to server", path=path, line=json_line(text, (key,)), key=key)
    found = HostServers({}, {})
    for name, entry in given.items():
        try:
            found.entries[name] = _server(entry)
        except ValueError as error:
            found.entries[name] = {"command": name or "server"}
            found.problems[name] = f"{path}:{json_line(text, (key, name)) or 1}: {key}.{name} {error}"
    return found


def _is_list_of_servers(value: Any) -> bool:
    """Is it no server itself?"""
    return isinstance(value, dict) and all(isinstance(entry, dict) for entry in value.values())


def _server(entry: Any) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise ValueError("must be an object")
    given = {key: value for key, value in entry.items() if value is not None}  # null is "not given"
    out: dict[str, Any] = {key: given[key] for key in _SAME if key in given}
    for theirs, ours in _OTHER_NAMES.items():
        if theirs in given:
            out.setdefault(ours, given[theirs])
    if isinstance(command := out.get("command"), dict):  # Zed: {"path", "args", "env"}
        out = {**out, "command": command.get("path"), **{k: command[k] for k in ("args", "env") if command.get(k) is not None}}
    elif isinstance(command, list):  # opencode: the whole command line
        words = _texts("command", command)
        out |= {"command": words[0] if words else "", "args": [*words[1:], *out.get("args", [])]}
    if isinstance(url := out.get("url"), str):
        out["url"] = url.strip()
    if "args" in out:
        out["args"] = _texts("args", out["args"])
    for key in ("env", "headers"):
        if key in out:
            out[key] = _text_values(key, out[key])
    if (kind := given.get("type", given.get("transport", given.get("transportType")))) is not None:
        if not isinstance(kind, str) or kind not in _TYPES:
            raise ValueError(f"has the type {kind!r}, which is not known here; known: {', '.join(_TYPES)}")
        out["type"] = _TYPES[kind]
    if isinstance(era := given.get("protocolEra"), str) and era in _ERAS:
        out["era"] = _ERAS[era]
    if _truth(given, "disabled", False) or not _truth(given, "enabled", True):
        out["enabled"] = False
    return out


def _truth(given: Mapping[str, Any], key: str, default: bool) -> bool:
    """A truth value, also as text; a server that somebody switched off by another word isn't started."""
    value = given.get(key, default)
    known = {"true": True, "false": False}.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(known, bool):
        raise ValueError(f"has {key!r} as {str(value)[:30]!r}, which is neither true nor false")
    return known


def _texts(key: str, items: Any) -> list[str]:
    if not isinstance(items, list):
        raise ValueError(f"has {key} that are no list")
    return [_as_text(f"{key}[{index}]", item) for index, item in enumerate(items)]


def _text_values(key: str, items: Any) -> dict[str, str]:
    if not isinstance(items, dict):
        raise ValueError(f"has {key} that are no object")
    return {name: _as_text(f"{key}.{name}", item) for name, item in items.items() if item is not None}


def _as_text(what: str, item: Any) -> str:
    """A number or truth value as JSON writes it: that is what hosts pass on."""
    if isinstance(item, str):
        return item
    if isinstance(item, bool | int | float):
        return json.dumps(item)
    raise ValueError(f"has {what}, which must be a string")
