"""The sections of portico.toml about who may do what: `[policy]`, `[audit]`, `[keys.NAME]` and `[oauth]`.

It owns their shape alone; `policy.py`, `audit.py` and `http/access.py` act on them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Scope = Literal["chat", "mcp", "metrics", "admin"]


class Section(BaseModel):
    """A table of portico.toml: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PolicyConfig(Section):
    """[policy]: which tool calls run, which need a person's consent. Patterns are over gateway names, e.g. "files__write_*".

    Where several lists name a tool, the most careful one counts: deny, then ask, then allow.
    """

    allow: list[str] = Field(default=[], description="tools that run without consent")
    ask: list[str] = Field(default=[], description="tools that need consent at every call, read-only or not")
    deny: list[str] = Field(default=[], description="tools that never run")
    read_only: list[str] = Field(default=[], description="tools that are taken as read-only, whatever their server says")
    writes: list[str] = Field(default=[], description="tools that are not taken as read-only, whatever their server says")
    others: Literal["allow", "ask", "deny"] = Field(
        default="ask", description="what becomes of a tool that is not read-only and that no list names"
    )
    ask_after_read: bool = Field(
        default=False,
        description="consent for a call that isn't read-only, once the same conversation has read something untrusted",
    )
    trusted: list[str] = Field(default=[], description="tools whose results count as trusted, for ask_after_read")
    approval_seconds: float = Field(default=300.0, gt=0, description="how long a consent is waited for, and is good for")
    local_sampling: bool = Field(
        default=True, description="the local model answers a server's sampling request where the host can't"
    )


class AuditConfig(Section):
    """[audit]: the log of every tool call."""

    enabled: bool = True
    file: Path | None = Field(default=None, description="default: audit.db in the user's data folder")
    arguments: bool = Field(default=False, description="keep the arguments of calls, not only their digest")
    max_rows: int = Field(default=100_000, gt=0, description="the oldest rows go when there are more")
    max_days: float = Field(default=90.0, gt=0, description="rows older than this go")


class KeyConfig(Section):
    """[keys.NAME]: one bearer key of the HTTP side. `portico key new NAME` makes it."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="the key's SHA-256, in hex; the key itself is kept nowhere")
    scopes: list[Scope] = Field(default=["chat", "mcp"], min_length=1, description="what it opens; admin opens everything")


class OAuthConfig(Section):
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
        return self
