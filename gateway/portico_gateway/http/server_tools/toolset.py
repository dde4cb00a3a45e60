"""The tools of one request's servers, offered to its model, and their calls: through the policy, whosever server it is.

It owns which tools are offered under which names, and the connections to servers that the request brought along.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

import anyio

from portico_engine import Tool
from portico_gateway.agent.host_calls import CallOutcome, HostCalls
from portico_gateway.agent.upstream_tool_host import UpstreamToolHost
from portico_gateway.caller import Caller
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.http.errors import ApiError
from portico_gateway.http.server_tools.wanted import EVERY_SERVER, WantedServer
from portico_gateway.policy.rules import Verdict
from portico_gateway.policy.tool_calls import ToolCalls
from portico_gateway.upstreams.catalog import CatalogTool
from portico_gateway.upstreams.upstreams import Upstreams

_START_SECONDS = 10.0  # that a request waits for its servers to be there


@dataclass(frozen=True, slots=True)
class ServerTool:
    """A tool as it is offered: `name` is what the client reads, `tool.name` what the model calls."""

    label: str
    name: str
    tool: Tool
    entry: CatalogTool


@dataclass(frozen=True, slots=True)
class Listing:
    """What one wanted server offers, or why it offers nothing."""

    label: str
    tools: tuple[ServerTool, ...]
    error: str | None = None


class Toolset:
    """One request's server tools."""

    def __init__(self, listings: Sequence[Listing], paths: Mapping[str, ToolCalls], caller: Caller) -> None:
        """`paths` are what calls go through, by label; `caller` is who makes them."""
        self.listings = tuple(listings)
        self._tools = {each.tool.name: each for listing in listings for each in listing.tools}
        self._paths, self.caller = paths, caller
        self._hosts = {label: UpstreamToolHost(path.upstreams, tool_calls=path, caller=caller) for label, path in paths.items()}

    @property
    def tools(self) -> tuple[Tool, ...]:
        """As the model is shown them."""
        return tuple(each.tool for each in self._tools.values())

    def get(self, name: str) -> ServerTool | None:
        """By the name that the model calls it by; None for a tool of the client's."""
        return self._tools.get(name)

    def needs_consent(self, tool: ServerTool) -> bool:
        """Is a person asked before a call of it, as things stand?"""
        return self._paths[tool.label].ruling(tool.entry, self.caller).verdict is Verdict.ASK

    def runs_beside_others(self, tool: ServerTool) -> bool:
        """Does it only read, and is nobody asked about it?"""
        return self._hosts[tool.label].may_run_concurrently(tool.tool.name)

    async def call(self, tool: ServerTool, arguments: dict[str, Any]) -> CallOutcome:
        """Make the call, if the policy or a person allows it. A failure is an outcome, never raised."""
        return await HostCalls(self._hosts[tool.label]).execute(tool.tool.name, arguments)


@asynccontextmanager
async def open_toolset(
    tool_calls: ToolCalls, wanted: Sequence[WantedServer], caller: Caller, *, live_schemas: bool
) -> AsyncIterator[Toolset]:
    """The tools of the wanted servers, whose own connections end with the block. `live_schemas`: the model is this machine's,
    so its prompt may hold what servers keep from hosts. Raises ApiError for a server that isn't there or that the policy does
    not name. Must be entered and left in one task."""
    async with AsyncExitStack() as stack:
        paths: list[tuple[WantedServer, ToolCalls, str | None]] = []
        for each in wanted:
            if each.url is None:
                paths.append((each, tool_calls, await _server_of(tool_calls, each)))
            else:
                own = await stack.enter_async_context(_brought_along(tool_calls, each))
                paths.append((each, tool_calls.over(own), each.label))
        entries = [(each, path, _entries(path, each, server)) for each, path, server in paths]
        asked = frozenset(
            entry.name for each, path, found in entries for entry in found if each.asks and _takes(each.asks, path, entry)
        )
        caller = replace(caller, careful=asked)
        listings = []
        for each, path, found in entries:
            offered = [entry for entry in found if path.ruling(entry, caller).verdict is not Verdict.DENY]
            tools = tuple(_offered(each.label, entry, live_schemas=live_schemas) for entry in offered)
            listings.append(Listing(each.label, tools, None if found else _why_none(path, each)))
        yield Toolset(listings, {each.label: path for each, path, _ in entries}, caller)


