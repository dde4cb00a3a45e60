"""The wire to one upstream: a child process's pipes, Streamable HTTP, or the older HTTP+SSE.

It owns the choice and the HTTP clients; `child_process.py` has the process. It knows nothing of sessions, tools or restarts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import anyio
import httpx2
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.upstreams.child_process import child_process_streams
from portico_gateway.upstreams.connection import UpstreamConnection


@asynccontextmanager
async def open_transport(spec: UpstreamSpec, connection: UpstreamConnection, log_dir: Path) -> AsyncIterator[tuple[Any, Any]]:
    """The (read, write) streams of a new connection to `spec`. Raises OSError or httpx2's errors where there is none."""
    if spec.transport == "stdio":
        async with child_process_streams(spec, connection, log_dir) as streams:
            yield streams
        return
    if spec.transport == "sse":
        async with sse_client(spec.url, headers=dict(spec.headers)) as (read, write):
            yield _EndWatchingStream(read, connection), write
        return
    timeout = httpx2.Timeout(30.0, read=None)  # deadlines are per call, above
    async with (
        httpx2.AsyncClient(headers=dict(spec.headers), timeout=timeout) as client,
        streamable_http_client(spec.url, http_client=client) as (read, write),
    ):
        yield _EndWatchingStream(read, connection), write


class _EndWatchingStream:
    """A read stream that tells its connection when it ends."""

    def __init__(self, inner: Any, connection: UpstreamConnection) -> None:
        self._inner = inner
        self._connection = connection

    @property
    def last_context(self) -> Any:
        return getattr(self._inner, "last_context", None)

    async def receive(self) -> Any:
        try:
            return await self._inner.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            self._connection.ended.set()
            raise

    async def aclose(self) -> None:
        await self._inner.aclose()

    def __aiter__(self) -> _EndWatchingStream:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> _EndWatchingStream:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        result: bool | None = await self._inner.__aexit__(exc_type, exc, traceback)
        return result
