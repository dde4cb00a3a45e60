"""The wire to one upstream: a child process's pipes, Streamable HTTP, or the older HTTP+SSE.

It owns the choice and the HTTP clients; `child_process.py` has the process, `http_answers.py` what bounds an HTTP answer. It
knows nothing of sessions, tools or restarts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx2
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage
from mcp_types import ClientCapabilities, JSONRPCMessage

from portico_gateway.config.loopback import proxy_of
from portico_gateway.config.server_spec import OAuthClient, UpstreamSpec
from portico_gateway.upstreams.oauth.authorization import Authorization, AuthorizedTransport
from portico_gateway.upstreams.wire.asked_requests import QuickAnswers
from portico_gateway.upstreams.wire.child_process import child_process_streams
from portico_gateway.upstreams.wire.connection import UpstreamConnection
from portico_gateway.upstreams.wire.http_answers import AnswerTransport
from portico_gateway.upstreams.wire.mended_streams import AnswerMender, MendedReadStream, WatchedWriteStream
from portico_gateway.upstreams.wire.messages import MAX_MESSAGE

_CONNECT_TIMEOUT = 30.0  # seconds, of one HTTP operation but reading: deadlines are per call, above


@asynccontextmanager
async def open_transport(
    spec: UpstreamSpec,
    connection: UpstreamConnection,
    log_dir: Path,
    declared: Callable[[], ClientCapabilities | None] = lambda: None,
) -> AsyncIterator[tuple[Any, Any]]:
    """The (read, write) streams of a new connection to `spec`; `declared` says what the sender of a request can be asked, where
    that is less than what the connection declares. Raises OSError or httpx2's errors where there is none."""
    mender = AnswerMender(spec.name, modern=spec.era == "modern", lists_changed=connection.lists_changed)
    connection.mender = mender
    async with _wire(spec, connection, log_dir) as (read, write):
        if spec.transport == "stdio":  # whoever reads pipes refuses what is too much
            yield MendedReadStream(read, mender, connection), WatchedWriteStream(write, mender, declared)
            return
        async with _answering(spec.name, write) as answers:
            yield MendedReadStream(read, mender, connection, answers), WatchedWriteStream(write, mender, declared)


@asynccontextmanager
async def _answering(server: str, write: Any) -> AsyncIterator[QuickAnswers]:
    async def send(answers: Sequence[JSONRPCMessage]) -> None:
        for answer in answers:
            await write.send(SessionMessage(answer))

    answers = QuickAnswers(server, send)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answers.write)
        try:
            yield answers
        finally:
            tasks.cancel_scope.cancel()


def _wire(spec: UpstreamSpec, connection: UpstreamConnection, log_dir: Path) -> AbstractAsyncContextManager[tuple[Any, Any]]:
    if spec.transport == "stdio":
        return child_process_streams(spec, connection, log_dir)
    if spec.transport == "sse":
        return sse_client(spec.url, headers=dict(spec.headers), httpx_client_factory=partial(_http_client, spec.url))
    return _streamable_http(spec)


@asynccontextmanager
async def _streamable_http(spec: UpstreamSpec) -> AsyncIterator[tuple[Any, Any]]:
    timeout = httpx2.Timeout(_CONNECT_TIMEOUT, read=None)
    async with (
        _http_client(spec.url, headers=dict(spec.headers), timeout=timeout, oauth=spec.oauth) as client,
        streamable_http_client(spec.url, http_client=client, max_sse_event_size=2 * MAX_MESSAGE) as streams,
    ):
        yield streams


def _http_client(
    url: str,
    headers: dict[str, Any] | None = None,
    timeout: httpx2.Timeout | None = None,
    auth: httpx2.Auth | None = None,
    oauth: OAuthClient | None = None,
) -> httpx2.AsyncClient:
    wire: httpx2.AsyncBaseTransport = httpx2.AsyncHTTPTransport(proxy=proxy_of(url))
    if oauth is not None:
        wire = AuthorizedTransport(wire, Authorization(url, oauth))
    transport = AnswerTransport(wire)
    return httpx2.AsyncClient(headers=headers, timeout=timeout, auth=auth, transport=transport)
