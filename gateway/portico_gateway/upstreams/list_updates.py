"""Keeps what one server lists in the catalog up to date: hears of changes, in either era, and reads the lists anew.

It owns when they are read; `listing.py` reads them.
"""

from __future__ import annotations

import logging
from typing import Any

import anyio
import mcp_types
from mcp.client.client import Client
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.errors import first_line
from portico_gateway.upstreams.catalog import Catalog
from portico_gateway.upstreams.listing import list_everything
from portico_gateway.upstreams.wire.connection import UpstreamConnection
from portico_gateway.upstreams.wire.messages import SESSION_EXPIRED

log = logging.getLogger(__name__)

REFRESH_PAUSE = 0.1  # seconds between two readings: a server may announce a change with every reading
_LISTEN_PAUSE = 1.0  # seconds before a lost subscription is made again


class ListUpdates:
    """Of one server, over all its connections."""

    def __init__(self, spec: UpstreamSpec, catalog: Catalog) -> None:
        self._spec = spec
        self._catalog = catalog
        self._stale = anyio.Event()
        self.retired = False  # the server is configured no more: what it lists counts for nothing

    async def read(self, client: Client) -> None:
        """Put what the server lists into the catalog, unless it was taken away meanwhile."""
        listing = await list_everything(client)
        if not self.retired:
            self._catalog.put(self._spec.name, listing)

    def have_changed(self) -> None:
        """A server of the handshake eras says so; newer ones tell through a subscription."""
        self._stale.set()

    async def on_message(self, message: Any) -> None:
        """Take what the handshake eras tell of resources."""
        if isinstance(message, mcp_types.ResourceUpdatedNotification):
            self._catalog.tell_updated(self._spec.name, message.params.uri)

    async def follow(self, client: Client, connection: UpstreamConnection) -> None:
        """Read the lists anew whenever they change, until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._listen, client)
            tasks.start_soon(self._read_when_stale, client, connection)

    async def _listen(self, client: Client) -> None:
        while True:
            try:
                async with client.listen(
                    tools_list_changed=True, prompts_list_changed=True, resources_list_changed=True
                ) as changes:
                    self._stale.set()  # what changed between listing and listening
                    async for _ in changes:
                        self._stale.set()
            except (ListenNotSupportedError, MCPError):
                return
            except SubscriptionLost:
                pass
            await anyio.sleep(_LISTEN_PAUSE)

    async def _read_when_stale(self, client: Client, connection: UpstreamConnection) -> None:
        while True:
            await self._stale.wait()
            self._stale = anyio.Event()
            try:
                with anyio.fail_after(self._spec.call_timeout):
                    await self.read(client)
            except (MCPError, TimeoutError, ValidationError) as error:
                if isinstance(error, MCPError) and error.code == SESSION_EXPIRED:
                    connection.ended.set()
                # A connection's end is reported once, by its supervisor.
                level = logging.DEBUG if connection.ended.is_set() else logging.WARNING
                log.log(level, "server %r: its lists could not be read again: %s", self._spec.name, first_line(error))
            await anyio.sleep(REFRESH_PAUSE)
