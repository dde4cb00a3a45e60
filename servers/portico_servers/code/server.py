"""portico-code as an MCP server: puts tools, resources and prompts over one `Workspace` and ties its life to the server's."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
from mcp.server.mcpserver import MCPServer
from mcp.server.subscriptions import InMemorySubscriptionBus
from mcp.shared.subscriptions import ResourceUpdated

from portico_servers.code.config import CodeConfig, default_cache_dir
from portico_servers.code.prompts import add_prompts
from portico_servers.code.resources import add_completion, add_resources, uri_of
from portico_servers.code.tools.registration import build_tools, in_thread
from portico_servers.code.tools.search import places
from portico_servers.code.workspace import Workspace
from portico_servers.common.cache_folder import usable_cache
from portico_servers.common.server import PorticoServer
from portico_servers.common.version import package_version

logger = logging.getLogger(__name__)
_INSTRUCTIONS = (
    "Finds and reads source code under fixed directories. Begin with search; find_symbol and find_references follow a name; "
    "read shows lines. Results marked incomplete say why in their note; next_cursor continues them."
)


def build_server(config: CodeConfig) -> MCPServer[Workspace]:
    """The server over the configured roots, which must be directories (NotADirectoryError). Indexing begins when it starts to
    run and goes on in the background."""
    bus = InMemorySubscriptionBus()
    notifier = _ChangeNotifier(bus)
    workspace = Workspace(config.roots, config.cache_dir or usable_cache(default_cache_dir()), changed=notifier.files_changed)

    @asynccontextmanager
    async def lifespan(_: MCPServer[Workspace]) -> AsyncIterator[Workspace]:
        notifier.attach()
        workspace.start()
        try:
            yield workspace
        finally:
            notifier.detach()
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(workspace.close)

    server: PorticoServer[Workspace] = PorticoServer(
        "portico-code",
        title="Portico code search",
        instructions=_INSTRUCTIONS,
        version=package_version(),
        tools=build_tools(workspace),
        lifespan=lifespan,
        subscriptions=bus,
        log_level="WARNING",
        question_readers={"search": partial(_places, workspace)},
    )
    add_resources(server, workspace)
    add_completion(server, workspace)
    add_prompts(server, workspace)
    return server


async def _places(workspace: Workspace, question: str) -> dict[str, Any]:
    return await in_thread(partial(places, workspace, question))


class _ChangeNotifier:
    """Carries the index's news from its thread to the event loop, and there to whoever listens to a resource."""

    def __init__(self, bus: InMemorySubscriptionBus) -> None:
        self._bus = bus
        self._loop: anyio.lowlevel.EventLoopToken | None = None

    def attach(self) -> None:
        self._loop = anyio.lowlevel.current_token()

    def detach(self) -> None:
        self._loop = None

    def files_changed(self, root: str, paths: Sequence[str]) -> None:
        loop = self._loop
        if loop is not None:
            try:
                anyio.from_thread.run(self._publish, root, paths, token=loop)
            except anyio.RunFinishedError:  # the server is ending
                self._loop = None

    async def _publish(self, root: str, paths: Sequence[str]) -> None:
        for path in paths:
            await self._bus.publish(ResourceUpdated(uri=uri_of(root, path)))
