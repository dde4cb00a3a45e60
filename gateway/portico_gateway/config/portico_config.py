"""What the user configured: `portico.toml`, or any host's `mcpServers` JSON; PORTICO_* over the file, flags over both.

It owns putting the three together; `config_file.py` knows which file counts, `variables.py` what is kept elsewhere,
`sections.py` the keys, `mistakes.py` how what is wrong is said. It starts nothing.
"""

from __future__ import annotations

import copy
import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, get_origin

from pydantic import Field, ValidationError, model_validator

from portico_gateway.config.config_file import ConfigFile, find_config
from portico_gateway.config.mcp_servers_json import read_host_json
from portico_gateway.config.mistakes import Key, KeyOrigins, Mistake, config_error, mistakes_of
from portico_gateway.config.sections import (
    AuditConfig,
    BackgroundConfig,
    ConfigSection,
    EngineConfig,
    GatewayConfig,
    KeyConfig,
    LogConfig,
    ModelConfig,
    NamedModelConfig,
    OAuthConfig,
    PolicyConfig,
    ServeConfig,
    ServerConfig,
    TuneConfig,
)
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.config.trust import AskTrust, say_left_out
from portico_gateway.config.variables import VariableError, Variables
from portico_gateway.errors import ConfigError

_PREFIX = "PORTICO_"
_MAX_DEPTH = 100  # tables and lists in one another; no key is five deep
_MODEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,95}$"


class PorticoConfig(ConfigSection):
    """The whole. `servers` is in the file's order, which is the order of the tools."""

    env_file: str | None = Field(
        default=None, description="NAME=VALUE lines for ${NAME} in this file; the environment goes before"
    )
    model: ModelConfig = ModelConfig()
    models: dict[Annotated[str, Field(pattern=_MODEL_NAME)], NamedModelConfig] = Field(
        default={}, max_length=32, description="models beside [model], each loaded when a request names it"
    )
    engine: EngineConfig = EngineConfig()
    serve: ServeConfig = ServeConfig()
    gateway: GatewayConfig = GatewayConfig()
    background: BackgroundConfig = BackgroundConfig()
    policy: PolicyConfig = PolicyConfig()
    audit: AuditConfig = AuditConfig()
    tune: TuneConfig = TuneConfig()
    oauth: OAuthConfig = OAuthConfig()
    log: LogConfig = LogConfig()
    keys: dict[str, KeyConfig] = Field(default={})
    servers: dict[str, ServerConfig] = Field(default={})

    @model_validator(mode="after")
    def _one_model_a_name(self) -> PorticoConfig:
        taken = {self.model.name: "[model]"}
        for name, entry in self.models.items():
            for each in (name, *entry.aliases):
                if each in taken and taken[each] != f"[models.{name}]":
                    raise ValueError(f"models.{name}: the name {each!r} is {taken[each]}'s already")
                taken[each] = f"[models.{name}]"
        return self

    def specs(self) -> tuple[UpstreamSpec, ...]:
        """The enabled servers, in order; one that can't be used says why and is never started."""
        return tuple(server.spec(name) for name, server in self.servers.items() if server.enabled)


@dataclass(slots=True)
class _Given:
    """What a file gives: its tree as written and with its variables' values, and what is wrong with it."""

    written: dict[str, Any] = field(default_factory=dict)
    tree: dict[str, Any] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    unusable: dict[str, str] = field(default_factory=dict)  # servers, and why


def load_config(
    path: Path | None = None,
    *,
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
    ask: AskTrust = say_left_out,
) -> PorticoConfig:
    """Read the configuration at `path`, or the one that counts for the workspace `folder`, or the defaults.

    `flags` are dotted keys such as "serve.port"; None values count as not given. `ask` hears of a workspace's file that isn't
    trusted yet, which is left out. Raises ConfigError, which names every mistake; what is wrong with one server's variables, or
    with one entry of a host's JSON, costs that server alone.
    """
    environ = os.environ if environ is None else environ
    return parse_config(find_config(path, folder=folder, environ=environ, ask=ask), flags=flags, environ=environ)


def parse_config(
    file: ConfigFile | None, *, flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None
) -> PorticoConfig:
    """What a file says, under the environment and the flags. As `load_config`."""
    environ = os.environ if environ is None else environ
    given = _Given() if file is None else _read(file, environ)
    origins: dict[Key, str] = {}
    for variable, key, value in _from_environment(environ):
        _put(given.tree, key, value)
        origins[key] = f"environment variable {variable}"
    for dotted, value in (flags or {}).items():
        if value is not None:
            key = tuple(dotted.split("."))
            _put(given.tree, key, value)
            origins[key] = f"option --{key[-1].replace('_', '-')}"
    return _validated(given, KeyOrigins(file, given.written, origins))


def _validated(given: _Given, places: KeyOrigins) -> PorticoConfig:
    mistakes = given.mistakes
    try:
        config = PorticoConfig.model_validate(given.tree)
    except ValidationError as error:
        of_servers, others = _split(mistakes_of(error, PorticoConfig, places), places)
        mistakes = [*mistakes, *others]
        if not mistakes:
            for name, mistake in of_servers.items():
                given.unusable.setdefault(name, str(mistake))
                given.tree["servers"][name] = {"command": name or "server"}
            return _validated(given, places)
    if mistakes:
        raise config_error(mistakes)
    for name, problem in given.unusable.items():
        config.servers[name].cannot_be_used(problem)
    return config


