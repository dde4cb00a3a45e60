"""Blocking calls on worker threads, each within its time; a caller that cancels ends the statement that runs for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import anyio.to_thread
from mcp.server.mcpserver.exceptions import ToolError

from portico_servers.docs.errors import DocsError
from portico_servers.docs.index.database import IndexDatabase, ReadLimit

SECONDS = 10.0  # that any one call may take
T = TypeVar("T")


class DeadlineRunner:
    """Runs what reads the index: at most SECONDS a call, TooSlow after them."""

    def __init__(self, database: IndexDatabase) -> None:
        self._database = database

    async def call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        limit = ReadLimit(SECONDS)

        def work() -> T:
            with self._database.within(limit):
                return function(*args, **kwargs)

        try:
            return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
        finally:
            limit.cancel()

    async def run(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """As `call`; what we say no to reaches the model as the tool's error."""
        try:
            return await self.call(function, *args, **kwargs)
        except DocsError as error:
            raise ToolError(str(error)) from None
