"""What hosts hear of without asking: changed lists, and resources that they subscribed to, in the words of either era.

It owns who wants which resource: a host of a handshake era by its connection, one of 2026-07-28 by the stream that it listens
on. It knows no upstream; the catalog says what changed, and `Upstreams.watch` has the servers say it.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any

import mcp_types
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ResourceUpdated

from portico_gateway.upstreams.upstreams import Upstreams

Context = ServerRequestContext[Any, Any]
MOST_OF_ONE = 200  # resources that one host may subscribe to


class ResourceSubscriptions:
    """Of one gateway. `allows(ctx, uri)` says whether a host may read a resource, and raises where there is none."""

    def __init__(self, upstreams: Upstreams, bus: InMemorySubscriptionBus, allows: Callable[[Context, str], None]) -> None:
        self._upstreams = upstreams
        self._bus = bus
        self._listen = ListenHandler(bus)
        self._allows = allows
        self._subscribed: weakref.WeakKeyDictionary[Connection, set[str]] = weakref.WeakKeyDictionary()
        self._listened: Counter[str] = Counter()

    async def subscribe(self, ctx: Context, params: mcp_types.SubscribeRequestParams) -> mcp_types.EmptyResult:
        """Of a host of a handshake era. Raises where it may not read that."""
        self._allows(ctx, params.uri)
        wanted = self._subscribed.setdefault(ctx.session._connection, set())
        if len(wanted) < MOST_OF_ONE:
            wanted.add(params.uri)
        self._watch()
        return mcp_types.EmptyResult()

    async def unsubscribe(self, ctx: Context, params: mcp_types.UnsubscribeRequestParams) -> mcp_types.EmptyResult:
        self._subscribed.get(ctx.session._connection, set()).discard(params.uri)
        self._watch()
        return mcp_types.EmptyResult()

    async def listen(self, ctx: Context, params: mcp_types.SubscriptionsListenRequestParams) -> Any:
        """A stream of a host of 2026-07-28, as long as it lasts."""
        uris = set((params.notifications.resource_subscriptions or [])[:MOST_OF_ONE])
        for uri in uris:
            self._allows(ctx, uri)
        self._listened.update(uris)
        self._watch()
        try:
            return await self._listen(ctx, params)
        finally:
            self._listened.subtract(uris)
            self._watch()

    async def updated(self, uri: str) -> None:
        """A watched resource has changed."""
        for connection, wanted in list(self._subscribed.items()):
            if uri in wanted:
                await connection.send_resource_updated(uri)
        await self._bus.publish(ResourceUpdated(uri))
        self._watch()  # without those whose connection is gone

    def _watch(self) -> None:
        wanted = {uri for uris in self._subscribed.values() for uri in uris}
        self._upstreams.watch(wanted | {uri for uri, count in self._listened.items() if count > 0})