def _split(found: list[Mistake], places: KeyOrigins) -> tuple[dict[str, Mistake], list[Mistake]]:
    """In a host's file what is wrong with an entry costs that entry; anything else is the whole configuration's."""
    is_host = places.file is not None and places.file.is_json
    entries = [each for each in found if is_host and each.key[:1] == ("servers",) and each.key[1:]]
    return {str(each.key[1]): each for each in reversed(entries)}, [each for each in found if each not in entries]


def read_document(file: ConfigFile) -> dict[str, Any]:
    """The file's tree as written, nothing expanded, nothing checked; a host's JSON under "servers". Raises ConfigError."""
    if file.is_json:
        return {"servers": read_host_json(file.text, file.path).entries}
    try:
        document = tomllib.loads(file.text)
        if _depth(document) > _MAX_DEPTH:  # dotted keys need no brackets for it
            raise RecursionError
        return document
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        line = int(found[1]) if found else file.text.count("\n") + 1
        raise ConfigError(f"this is not valid TOML: {error}", path=file.path, line=line) from None
    except RecursionError:
        raise ConfigError("this nests too deeply for a configuration", path=file.path) from None
    except ValueError as error:  # a number of thousands of digits
        raise ConfigError(f"this can't be read: {error}", path=file.path) from None


def _depth(document: Any) -> int:
    """How many tables and lists lie in one another."""
    depth, level = 0, [document]
    while level := [each for each in level if isinstance(each, dict | list)]:
        depth += 1
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
    return depth


def _read(file: ConfigFile, environ: Mapping[str, str]) -> _Given:
    given = _Given(written=read_document(file))
    if file.is_json:
        given.unusable = read_host_json(file.text, file.path).problems
    given.tree = copy.deepcopy(given.written)
    if file.is_json:
        given.tree["gateway"] = {"own_servers": []}  # a host's servers are asked for instead of ours
    places = KeyOrigins(file, given.written, {})
    variables = Variables(environ, file.folder, file.workspace)
    if isinstance(env_file := given.tree.get("env_file"), str):
        try:
            variables, _ = variables.with_file(variables.expand(env_file))
        except VariableError as error:
            given.mistakes.append(places.mistake(("env_file",), f"env_file: {error}"))
    for section, value in given.tree.items():
        if section != "servers":
            given.tree[section] = variables.expand_all(
                value,
                lambda key, why: given.mistakes.append(places.mistake(key, f"{'.'.join(map(str, key))}: {why}")),
                (section,),
            )
    servers = given.tree.get("servers")
    for name, entry in servers.items() if isinstance(servers, dict) else ():
        if isinstance(entry, dict) and entry.get("enabled") is not False and name not in given.unusable:
            problem = _expand_server(entry, variables)
            if problem is not None:
                key, why = problem
                where: Key = ("servers", name, *key)
                given.unusable[name] = str(places.mistake(where, f"{'.'.join(map(str, where))}: {why}"))
                for number in ("start_timeout", "call_timeout", "pin_definitions", "enabled", "era", "type"):
                    if isinstance(entry.get(number), str) and "${" in entry[number]:
                        del entry[number]  # not known, so not to be judged
    return given


def _expand_server(entry: dict[str, Any], variables: Variables) -> tuple[Key, str] | None:
    """Fill in an entry's env file and variables; else the first problem, and the entry stays as it was."""
    problems: list[tuple[Key, str]] = []
    own: dict[str, str] = {}
    if isinstance(env_file := entry.get("env_file"), str):
        try:
            variables, own = variables.with_file(variables.expand(env_file))
        except VariableError as error:
            return ("env_file",), str(error)
    expanded = variables.expand_all(entry, lambda key, why: problems.append((key, why)))
    if problems:
        return problems[0]
    if own and isinstance(expanded.get("env", {}), dict):
        expanded["env"] = {**own, **expanded.get("env", {})}
    entry.update(expanded)
    return None


def _from_environment(environ: Mapping[str, str]) -> list[tuple[str, tuple[str, ...], Any]]:
    """(variable, key, value) of every PORTICO_SECTION_KEY that is set; PORTICO_MODEL is short for PORTICO_MODEL_NAME."""
    found: list[tuple[str, tuple[str, ...], Any]] = []
    if environ.get("PORTICO_MODEL"):
        found.append(("PORTICO_MODEL", ("model", "name"), environ["PORTICO_MODEL"]))
    for section, field_ in PorticoConfig.model_fields.items():
        if not (isinstance(field_.annotation, type) and issubclass(field_.annotation, ConfigSection)):
            continue
        for key, inner in field_.annotation.model_fields.items():
            variable = f"{_PREFIX}{section}_{key}".upper()
            if variable in environ:
                value = environ[variable]
                found.append((variable, (section, key), value.split(",") if get_origin(inner.annotation) is list else value))
    return found


def _put(raw: dict[str, Any], key: tuple[str, ...], value: Any) -> None:
    for part in key[:-1]:
        inner = raw.setdefault(part, {})
        if not isinstance(inner, dict):
            return  # the file has something else here, which validation will name
        raw = inner
    raw[key[-1]] = value


def config_json_schema() -> str:
    """The JSON Schema of portico.toml, for editors."""
    return json.dumps(PorticoConfig.model_json_schema(), indent=2)
