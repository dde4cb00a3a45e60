"""The sections of portico.toml: their keys, defaults and limits.

It owns their shape alone: `portico_config.py` puts them together and reads them, each room acts on its own.
"""

from __future__ import annotations

import fnmatch
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from portico_gateway.config.loopback import is_loopback
from portico_gateway.config.server_spec import OAuthClient, UpstreamSpec
from portico_gateway.config.usable import why_unusable

OwnServer = Literal["code", "docs", "db"]
Scope = Literal["chat", "mcp", "metrics", "admin"]


DEFAULT_ADAPTER = "default"  # the name of the package's own
_ADAPTER_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_NAME_PATTERN = re.compile(r"[A-Za-z0-9_*?\[\]!-]+")  # gateway names are of letters, digits, - and _
_URI_PATTERN = re.compile(r"portico://\S*")  # and resources have their URI behind the gateway's own scheme


def checked_pattern(pattern: str) -> str:
    """A pattern over gateway names that can match one. Raises ValueError, which says what would be right."""
    if not (_NAME_PATTERN.fullmatch(pattern) or _URI_PATTERN.fullmatch(pattern)):
        raise ValueError(
            'no tool can match this; tools are named SERVER__TOOL, and a pattern has *, ? and [...], as "files__write_*" '
            '(resources are "portico://SERVER/...")'
        )
    opened = pattern.find("[")
    while opened >= 0:
        closed = pattern.find("]", opened + 2 if pattern[opened + 1 : opened + 2] != "!" else opened + 3)
        if closed < 0:
            raise ValueError("a '[' has no ']', so no tool can match this")
        if "(?!)" in fnmatch.translate(pattern[opened : closed + 1]):
            raise ValueError(f"{pattern[opened : closed + 1]} is an empty range, so no tool can match this")
        opened = pattern.find("[", closed)
    return pattern


ToolPattern = Annotated[str, AfterValidator(checked_pattern)]


