"""Which resources hosts want to hear of: one watch at a resource's server, however many hosts, and again when it comes back.

It owns the watches and their lives. A server of 2026-07-28 is listened to, one of the handshake eras is subscribed to; what it
then says comes to `Catalog.tell_updated`, in either era.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping

import anyio
import mcp_types
from anyio.abc import TaskGroup
from mcp.client.client import Client
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from portico_gateway.errors import UnknownName, first_line
from portico_gateway.upstreams.catalog import Catalog
from portico_gateway.upstreams.supervision import Connected, Supervisor

log = logging.getLogger(__name__)

MOST_WATCHES = 1000  # of all hosts together; further ones are not watched
_PAUSE = 1.0  # seconds before a lost watch is made again
_TIMEOUT = 10.0  # seconds that a server has to take or end a subscription


class ResourceWatches:
    """Of one gateway. `supervisors` are the servers as they are now."""

    def __init__(self, catalog: Catalog, supervisors: Callable[[], Mapping[str, Supervisor]]) -> None:
        self._catalog = catalog
        self._supervisors = supervisors
        self._watched: dict[str, anyio.CancelScope] = {}

    def want(self, uris: Collection[str], tasks: TaskGroup) -> None:
        """These gateway URIs are to be watched from now on, and no others."""
        for uri in [uri for uri in self._watched if uri not in uris]:
            self._watched.pop(uri).cancel()
        for uri in uris:
            if uri not in self._watched and len(self._watched) < MOST_WATCHES:
                self._watched[uri] = scope = anyio.CancelScope()
                tasks.start_soon(self._watch, uri, scope, name=f"watch of {uri}")

    async def _watch(self, uri: str, scope: anyio.CancelScope) -> None:
        with scope:
            while True:
                try:
                    server, own = self._catalog.resource_owner(uri)
                    supervisor = self._supervisors()[server]
                    await supervisor.until_ready()
                    await self._watch_on(await supervisor.connected(_TIMEOUT), server, own)
                except (UnknownName, KeyError):
                    pass  # its server was taken away; it may come back
                except (ListenNotSupportedError, MCPError) as error:
                    log.info("%s can't be watched: %s", uri, first_line(error))
                    return
                except Exception as error:  # noqa: BLE001 - the outermost loop of this watch's task: the others go on
                    log.debug("the watch of %s ended: %s", uri, first_line(error))
                await anyio.sleep(_PAUSE)

    async def _watch_on(self, connected: Connected, server: str, own: str) -> None:
        """As long as the connection lasts. Raises MCPError where the server takes no subscriptions."""
        client = connected.client
        if client.protocol_version in MODERN_PROTOCOL_VERSIONS:
            try:
                async with client.listen(resource_subscriptions=[own]) as changes:
                    async for _ in changes:
                        self._catalog.tell_updated(server, own)
            except SubscriptionLost:
                return
        with anyio.fail_after(_TIMEOUT):
            await client.session.send_request(_subscribe(own), mcp_types.EmptyResult)
        try:
            await connected.connection.ended.wait()
        finally:
            await _unsubscribe(client, own)


def _subscribe(uri: str) -> mcp_types.SubscribeRequest:
    return mcp_types.SubscribeRequest(params=mcp_types.SubscribeRequestParams(uri=uri))


async def _unsubscribe(client: Client, uri: str) -> None:
    """Best effort: a server that is gone remembers nothing."""
    request = mcp_types.UnsubscribeRequest(params=mcp_types.UnsubscribeRequestParams(uri=uri))
    with anyio.move_on_after(_TIMEOUT, shield=True):
        try:
            await client.session.send_request(request, mcp_types.EmptyResult)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, nobody waits for the answer
            log.debug("%s could not be unsubscribed: %s", uri, first_line(error))
