"""What the user configured: `portico.toml`, or any host's `mcpServers` JSON; PORTICO_* over the file, flags over both.

It owns finding and reading the configuration, and its errors, which name the file, the line and the key; `sections.py` has the
keys. It starts nothing.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import BaseModel, Field, ValidationError

from portico_gateway.config.key_lines import json_line, toml_line
from portico_gateway.config.mcp_servers_json import read_host_json
from portico_gateway.config.sections import (
    AuditConfig,
    ConfigSection,
    GatewayConfig,
    KeyConfig,
    LogConfig,
    ModelConfig,
    OAuthConfig,
    PolicyConfig,
    ServeConfig,
    ServerConfig,
)
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.errors import ConfigError

FILE_NAME = "portico.toml"
_PREFIX = "PORTICO_"


class PorticoConfig(ConfigSection):
    """The whole. `servers` is in the file's order, which is the order of the tools."""

    model: ModelConfig = ModelConfig()
    serve: ServeConfig = ServeConfig()
    gateway: GatewayConfig = GatewayConfig()
    policy: PolicyConfig = PolicyConfig()
    audit: AuditConfig = AuditConfig()
    oauth: OAuthConfig = OAuthConfig()
    log: LogConfig = LogConfig()
    keys: dict[str, KeyConfig] = Field(default={})
    servers: dict[str, ServerConfig] = Field(default={})

    def specs(self) -> tuple[UpstreamSpec, ...]:
        """The enabled servers, in order."""
        return tuple(server.spec(name) for name, server in self.servers.items() if server.enabled)


def find_config(folder: Path | None = None) -> Path | None:
    """portico.toml in `folder` (default: the working directory), else in the user's config folder."""
    for candidate in ((folder or Path.cwd()) / FILE_NAME, platformdirs.user_config_path("portico") / FILE_NAME):
        if candidate.is_file():
            return candidate
    return None


def config_file(environ: Mapping[str, str], folder: Path | None = None) -> Path | None:
    """The file that counts where none is named: PORTICO_CONFIG's, or the one that `find_config` finds."""
    return Path(environ["PORTICO_CONFIG"]) if environ.get("PORTICO_CONFIG") else find_config(folder)


def load_config(
    path: Path | None = None,
    *,
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> PorticoConfig:
    """Read the configuration at `path`, or where `find_config` finds one, or the defaults.

    `flags` are dotted keys such as "serve.port"; None values count as not given. Raises ConfigError.
    """
    environ = os.environ if environ is None else environ
    path = path or config_file(environ, folder)
    text = ""
    raw: dict[str, Any] = {}
    if path is not None:
        text, raw = _read(path, environ)
    origins: dict[tuple[str, ...], str] = {}
    for variable, key, value in _from_environment(environ):
        _put(raw, key, value)
        origins[key] = f"environment variable {variable}"
    for dotted, value in (flags or {}).items():
        if value is not None:
            key = tuple(dotted.split("."))
            _put(raw, key, value)
            origins[key] = f"option --{key[-1].replace('_', '-')}"
    try:
        return PorticoConfig.model_validate(raw)
    except ValidationError as error:
        raise _explain(error, path, text, origins) from None


def _read(path: Path, environ: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError("there is no such configuration file", path=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"can't read the configuration: {error}", path=path) from None
    if path.suffix.lower() == ".json":
        return text, {"servers": read_host_json(text, path, environ)}
    try:
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        raise ConfigError(f"this is not valid TOML: {error}", path=path, line=line) from None


def _from_environment(environ: Mapping[str, str]) -> list[tuple[str, tuple[str, ...], Any]]:
    """(variable, key, value) of every PORTICO_SECTION_KEY that is set; PORTICO_MODEL is short for PORTICO_MODEL_NAME."""
    found: list[tuple[str, tuple[str, ...], Any]] = []
    if environ.get("PORTICO_MODEL"):
        found.append(("PORTICO_MODEL", ("model", "name"), environ["PORTICO_MODEL"]))
    for section, field in PorticoConfig.model_fields.items():
        if not (isinstance(field.annotation, type) and issubclass(field.annotation, ConfigSection)):
            continue
        for key, inner in field.annotation.model_fields.items():
            variable = f"{_PREFIX}{section}_{key}".upper()
            if variable in environ:
                value = environ[variable]
                found.append((variable, (section, key), value.split(",") if inner.annotation == list[str] else value))
    return found


def _put(raw: dict[str, Any], key: tuple[str, ...], value: Any) -> None:
    for part in key[:-1]:
        inner = raw.setdefault(part, {})
        if not isinstance(inner, dict):
            return  # the file has something else here, which validation will name
        raw = inner
    raw[key[-1]] = value


def _explain(error: ValidationError, path: Path | None, text: str, origins: Mapping[tuple[str, ...], str]) -> ConfigError:
    """The first problem, with its place and what would be right. A key that is required may be there under a wrong name."""
    problems = error.errors(include_url=False, include_context=False)
    first = next((problem for problem in problems if problem["type"] == "extra_forbidden"), problems[0])
    key = tuple(part for part in first["loc"] if isinstance(part, str | int))
    dotted = ".".join(map(str, key))
    if first["type"] == "extra_forbidden":
        message = _unknown_key(key)
    else:
        reason = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
        given = "" if isinstance(first["input"], dict) else f" (is {first['input']!r})"
        message = f"{dotted}: {reason}{given}" if dotted else reason
    for length in range(len(key), 0, -1):
        if origin := origins.get(tuple(map(str, key[:length]))):
            return ConfigError(f"{origin}: {message}", key=dotted)
    is_json = path is not None and path.suffix.lower() == ".json"
    line = _json_server_line(text, key) if is_json else toml_line(text, key)
    return ConfigError(message, path=path, line=line, key=dotted)


def _json_server_line(text: str, key: Sequence[str | int]) -> int | None:
    return json_line(text, ("mcpServers", *key[1:])) or json_line(text, ("servers", *key[1:]))


def _unknown_key(key: Sequence[str | int]) -> str:
    section: type[BaseModel] = PorticoConfig
    for part in key[:-1]:
        field = section.model_fields.get(str(part))
        if field is not None and isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            section = field.annotation
        elif part != key[0]:
            section = KeyConfig if key[0] == "keys" else ServerConfig  # keys.NAME, servers.NAME
    known = list(section.model_fields)
    close = difflib.get_close_matches(str(key[-1]), known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(known)}"
    return f"unknown key {'.'.join(map(str, key))!r}; {hint}"


def config_json_schema() -> str:
    """The JSON Schema of portico.toml, for editors."""
    return json.dumps(PorticoConfig.model_json_schema(), indent=2)