class ConfigSection(BaseModel):
    """A table of portico.toml: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _is_url(text: str) -> bool:
    try:
        AnyHttpUrl(text)
    except ValueError:
        return False
    return True


def _urls(given: str | list[str]) -> tuple[str, ...]:
    parts = given.split(",") if isinstance(given, str) else given
    return tuple(dict.fromkeys(url.strip() for url in parts if url.strip()))


def _not_usable(url: str, *, elsewhere: bool) -> str | None:
    """Why a model server's URL can't be used: what is asked and found must not leave this machine, unless it is meant to."""
    try:
        host = urlsplit(url).hostname or ""
        allowed = bool(host) and (elsewhere or is_loopback(host))
    except ValueError:
        allowed = False
    if allowed and url.startswith(("http://", "https://")):
        return None
    return (
        "url must be a server of this machine, as in http://127.0.0.1:8080/v1: what is asked and found does not leave it "
        "(elsewhere = true says that it may)"
    )


class ModelConfig(ConfigSection):
    """[model]: which model answers, and how it is run."""

    name: str = Field(default="smollm2", description="a known name, or a path of a GGUF file")
    context: int | None = Field(default=None, gt=0, description="context length in tokens; default: the model's own")
    executor: Literal["auto", "torch", "torch-cpu", "torch-cuda", "llama_cpp"] = "auto"
    guidance: Literal["auto", "off"] = Field(
        default="auto", description="auto: helps a model of less than a billion parameters choose tools and copy arguments"
    )
    kv_disk_gib: float = Field(
        default=1.0, ge=0, description="GiB of the user's cache folder for prompts' beginnings that survive a restart; 0: none"
    )
    kv_host_gib: float = Field(
        default=0.0, ge=0, description="GiB of this machine's memory for keys and values that a GPU has no room for; 0: none"
    )
    kv_offload_dtype: Literal["bf16", "int8"] = Field(
        default="bf16",
        description="what keys and values are kept as on disk and in kv_host_gib: int8 takes half the room, and rounds them",
    )
    adapters: dict[Annotated[str, Field(pattern=_ADAPTER_NAME)], Path] = Field(
        default={},
        max_length=32,
        description="LoRA adapters by name, each a PEFT folder or a GGUF file; `serve` answers as MODEL:NAME with it",
    )
    adapter: str = Field(
        default="none",
        description="the adapter that answers where a request names none: default (Portico's own), one of `adapters`, or none",
    )

    chat_template: str | None = Field(default=None, description="a Jinja file, or the template's text, in place of the model's")
    pooling: Literal["mean", "last", "cls"] | None = Field(
        default=None, description="how /v1/embeddings makes one vector of a text's; default: the model's own, or mean"
    )

    speculation: int = Field(
        default=0,
        ge=0,
        le=16,
        description="tokens of a greedy answer that are guessed from the text before and checked in one step",
    )
    kv_type: Literal["f16", "q8_0"] = Field(
        default="f16", description="what llama.cpp stores keys and values as: 16 bits a number, or 8 and a half"
    )

    @model_validator(mode="after")
    def _adapter_is_there(self) -> ModelConfig:
        if taken := {"none", DEFAULT_ADAPTER} & set(self.adapters):
            raise ValueError(f"an adapter can't be called {taken.pop()!r}: adapter means something else by it")
        if self.adapter not in ("none", DEFAULT_ADAPTER, *self.adapters):
            known = ", ".join(["none", DEFAULT_ADAPTER, *self.adapters])
            raise ValueError(f"there is no adapter {self.adapter!r}; adapter may be {known}")
        return self


class NamedModelConfig(ConfigSection):
    """[models.NAME]: a model beside the default one, which `portico serve` loads when a request names it."""

    path: str = Field(
        default="", description="a GGUF file, a folder, or a name that `portico models list` shows; default: NAME"
    )
    aliases: list[str] = Field(default=[], description="further names that requests may use")
    keep_alive: str | float = Field(
        default="5m", description="how long it stays without a request: seconds, or as 30s, 5m, 2h; -1: for ever; 0: not at all"
    )
    context: int | None = Field(default=None, gt=0, description="context length in tokens; default: the model's own")
    executor: Literal["auto", "torch", "torch-cpu", "torch-cuda", "llama_cpp"] = "auto"
    memory: float | None = Field(default=None, gt=0, le=1, description="share of a GPU's free memory; default: [engine]'s")
    devices: int | None = Field(default=None, ge=1, le=16, description="GPUs that it is spread over; default: [engine]'s")
    max_rows: int | None = Field(default=None, gt=0, le=256, description="requests in one step; default: [engine]'s")
    kv_tokens: int | None = Field(default=None, gt=0, description="tokens of KV in all; default: [engine]'s")
    kv_disk_gib: float = Field(default=0.0, ge=0, description="GiB on disk for prompts' beginnings; 0: none")
    kv_host_gib: float = Field(default=0.0, ge=0, description="see [model]")
    kv_offload_dtype: Literal["bf16", "int8"] = Field(default="bf16", description="see [model]")
    chat_template: str | None = Field(default=None, description="a Jinja file, or the template's text, in place of the model's")
    pooling: Literal["mean", "last", "cls"] | None = Field(
        default=None, description="how /v1/embeddings makes one vector of a text's; default: the model's own, or mean"
    )
    speculation: int = Field(default=0, ge=0, le=16, description="see [model]")
    kv_type: Literal["f16", "q8_0"] = Field(default="f16", description="see [model]")
    adapters: dict[Annotated[str, Field(pattern=_ADAPTER_NAME)], Path] = Field(default={}, max_length=32)

    @field_validator("keep_alive")
    @classmethod
    def _is_time(cls, value: str | float) -> str | float:
        seconds_of(value)
        return value

    @property
    def keep_alive_seconds(self) -> float | None:
        """None: for ever."""
        seconds = seconds_of(self.keep_alive)
        return None if seconds < 0 else seconds

    def model_config_of(self, name: str) -> ModelConfig:
        """The same as [model] says it."""
        return ModelConfig(
            name=self.path or name,
            context=self.context,
            executor=self.executor,
            kv_disk_gib=self.kv_disk_gib,
            kv_host_gib=self.kv_host_gib,
            kv_offload_dtype=self.kv_offload_dtype,
            chat_template=self.chat_template,
            pooling=self.pooling,
            speculation=self.speculation,
            kv_type=self.kv_type,
            adapters=self.adapters,
        )

    def engine_config(self, shared: EngineConfig) -> EngineConfig:
        """[engine], with what this model says otherwise."""
        own: dict[str, float | None] = {"memory": self.memory, "max_rows": self.max_rows, "kv_tokens": self.kv_tokens}
        own |= {"devices": self.devices, "expert_parallel": False if self.devices == 1 else None}
        return shared.model_copy(update={key: value for key, value in own.items() if value is not None})


def seconds_of(value: str | float) -> float:
    """Of a time as people write it: 30, "30s", "5m", "2h". Raises ValueError saying what would be right."""
    units = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
    found = re.fullmatch(r"\s*(-?\d+(?:\.\d+)?)\s*([smh]?)\s*", str(value))
    if found is None:
        raise ValueError(f"{value!r} is no time; write seconds, or a number with s, m or h as in 5m (-1: for ever)")
    return float(found[1]) * units[found[2]]


class EngineConfig(ConfigSection):
    """[engine]: what `portico serve` takes of the machine for its model; or the servers whose model answers in its place."""

    elsewhere: bool = Field(default=False, description="url may name other machines: what is asked and found goes there")
    url: str | list[str] = Field(
        default="",
        description="OpenAI-compatible servers whose model answers `portico ask` and `portico serve`, one or a list, e.g. "
        "http://127.0.0.1:8080/v1; for `ask` it must be a model for tools, of a billion parameters or more",
    )
    key: str = Field(default="", description="the bearer key that these servers want")
    grammar_as: Literal["auto", "grammar", "structured_outputs", "ebnf", "response_format", "none"] = Field(
        default="auto", description="how these servers take a grammar; auto: as each says what it is"
    )
    timeout: float = Field(default=120.0, gt=0, description="seconds that such a server may say nothing")
    memory: float = Field(
        default=0.9, gt=0, le=1, description="share of a GPU's free memory to fill: weights, steps, and KV with the rest"
    )
    max_rows: int | None = Field(
        default=None, gt=0, le=256, description="requests in one step at most; default: 256 on a GPU, 16 on a CPU"
    )
    kv_tokens: int | None = Field(
        default=None, gt=0, description="tokens of KV in all; default: what the memory holds on a GPU, 4 contexts on a CPU"
    )
    models_gib: float | None = Field(
        default=None,
        gt=0,
        description="GiB that the models of [models] may take together; default: 60% of the memory",
    )
    devices: int = Field(
        default=1,
        ge=1,
        le=16,
        description="GPUs of this machine that a model is spread over, a process each (tensor parallel); by torch",
    )
    expert_parallel: bool = Field(
        default=False, description="a mixture's experts are dealt out whole to the devices, in place of a part of each"
    )
    adapter_rank: int = Field(
        default=64, gt=0, le=512, description="the largest rank of an adapter; on a GPU, memory for it is taken for each one"
    )

    @model_validator(mode="after")
    def _experts_have_devices(self) -> EngineConfig:
        if self.expert_parallel and self.devices == 1:
            raise ValueError("expert_parallel deals experts out to several devices: give devices = 2 or more too")
        return self

    @property
    def urls(self) -> tuple[str, ...]:
        """The servers in order; a text may hold several, between commas, as a variable of the environment does."""
        return _urls(self.url)

    @field_validator("url")
    @classmethod
    def _addresses(cls, url: str | list[str], info: ValidationInfo) -> str | list[str]:
        for each in _urls(url):
            if problem := _not_usable(each, elsewhere=bool(info.data.get("elsewhere"))):
                raise ValueError(problem)
        return url


def _checked_origin(origin: str) -> str:
    """An origin, whole. Raises ValueError."""
    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https") or not parts.hostname or "*" in origin or parts.path not in ("", "/"):
        raise ValueError('an origin is a scheme, a host and a port, as "https://app.example.com"; name each one, there is no *')
    return origin.rstrip("/")


class ServeConfig(ConfigSection):
    """[serve]: the HTTP side."""

    host: str = "127.0.0.1"
    port: int = Field(default=8630, ge=0, le=65535)
    allowed_hosts: list[str] = Field(
        default=[], description="Host headers to accept beside the address itself, e.g. portico.lan:8630"
    )
    allowed_origins: list[Annotated[str, AfterValidator(_checked_origin)]] = Field(
        default=[],
        description="Origin headers to accept beside the address itself; pages of theirs may read the answers (CORS)",
    )
    socket: Path | None = Field(default=None, description="a Unix socket to listen on, in place of host and port")
    tls_cert: Path | None = Field(default=None, description="certificate chain (PEM), for https; with tls_key")
    tls_key: Path | None = Field(default=None, description="its private key (PEM)")
    drain_seconds: float = Field(
        default=10.0,
        ge=0,
        description="that requests under way get when the server is told to end; then streams end with an error",
    )
    load_timeout: float = Field(default=60.0, gt=0, description="seconds a request waits for the model to load before 503")
    without_keys: bool = Field(
        default=False, description="serve whoever reaches an address beyond this machine, although there are no keys"
    )
    running_per_key: int | None = Field(
        default=None, gt=0, description="requests of one key that the engine works on; default: 16, or 256 without keys"
    )
    waiting_per_key: int = Field(
        default=256, ge=0, description="requests of one key that wait for those; more are refused with 429"
    )

    @model_validator(mode="after")
    def _both_of_tls(self) -> ServeConfig:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key go together: give both, or neither")
        if self.socket is not None and self.tls_cert is not None:
            raise ValueError("a Unix socket needs no TLS: leave out socket, or tls_cert and tls_key")
        return self


class GatewayConfig(ConfigSection):
    """[gateway]: the MCP side."""

    list_timeout: float = Field(
        default=10.0, ge=0, description="seconds that tools/list waits for servers that are still starting"
    )
    expose: Literal["all", "search"] = Field(
        default="all", description="what hosts are listed: all tools, or two that find and call them, for large catalogs"
    )
    schema_tokens: int | None = Field(
        default=None,
        gt=0,
        description="tokens of a prompt that tools may fill before the model is told of two that find and call them instead; "
        "default: a third of the context",
    )
    own_servers: list[OwnServer] = Field(
        default=["code", "docs", "db"], description="which of Portico's own servers there are beside those of the file"
    )


class BackgroundConfig(ConfigSection):
    """[background]: the process that `portico ask` leaves behind for the next question."""

    enabled: bool = Field(default=True, description="leave one behind, and use what runs; --no-background for one question")
    idle_minutes: float = Field(default=10.0, gt=0, description="minutes without a question after which it ends")


def _checked_address(pattern: str) -> str:
    """A pattern over URLs. Raises ValueError where it can match none."""
    parts = urlsplit(pattern)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ValueError('it must be a URL, as "https://mcp.example.com/*": its host and its path may have * and ?')
    return pattern


class CallerRules(ConfigSection):
    """[policy.callers.PATTERN]: further rules for the callers that the pattern names: keys, "local", or "client:NAME" for what
    a host calls itself, which can be anything and so may only be narrowed."""

    allow: list[ToolPattern] = Field(default=[], description="tools that run without consent")
    ask: list[ToolPattern] = Field(default=[], description="tools that need consent at every call")
    deny: list[ToolPattern] = Field(default=[], description="tools that these callers neither see nor call")
    others: Literal["allow", "requested", "ask", "deny"] | None = Field(
        default=None, description="what becomes of a tool that is not read-only and that no list names; default: as for all"
    )
    calls_per_minute: int | None = Field(default=None, ge=0, description="calls of one caller at most; 0: none at all")
    calls_per_day: int | None = Field(default=None, ge=0, description="calls of one caller at most; 0: none at all")


class PolicyConfig(ConfigSection):
    """[policy]: which tool calls run, which need a person's consent. Patterns are over gateway names, e.g. "files__write_*".

    Where several lists name a tool, the most careful one counts: deny, then ask, then allow.
    """

    allow: list[ToolPattern] = Field(default=[], description="tools that run without consent")
    ask: list[ToolPattern] = Field(default=[], description="tools that need consent at every call, read-only or not")
    deny: list[ToolPattern] = Field(default=[], description="tools that never run")
    read_only: list[ToolPattern] = Field(
        default=[], description="tools that are taken as read-only, whatever their server says"
    )
    writes: list[ToolPattern] = Field(
        default=[], description="tools that are not taken as read-only, whatever their server says"
    )
    others: Literal["allow", "requested", "ask", "deny"] = Field(
        default="ask",
        description='what becomes of a tool that is not read-only and that no list names; "requested": it runs where the '
        "person's own words name what it does and all of its arguments, and asks otherwise",
    )
    ask_after_read: bool = Field(
        default=False,
        description="consent for a call that isn't read-only, once its caller has read something untrusted",
    )
    request_servers: list[Annotated[str, AfterValidator(_checked_address)]] = Field(
        default=[],
        description="MCP servers that a request over HTTP may bring along, as patterns over their URLs, e.g. "
        '"https://mcp.example.com/*"',
    )
    provenance: bool = Field(
        default=True,
        description="consent for a call that isn't read-only, or leaves this machine, with an argument from untrusted text",
    )
    trusted: list[ToolPattern] = Field(
        default=[], description="tools whose results count as trusted, for ask_after_read and provenance"
    )
    egress: list[ToolPattern] = Field(
        default=[], description="tools that send their arguments elsewhere, whatever their server says"
    )
    callers: dict[str, CallerRules] = Field(default={})
    approval_seconds: float = Field(default=300.0, gt=0, description="how long a consent is waited for, and is good for")
    local_sampling: bool = Field(
        default=True, description="the local model answers a server's sampling request where the host can't"
    )

    @model_validator(mode="after")
    def _clients_narrow_only(self) -> PolicyConfig:
        for name, rules in self.callers.items():
            if name.startswith("client:") and (rules.allow or rules.others in ("allow", "requested")):
                raise ValueError(
                    f"callers.{name} allows something, and a host can call itself anything: name a key, or leave out allow"
                )
        return self


class AuditConfig(ConfigSection):
    """[audit]: the log of every tool call."""

    enabled: bool = True
    file: Path | None = Field(default=None, description="default: audit.db in the user's data folder")
    arguments: bool = Field(default=False, description="keep the arguments of calls, not only their digest")
    max_rows: int = Field(default=100_000, gt=0, le=10**12, description="the oldest rows go when there are more")
    max_days: float = Field(default=90.0, gt=0, le=36_500, description="rows older than this go")


class TuneConfig(ConfigSection):
    """[tune]: whether what is asked may be trained on, on this machine."""

    use_log: bool = Field(
        default=False,
        description="the audit log keeps questions and arguments with calls; `portico tune data --log` makes rows of them",
    )


class KeyConfig(ConfigSection):
    """[keys.NAME]: one bearer key of the HTTP side. `portico key new NAME` makes it."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="the key's SHA-256, in hex; the key itself is kept nowhere")
    scopes: list[Scope] = Field(default=["chat", "mcp"], min_length=1, description="what it opens; admin opens everything")
    expires: datetime | None = Field(default=None, description="when it stops opening anything, e.g. 2027-01-31T00:00:00Z")
    running: int | None = Field(default=None, gt=0, description="its requests at a time; default: running_per_key")
    waiting: int | None = Field(default=None, ge=0, description="its requests that wait; default: waiting_per_key")
    seconds: float | None = Field(default=None, gt=0, description="that one of its answers may take")
    requests_per_day: int | None = Field(default=None, ge=0, description="to the model, by UTC; 0 refuses all")
    tokens_per_day: int | None = Field(default=None, ge=0, description="of prompts and answers, by UTC; 0 refuses all")

    @field_validator("expires")
    @classmethod
    def _of_a_zone(cls, expires: datetime | None) -> datetime | None:
        return expires if expires is None or expires.tzinfo is not None else expires.replace(tzinfo=UTC)

    def is_over(self, now: datetime) -> bool:
        """Has it expired?"""
        return self.expires is not None and self.expires <= now


