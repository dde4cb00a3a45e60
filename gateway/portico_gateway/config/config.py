"""What the user configured: `portico.toml`, or any host's `mcpServers` JSON; PORTICO_* over the file, flags over both.

It owns the shape of the configuration and its errors, which name the file, the line and the key. It starts nothing.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import BaseModel, Field, ValidationError, model_validator

from portico_gateway.config.key_lines import json_line, toml_line
from portico_gateway.config.mcp_servers_json import read_host_json
from portico_gateway.config.sections import AuditConfig, KeyConfig, OAuthConfig, PolicyConfig, Section
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.errors import ConfigError

FILE_NAME = "portico.toml"
_PREFIX = "PORTICO_"


class ModelConfig(Section):
    """[model]: which model answers, and how it is run."""

    name: str = Field(default="smollm2", description="a known name, or a path of a GGUF file")
    context: int | None = Field(default=None, gt=0, description="context length in tokens; default: the model's own")
    executor: Literal["auto", "torch", "torch-cpu", "torch-cuda", "llama_cpp"] = "auto"
    kv_disk_gib: float = Field(
        default=1.0, ge=0, description="GiB of the user's cache folder for prompts' beginnings that survive a restart; 0: none"
    )


class ServeConfig(Section):
    """[serve]: the HTTP side."""

    host: str = "127.0.0.1"
    port: int = Field(default=8630, ge=0, le=65535)
    allowed_hosts: list[str] = Field(
        default=[], description="Host headers to accept beside the address itself, e.g. portico.lan:8630"
    )
    allowed_origins: list[str] = Field(default=[], description="Origin headers to accept beside the address itself")
    load_timeout: float = Field(default=60.0, gt=0, description="seconds a request waits for the model to load before 503")
    without_keys: bool = Field(
        default=False, description="serve whoever reaches an address beyond this machine, although there are no keys"
    )
    running_per_key: int | None = Field(
        default=None, gt=0, description="requests of one key that the engine works on; default: 16, or 64 without keys"
    )
    waiting_per_key: int = Field(
        default=256, ge=0, description="requests of one key that wait for those; more are refused with 429"
    )


class GatewayConfig(Section):
    """[gateway]: the MCP side."""

    list_timeout: float = Field(
        default=10.0, ge=0, description="seconds that tools/list waits for servers that are still starting"
    )


class LogConfig(Section):
    """[log]: where and how much."""

    dir: Path | None = None
    level: Literal["debug", "info", "warning", "error"] = "info"


class ServerConfig(Section):
    """[servers.NAME]: one MCP server, by command or by URL."""

    type: Literal["stdio", "http", "sse"] | None = None
    command: str = ""
    args: list[str] = Field(default=[])
    env: dict[str, str] = Field(default={})
    cwd: str | None = None
    url: str = ""
    headers: dict[str, str] = Field(default={})
    era: Literal["auto", "legacy", "modern"] = "auto"
    start_timeout: float = Field(default=30.0, gt=0)
    call_timeout: float = Field(default=60.0, gt=0)
    enabled: bool = True

    @model_validator(mode="after")
    def _one_way_to_reach_it(self) -> ServerConfig:
        if bool(self.command) == bool(self.url):
            raise ValueError("set either command (a program to start) or url (a server that runs)")
        if self.command and self.type not in (None, "stdio"):
            raise ValueError(f"type is {self.type!r}, which needs url instead of command")
        if self.url and self.type == "stdio":
            raise ValueError("type is 'stdio', which needs command instead of url")
        if self.url and not self.url.startswith(("http://", "https://")):
            raise ValueError("url must start with http:// or https://")
        return self

    def spec(self, name: str) -> UpstreamSpec:
        return UpstreamSpec(
            name,
            transport="stdio" if self.command else self.type if self.type in ("http", "sse") else "http",
            command=os.path.expanduser(self.command),
            args=tuple(self.args),
            env=self.env,
            cwd=os.path.expanduser(self.cwd) if self.cwd else None,
            url=self.url,
            headers=self.headers,
            era=self.era,
            start_timeout=self.start_timeout,
            call_timeout=self.call_timeout,
        )


class PorticoConfig(Section):
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
        if not (isinstance(field.annotation, type) and issubclass(field.annotation, Section)):
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