async def _server_of(tool_calls: ToolCalls, wanted: WantedServer) -> str | None:
    """The configured server that is meant, once it has started; None for all of them."""
    names = [status.name for status in tool_calls.upstreams.status()]
    if wanted.label != EVERY_SERVER and wanted.label not in names:
        there = ", ".join(names) or "none"
        message = f"this gateway has no server {wanted.label!r}; it has {there}, and {EVERY_SERVER!r} for all"
        raise ApiError(400, message, param="tools", code="unknown_server")
    await tool_calls.upstreams.ready(_START_SECONDS)
    return None if wanted.label == EVERY_SERVER else wanted.label


@asynccontextmanager
async def _brought_along(tool_calls: ToolCalls, wanted: WantedServer) -> AsyncIterator[Upstreams]:
    """A connection to the server at the request's address. Raises ApiError where the policy doesn't name it."""
    assert wanted.url is not None
    if not any(is_named(wanted.url, pattern) for pattern in tool_calls.policy.config.request_servers):
        message = (
            f"server_url {wanted.url[:200]!r} is not among request_servers under [policy] in portico.toml, so this gateway "
            "does not speak to it; leave server_url out for a server that it has"
        )
        raise ApiError(403, message, param="tools", code="server_not_allowed")
    if wanted.label in {status.name for status in tool_calls.upstreams.status()} | {EVERY_SERVER}:
        message = f"{wanted.label!r} is a server of this gateway; give the one at server_url another server_label"
        raise ApiError(400, message, param="tools")
    spec = UpstreamSpec(wanted.label, transport="http", url=wanted.url, headers=wanted.headers, start_timeout=_START_SECONDS)
    async with Upstreams([spec]) as upstreams:
        with anyio.move_on_after(_START_SECONDS):
            await upstreams.ready(_START_SECONDS)
        yield upstreams


def is_named(url: str, pattern: str) -> bool:
    """Does the pattern name the address? Scheme, host with port, and path are compared each by itself, so that no path looks
    like a host."""
    try:
        given, wanted = urlsplit(url), urlsplit(pattern)
        port, wanted_port = given.port, wanted.port
    except ValueError:
        return False
    if given.username is not None or given.hostname is None or given.fragment:
        return False
    same_place = given.scheme == wanted.scheme and port == wanted_port
    hosts = fnmatchcase(given.hostname, (wanted.hostname or "").lower())
    path = given.path + (f"?{given.query}" if given.query else "")
    return same_place and hosts and fnmatchcase(path or "/", wanted.path or "/")


def _entries(path: ToolCalls, wanted: WantedServer, server: str | None) -> list[CatalogTool]:
    every = path.upstreams.catalog.tools
    return [entry for entry in every if server in (None, entry.server) and _takes(wanted.allowed, path, entry)]


def _takes(chosen: Any, path: ToolCalls, entry: CatalogTool) -> bool:
    """By either name: the server's own, or the gateway's."""
    read_only = path.policy.is_read_only(entry.name, entry.tool, changed=entry.changed)
    return any(chosen.takes(name, read_only=read_only) for name in (entry.tool.name, entry.name))


def _offered(label: str, entry: CatalogTool, *, live_schemas: bool) -> ServerTool:
    schema = (entry.local_schema if live_schemas else None) or entry.tool.input_schema
    tool = Tool(entry.name, entry.tool.description or entry.tool.title or "", dict(schema))
    return ServerTool(label, entry.name if label == EVERY_SERVER else entry.tool.name, tool, entry)


def _why_none(path: ToolCalls, wanted: WantedServer) -> str:
    """Why a server offers nothing."""
    status = next((each for each in path.upstreams.status() if each.name == wanted.label), None)
    if status is not None and status.error:
        return status.error
    return "none of its tools is allowed here" if path.upstreams.catalog.tools else "it is not there yet"