class OAuthConfig(ConfigSection):
    """[oauth]: tokens of an OAuth 2.1 authorization server are taken too, checked by introspection (RFC 7662)."""

    issuer: str = Field(default="", description="the authorization server's issuer URL; none: no OAuth")
    resource: str = Field(default="", description="this server's own MCP URL, as tokens name it, e.g. https://host/mcp")
    introspection_url: str = ""
    client_id: str = ""
    client_secret: str = ""

    @model_validator(mode="after")
    def _whole_or_not_at_all(self) -> OAuthConfig:
        needed = {"issuer": self.issuer, "resource": self.resource, "introspection_url": self.introspection_url}
        missing = [key for key, value in needed.items() if not value]
        if missing and len(missing) < len(needed):
            raise ValueError(f"OAuth needs {' and '.join(missing)} too")
        if wrong := next((k for k, v in needed.items() if v and not v.startswith(("https://", "http://"))), None):
            raise ValueError(f"{wrong} must be a URL that starts with https:// (or http:// on this machine)")
        if wrong := next((k for k, v in needed.items() if v and not _is_url(v)), None):
            raise ValueError(f"{wrong} is no URL")
        return self


class LogConfig(ConfigSection):
    """[log]: where and how much."""

    dir: Path | None = None
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = Field(
        default="text", description="of the log file: lines for people, or an object a line"
    )
    traces: str = Field(
        default="", description="OTLP/HTTP address that traces go to, e.g. http://127.0.0.1:4318; needs the extra otel"
    )


