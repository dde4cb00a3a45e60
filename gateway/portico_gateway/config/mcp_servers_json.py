"""Reads the server lists that MCP hosts keep: Claude Desktop, Claude Code and Cursor (`mcpServers`), VS Code (`servers`).

It translates entries into the keys of `[servers.NAME]` in portico.toml and expands variables. Keys that only concern the host
(`disabled` apart) are passed over: these files belong to others, so an unknown key in them is no error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from portico_gateway.config.key_lines import json_line, without_comments
from portico_gateway.errors import ConfigError

_TYPES = {"stdio": "stdio", "http": "http", "streamable-http": "http", "streamableHttp": "http", "sse": "sse"}
_ERAS = {"auto": "auto", "legacy": "legacy", "modern": "modern"}
_VARIABLE = re.compile(r"\$\{([^}]*)\}")


def read_host_json(text: str, path: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """`{name: {command, args, env, ...}}` of a host's file. Raises ConfigError, naming the line."""
    try:
        document = json.loads(without_comments(text))
    except json.JSONDecodeError as error:
        raise ConfigError(f"this is not valid JSON: {error.msg}", path=path, line=error.lineno) from None
    key = next((key for key in ("mcpServers", "servers") if isinstance(document, dict) and key in document), None)
    if key is None:
        raise ConfigError("expected an object with 'mcpServers' (or 'servers', as VS Code writes it)", path=path)
    entries = document[key]
    if not isinstance(entries, dict):
        raise ConfigError(f"{key!r} must be an object of name to server", path=path, line=json_line(text, (key,)), key=key)
    servers: dict[str, Any] = {}
    for name, entry in entries.items():
        line = json_line(text, (key, name))
        if not isinstance(entry, dict):
            raise ConfigError(f"{key}.{name} must be an object", path=path, line=line, key=f"{key}.{name}")
        try:
            servers[name] = _server(entry, path, environ)
        except ValueError as error:
            raise ConfigError(f"{key}.{name}: {error}", path=path, line=line, key=f"{key}.{name}") from None
    return servers


def _server(entry: dict[str, Any], path: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    out: dict[str, Any] = {key: entry[key] for key in ("command", "args", "env", "cwd", "url", "headers") if key in entry}
    if "serverUrl" in entry:
        out.setdefault("url", entry["serverUrl"])
    if isinstance(out.get("env"), dict):
        out["env"] = {name: str(value) for name, value in out["env"].items() if value is not None}
    if "type" in entry or "transport" in entry:
        kind = entry.get("type", entry.get("transport"))
        if kind not in _TYPES:
            raise ValueError(f"type is {kind!r}; known: {', '.join(_TYPES)}")
        out["type"] = _TYPES[kind]
    if entry.get("protocolEra") in _ERAS:
        out["era"] = _ERAS[entry["protocolEra"]]
    if entry.get("disabled") is True:
        out["enabled"] = False
    return {key: _expand(value, path, environ) for key, value in out.items()}


def _expand(value: Any, path: Path, environ: Mapping[str, str]) -> Any:
    """Variables as hosts write them: ${NAME}, ${NAME:-default}, ${env:NAME}, ${workspaceFolder}, ${userHome}."""
    if isinstance(value, list):
        return [_expand(item, path, environ) for item in value]
    if isinstance(value, dict):
        return {key: _expand(item, path, environ) for key, item in value.items()}
    return _VARIABLE.sub(lambda found: _variable(found[1], path, environ), value) if isinstance(value, str) else value


def _variable(inside: str, path: Path, environ: Mapping[str, str]) -> str:
    if inside == "workspaceFolder":
        folder = path.absolute().parent
        return str(folder.parent if folder.name in (".vscode", ".cursor") else folder)
    if inside == "userHome":
        return str(Path.home())
    if inside.startswith("input:"):
        name = f"PORTICO_INPUT_{inside.removeprefix('input:')}".upper().replace("-", "_")
        if name not in environ:
            raise ValueError(f"${{{inside}}} asks for an input; set the environment variable {name} instead")
        return environ[name]
    name, dash, default = inside.removeprefix("env:").partition(":-")
    if name in environ:
        return environ[name]
    if not dash:
        raise ValueError(f"the environment variable {name} is not set")
    return default
