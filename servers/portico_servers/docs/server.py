"""portico-docs as an MCP server: puts tools, resources and prompts over one `Service` and ties its life to the server's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio.to_thread
from anyio.from_thread import BlockingPortal
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.subscriptions import InMemorySubscriptionBus
from mcp.shared.subscriptions import ResourceUpdated
from mcp_types import (
    InputRequiredResult,
    Resource,
)
from pydantic import AnyUrl

from portico_servers.common.list_changed import ListChangedNotifier
from portico_servers.common.server import PorticoServer
from portico_servers.common.version import package_version
from portico_servers.docs.config import DocsConfig
from portico_servers.docs.deadline import DeadlineRunner
from portico_servers.docs.index.indexer import IndexListener
from portico_servers.docs.index.models import LibraryVersion
from portico_servers.docs.prompts import add_prompts
from portico_servers.docs.resources import LIBRARIES, add_resources, library_resources
from portico_servers.docs.search.library import Library, citation
from portico_servers.docs.service import Service
from portico_servers.docs.tools.registration import build_tools

_MAX_EVENTS = 100


class DocsServer(PorticoServer[Any]):
    """A server that lists the libraries as they are now, and opens a citation as `read` gives it, section and all."""

    def __init__(self, library: Library, deadline: DeadlineRunner, **settings: Any) -> None:
        super().__init__(question_readers={"search": self._places}, **settings)
        self._library, self._deadline = library, deadline

    async def _places(self, question: str) -> dict[str, Any]:
        return await self._deadline.call(self._library.places, question)

    async def list_resources(self) -> list[Resource]:
        """The list of libraries, and the contents of each."""
        return [*await super().list_resources(), *await self._deadline.call(library_resources, self._library)]

    async def read_resource(
        self, uri: AnyUrl | str, context: Context[Any, Any] | None = None
    ) -> Iterable[ReadResourceContents] | InputRequiredResult:
        """The page, or the section that the URI's fragment names."""
        # The SDK matches no template against a bare "#", and hands the path on decoded.
        return await super().read_resource(str(uri).replace("#", "%23", 1), context)


def build_server(config: DocsConfig) -> MCPServer[Any]:
    """The server over the configured roots, or over the added libraries if there are none.

    The index is built once a client comes. Raises SourceError if a root isn't there.
    """
    service = Service(config)

    bus = InMemorySubscriptionBus()
    notifier = ListChangedNotifier(bus)

    @asynccontextmanager
    async def lifespan(_: MCPServer[Any]) -> AsyncIterator[None]:
        async with BlockingPortal() as portal:

            def pages_changed(library_version: LibraryVersion, paths: Sequence[str]) -> None:
                """From the indexer's thread: who listens hears which pages are to be read again."""
                for uri in (
                    LIBRARIES,
                    *(citation(library_version.library, library_version.version, path) for path in paths[:_MAX_EVENTS]),
                ):
                    portal.start_task_soon(bus.publish, ResourceUpdated(uri))

            def libraries_changed() -> None:
                portal.start_task_soon(partial(notifier.changed, resources=True))

            listener = IndexListener(pages_changed, libraries_changed)
            service.start(listener)
            try:
                yield
            finally:
                await anyio.to_thread.run_sync(service.stop, listener)

    deadline = DeadlineRunner(service.store)
    server = DocsServer(
        service.library,
        deadline,
        name="portico-docs",
        title="Documentation",
        version=package_version(),
        instructions="Local documentation: search finds passages, read opens one by its path#anchor, list shows what there is.",
        tools=build_tools(service.library, deadline),
        lifespan=lifespan,
        subscriptions=bus,
        middleware=[notifier.remember],
        log_level="WARNING",
    )
    add_resources(server, service.library, deadline)
    add_prompts(server)
    return server