class ServerOAuthConfig(ConfigSection):
    """[servers.NAME.oauth]: a person logs in once with `portico login NAME`; an empty table is enough where the server lets
    clients register themselves."""

    client_id: str = Field(default="", description="of a client that is registered at the server already")
    client_secret: str = Field(default="", repr=False)
    client_metadata_url: str = Field(default="", description="https URL of a client ID metadata document")
    redirect_port: int = Field(default=8639, ge=1, le=65535, description="where the browser comes back to, on this machine")

    @model_validator(mode="after")
    def _one_identity(self) -> ServerOAuthConfig:
        if self.client_secret and not self.client_id:
            raise ValueError("client_secret needs client_id")
        page = urlsplit(self.client_metadata_url)
        if self.client_metadata_url and (page.scheme != "https" or page.path in ("", "/")):
            raise ValueError("client_metadata_url must be an https:// URL with a path")
        return self


class ServerConfig(ConfigSection):
    """[servers.NAME]: one MCP server, by command or by URL."""

    type: Literal["stdio", "http", "sse"] | None = None
    command: str = ""
    args: list[str] = Field(default=[])
    env: dict[str, str] = Field(default={})
    env_file: str | None = Field(default=None, description="NAME=VALUE lines, for the server and for ${NAME} in this entry")
    cwd: str | None = None
    url: str = ""
    headers: dict[str, str] = Field(default={})
    oauth: ServerOAuthConfig | None = Field(default=None, description="log in at a server with a url, by OAuth")
    era: Literal["auto", "legacy", "modern"] = "auto"
    start_timeout: float = Field(default=30.0, gt=0)
    call_timeout: float = Field(default=60.0, gt=0)
    pin_definitions: bool = Field(default=True, description="false: its tools may differ from start to start")
    enabled: bool = True
    _problem: str = PrivateAttr(default="")

    def cannot_be_used(self, problem: str) -> None:
        """This server is known, but won't be started; `problem` says why."""
        self._problem = problem

    @model_validator(mode="after")
    def _one_way_to_reach_it(self) -> ServerConfig:
        if bool(self.command) == bool(self.url):
            raise ValueError("set either command (a program to start) or url (a server that runs)")
        if self.command and self.type not in (None, "stdio"):
            raise ValueError(f"type is {self.type!r}, which needs url instead of command")
        if self.url and self.type == "stdio":
            raise ValueError("type is 'stdio', which needs command instead of url")
        if self.oauth is not None and (not self.url or self.type == "sse"):
            raise ValueError("oauth is for a server with a url, over Streamable HTTP")
        if self.url and not self.url.startswith(("http://", "https://", "${")):
            raise ValueError("url must start with http:// or https://")
        return self

    def spec(self, name: str) -> UpstreamSpec:
        """How to reach it, or why it can't be reached."""
        if self._problem:
            return UpstreamSpec(name, problem=self._problem)
        if why := why_unusable(self.command, self.args, self.env, self.cwd, self.url, self.headers):
            return UpstreamSpec(name, problem=f"servers.{name}.{why}")
        return UpstreamSpec(
            name,
            transport="stdio" if self.command else self.type if self.type in ("http", "sse") else "http",
            command=os.path.expanduser(self.command),
            args=tuple(self.args),
            env=self.env,
            cwd=os.path.expanduser(self.cwd) if self.cwd else None,
            url=self.url,
            headers=self.headers,
            oauth=None if self.oauth is None else OAuthClient(**self.oauth.model_dump()),
            era=self.era,
            start_timeout=self.start_timeout,
            call_timeout=self.call_timeout,
            pin_definitions=self.pin_definitions,
        )
