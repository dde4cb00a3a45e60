"""The tool of type "mcp" as OpenAI's APIs have it: a server whose tools the model may call, here and not by the client."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from portico_gateway.http.wire import Json, LenientBody, ToolName

EVERY_SERVER = "portico"  # as a label: all servers of this gateway
_LABEL = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$"


class McpToolFilter(LenientBody):
    """Some of a server's tools: by name, or those that only read."""

    tool_names: list[ToolName] | None = None
    read_only: bool | None = None

    def takes(self, name: str, *, read_only: bool) -> bool:
        named = self.tool_names is None or name in self.tool_names
        return named and (self.read_only is None or self.read_only == read_only)


class McpApprovalFilter(LenientBody):
    always: McpToolFilter | None = None
    never: McpToolFilter | None = None


class McpToolBody(LenientBody):
    """One server, by the name that it has in this gateway's configuration, or by an address that the policy names."""

    type: Literal["mcp"]
    server_label: Annotated[str, Field(pattern=_LABEL)]
    server_url: str | None = None
    server_description: str | None = None
    allowed_tools: list[ToolName] | McpToolFilter | None = None
    require_approval: Literal["always", "never"] | McpApprovalFilter | None = None
    headers: dict[str, str] | None = None
    authorization: str | None = None
    connector_id: str | None = None

    @field_validator("connector_id")
    @classmethod
    def _no_connector(cls, connector: str | None) -> str | None:
        if connector is not None:
            raise ValueError("there are no connectors here; name a server by server_label")
        return connector

    @model_validator(mode="after")
    def _credentials_are_for_an_address(self) -> McpToolBody:
        if self.server_url is None and (self.headers or self.authorization):
            raise ValueError("headers and authorization go with server_url; this gateway's own servers have theirs")
        if self.server_url is not None and not self.server_url.startswith(("http://", "https://")):
            raise ValueError("server_url must start with http:// or https://")
        return self

    def wanted(self) -> WantedServer:
        """What it asks for."""
        allowed = self.allowed_tools
        approval = self.require_approval
        headers = dict(self.headers or {})
        if self.authorization:
            headers["Authorization"] = f"Bearer {self.authorization.removeprefix('Bearer ')}"
        return WantedServer(
            self.server_label,
            self.server_url,
            McpToolFilter(tool_names=allowed) if isinstance(allowed, list) else allowed or McpToolFilter(),
            McpToolFilter() if approval == "always" else approval.always if isinstance(approval, McpApprovalFilter) else None,
            headers,
        )

    def shown(self) -> Json:
        """As a response repeats it: without what is secret."""
        shown: dict[str, Any] = self.model_dump(exclude_none=True, exclude={"headers", "authorization"})
        return shown


@dataclass(frozen=True, slots=True)
class WantedServer:
    """A server whose tools one request's model may call. `asks`: those that a person is asked about although the policy would
    let them run; a request can only tighten it."""

    label: str
    url: str | None
    allowed: McpToolFilter
    asks: McpToolFilter | None
    headers: dict[str, str] = field(default_factory=dict, repr=False)
