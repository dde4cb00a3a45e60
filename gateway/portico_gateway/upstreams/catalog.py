"""What all upstreams offer, under the gateway's names: tools, prompts, resources and resource templates.

It owns names and order: servers as configured, each server's things as it lists them, so that a prompt made from the catalog
keeps its prefix. A server that goes down keeps its last known list. It knows no connections; each `Upstream` fills it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import InitVar, dataclass, field, replace
from typing import Any, Literal, TypeAlias, TypeVar

import mcp_types

from portico_gateway.errors import UnknownName
from portico_gateway.upstreams.cross_references import shadowed_tools
from portico_gateway.upstreams.definition_pins import DefinitionPins
from portico_gateway.upstreams.definitions import FirstDefinitions, Standing
from portico_gateway.upstreams.names import inward_uri, namespaced, outward_uri

APP_SCHEME = "ui://"  # of MCP Apps' resources
ListKind: TypeAlias = Literal["tools", "prompts", "resources"]
CatalogListener: TypeAlias = Callable[[frozenset[ListKind]], None]
_Entry = TypeVar("_Entry", "CatalogTool", "CatalogPrompt")


@dataclass(frozen=True, slots=True)
class CatalogTool:
    """One tool. `name` is the gateway's, `tool.name` the server's own. `local_schema`: what the built-in model decodes by.
    `question_reader`: where its server reads a question for that model, as arguments of the tool. `digest` is of its
    definition; `changed`: that is another one than when the tool was first seen. `shadows`: the tool of another server that its
    definition speaks of."""

    name: str
    server: str
    tool: mcp_types.Tool
    local_schema: Mapping[str, Any] | None = None
    question_reader: str | None = None
    digest: str = ""
    changed: bool = False
    shadows: str | None = None

    @property
    def is_held_back(self) -> bool:
        """Must a person have seen it before its words count?"""
        return self.changed or self.shadows is not None


@dataclass(frozen=True, slots=True)
class CatalogPrompt:
    name: str
    server: str
    prompt: mcp_types.Prompt


@dataclass(frozen=True, slots=True)
class CatalogResource:
    uri: str
    server: str
    resource: mcp_types.Resource


@dataclass(frozen=True, slots=True)
class CatalogTemplate:
    uri_template: str
    server: str
    template: mcp_types.ResourceTemplate


@dataclass(frozen=True, slots=True)
class ServerListing:
    """What one server lists, in its own names and order."""

    tools: tuple[mcp_types.Tool, ...] = ()
    prompts: tuple[mcp_types.Prompt, ...] = ()
    resources: tuple[mcp_types.Resource, ...] = ()
    templates: tuple[mcp_types.ResourceTemplate, ...] = ()
    local: Mapping[str, LocalSchema] = field(default_factory=dict)  # by tool
    readers: Mapping[str, str] = field(default_factory=dict)  # by tool, the URI of what reads questions for it


@dataclass(frozen=True, slots=True)
class LocalSchema:
    """An input schema with more in it than a host may see: where the server keeps it, and what it says."""

    uri: str
    schema: Mapping[str, Any]


@dataclass
class Catalog:
    """The union of the servers' listings. `order` holds the configured names; one that isn't there is appended. `pins` keep
    what tools said of themselves for later processes."""

    order: Sequence[str] = ()
    pins: InitVar[DefinitionPins | None] = None
    _listings: dict[str, ServerListing] = field(default_factory=dict, init=False)
    _listeners: list[CatalogListener] = field(default_factory=list, init=False)
    _update_listeners: list[Callable[[str], None]] = field(default_factory=list, init=False)
    _definitions: FirstDefinitions = field(init=False)
    _standings: dict[str, Mapping[str, Standing]] = field(default_factory=dict, init=False)  # of the listings, by server
    tools: tuple[CatalogTool, ...] = field(default=(), init=False)
    _tools: dict[str, CatalogTool] = field(default_factory=dict, init=False)  # by name: each call asks several times
    prompts: tuple[CatalogPrompt, ...] = field(default=(), init=False)
    resources: tuple[CatalogResource, ...] = field(default=(), init=False)
    templates: tuple[CatalogTemplate, ...] = field(default=(), init=False)

    def __post_init__(self, pins: DefinitionPins | None) -> None:
        self._definitions = FirstDefinitions(pins)

    def put(self, server: str, listing: ServerListing) -> None:
        """Take a server's listing, and tell the listeners which kinds changed."""
        old = self._listings.get(server, ServerListing())
        self._listings[server] = listing
        changed: set[ListKind] = set()
        if (listing.tools, listing.local, listing.readers) != (old.tools, old.local, old.readers):
            changed.add("tools")
        if listing.prompts != old.prompts:
            changed.add("prompts")
        if listing.resources != old.resources or listing.templates != old.templates:
            changed.add("resources")
        if "tools" in changed or not self._definitions.knows(server):
            self._standings[server] = self._definitions.standings(server, listing.tools)
        if changed:
            self._rebuild()
            self.announce(changed)

    def begin(self, server: str, identity: str | None, *, own: bool = False) -> None:
        """The server of this name begins, maybe in another's place: its tools are seen for the first time, unless they are kept
        by this `identity`. Those of our `own` servers may change."""
        self._definitions.begin(server, identity, own=own)

    def consent(self, entry: CatalogTool, caller: str) -> None:
        """A person has allowed a call of a tool whose definition changed: for this caller, later processes take it as it is."""
        self._definitions.consent(entry.server, entry.tool.name, entry.digest, caller)

    def is_consented(self, entry: CatalogTool, caller: str) -> bool:
        """Had a person done so, for this caller, before the tool's server began?"""
        return self._definitions.is_consented(entry.server, entry.tool.name, entry.digest, caller)

    def arrange(self, order: Sequence[str]) -> None:
        """Take a new order of servers; one that is not in it is forgotten. The listeners hear what changed."""
        before = self.tools, self.prompts, (self.resources, self.templates)
        self.order = tuple(order)
        self._listings = {server: listing for server, listing in self._listings.items() if server in order}
        self._rebuild()
        after = self.tools, self.prompts, (self.resources, self.templates)
        kinds: tuple[ListKind, ...] = ("tools", "prompts", "resources")
        self.announce({kind for kind, old, new in zip(kinds, before, after, strict=True) if old != new})

    def announce(self, kinds: Collection[ListKind]) -> None:
        """Tell the listeners that lists of these kinds look different now."""
        for listener in list(self._listeners) if kinds else ():
            listener(frozenset(kinds))

    def subscribe(self, listener: CatalogListener) -> Callable[[], None]:
        """Call `listener(kinds)` on every change; returns what ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def subscribe_updates(self, listener: Callable[[str], None]) -> Callable[[], None]:
        """Call `listener(gateway URI)` whenever a watched resource has changed; returns what ends it."""
        self._update_listeners.append(listener)
        return lambda: self._update_listeners.remove(listener)

    def tell_updated(self, server: str, own_uri: str) -> None:
        """A server says that one of its resources has changed."""
        for listener in list(self._update_listeners):
            listener(outward_uri(server, own_uri))

    def listing(self, server: str) -> ServerListing:
        """The last known listing of a server, empty before the first."""
        return self._listings.get(server, ServerListing())

    def tool(self, name: str) -> CatalogTool:
        """The tool of this gateway name. Raises UnknownName."""
        if name not in self._tools:
            raise UnknownName("tool", name)
        return self._tools[name]

    def prompt(self, name: str) -> CatalogPrompt:
        """The prompt of this gateway name. Raises UnknownName."""
        return _find(self.prompts, name, "prompt")

    def resource_owner(self, uri: str) -> tuple[str, str]:
        """(server, its own URI) for a gateway URI or URI template, or for a server's own `ui://` resource, which keeps its
        name so that hosts know it for an app's. Raises UnknownName."""
        inward = inward_uri(uri) or self._app_resource(uri)
        if inward is None or inward[0] not in self._listings:
            raise UnknownName("resource", uri)
        listing = self._listings[inward[0]]
        private = {local.uri for local in listing.local.values()} | set(listing.readers.values())
        if inward[1].partition("?")[0] in private:
            raise UnknownName("resource", uri)  # not for hosts
        return inward

    def _app_resource(self, uri: str) -> tuple[str, str] | None:
        """The one server that has this `ui://` resource: lists it, or names it in a tool's `_meta` (MCP Apps, SEP-1865)."""
        if not uri.startswith(APP_SCHEME):
            return None
        having = [server for server, listing in self._listings.items() if uri in _app_uris(listing)]
        return (having[0], uri) if len(having) == 1 else None

    @property
    def digest(self) -> str:
        """sha256 over names, descriptions and input schemas of all tools, in order: the key of what is compiled from them."""
        view = [(entry.name, entry.tool.description, entry.local_schema or entry.tool.input_schema) for entry in self.tools]
        return hashlib.sha256(json.dumps(view, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()

    def _entry(self, server: str, listing: ServerListing, tool: mcp_types.Tool) -> CatalogTool:
        local = listing.local.get(tool.name)
        standing = self._standings[server][tool.name]
        name = namespaced(server, tool.name)
        schema, reader = local.schema if local else None, listing.readers.get(tool.name)
        return CatalogTool(name, server, tool, schema, reader, standing.digest, standing.changed)

    def _rebuild(self) -> None:
        servers = [name for name in self.order if name in self._listings]
        servers += [name for name in self._listings if name not in self.order]
        pairs = [(server, self._listings[server]) for server in servers]
        tools = [self._entry(server, lst, tool) for server, lst in pairs for tool in lst.tools]
        shadows = shadowed_tools((entry.server, entry.name, entry.tool) for entry in tools)
        self.tools = tuple(replace(entry, shadows=shadows[entry.name]) if entry.name in shadows else entry for entry in tools)
        self._tools = {entry.name: entry for entry in reversed(self.tools)}
        self.prompts = tuple(CatalogPrompt(namespaced(server, p.name), server, p) for server, lst in pairs for p in lst.prompts)
        self.resources = tuple(
            CatalogResource(outward_uri(server, r.uri), server, r) for server, lst in pairs for r in lst.resources
        )
        self.templates = tuple(
            CatalogTemplate(outward_uri(server, t.uri_template), server, t) for server, lst in pairs for t in lst.templates
        )


def _app_uris(listing: ServerListing) -> set[str]:
    found = {resource.uri for resource in listing.resources}
    for tool in listing.tools:
        about = (tool.meta or {}).get("ui")
        named = about.get("resourceUri") if isinstance(about, dict) else (tool.meta or {}).get("ui/resourceUri")
        found |= {named} if isinstance(named, str) else set()
    return found


def _find(entries: tuple[_Entry, ...], name: str, kind: str) -> _Entry:
    for entry in entries:
        if entry.name == name:
            return entry
    raise UnknownName(kind, name)
