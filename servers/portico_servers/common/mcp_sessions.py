"""MCP over Streamable HTTP in the handshake eras: an answer that comes first and soon is plain JSON, any other an event stream.

The specification leaves the choice to the server. The SDK's takes an event stream for each request, which costs four tasks and
three writes; few calls send anything (progress, a log line, a question) before their answer. It owns that choice. Sessions,
checks and streams are the SDK's, and so are all other requests.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Any, TypeAlias

import anyio
from mcp.server.lowlevel import Server
from mcp.server.streamable_http import (
    MCP_SESSION_ID_HEADER,
    REQUEST_STREAM_BUFFER_SIZE,
    EventMessage,
    SSEEvent,
    StreamableHTTPServerTransport,
    check_accept_headers,
)
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp.shared.message import ServerMessageMetadata, SessionMessage
from mcp_types import (
    DEFAULT_NEGOTIATED_VERSION,
    INTERNAL_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCRequest,
    JSONRPCResponse,
)
from sse_starlette import EventSourceResponse
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from portico_servers.common.edges import MESSAGE, PATH, encoded

Answer: TypeAlias = JSONRPCResponse | JSONRPCError
SOON = 4.0  # seconds until the stream begins, whose signs of life proxies want; clients give up on a head after 5 and more


class McpSessions(StreamableHTTPSessionManager):
    """The sessions of one server, which `run` keeps; `route` answers their requests, behind an `HttpEdge`."""

    def __init__(self, server: Server[Any], security: TransportSecuritySettings | None) -> None:
        """`security` says which Host and Origin are answered; None where that was looked at before."""
        super().__init__(server, security_settings=security)

    @property
    def route(self) -> Route:
        """All methods of `PATH`."""
        return Route(PATH, self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if MESSAGE in scope:  # the whole of its body is there, within the bound
            await self._handle_request(scope, receive, send)
        else:
            await self.handle_request(scope, receive, send)

    def _admit_session(self, requestor: Any) -> StreamableHTTPServerTransport | None:
        admitted = super()._admit_session(requestor)
        if admitted is None or admitted.mcp_session_id is None:
            return admitted
        ours = SoonestTransport(
            admitted.mcp_session_id, security_settings=self.security_settings, idle_timeout=self.session_idle_timeout
        )
        self._server_instances[admitted.mcp_session_id] = ours
        return ours


class SoonestTransport(StreamableHTTPServerTransport):
    """The SDK's transport of one session, but for how a request is answered."""

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[tuple[Any, Any]]:
        async with super().connect() as (read, write):
            yield read, _AddressedWrites(write, self._request_streams)

    async def _handle_post_request(self, scope: Scope, request: Request, receive: Receive, send: Send) -> None:
        message = self._plain_request(request)
        if message is None:
            await super()._handle_post_request(scope, request, receive, send)
        elif await self._validate_request_headers(request, send):
            await self._answer(message, request, send)

    def _plain_request(self, request: Request) -> JSONRPCRequest | None:
        """The request, where its sender reads both kinds of answer. What is none, or can't be read, is for the SDK."""
        message = request.scope.get(MESSAGE)
        if not isinstance(message, JSONRPCRequest) or message.method == "initialize":
            return None
        if not all(check_accept_headers(request)) or not self._check_content_type(request):
            return None
        return None if str(message.id) in self._request_streams else message

    async def _answer(self, message: JSONRPCRequest, request: Request, send: Send) -> None:
        assert self._read_stream_writer is not None  # of a session that is connected
        identity = str(message.id)
        version = request.headers.get(MCP_PROTOCOL_VERSION_HEADER, DEFAULT_NEGOTIATED_VERSION)
        channel = anyio.create_memory_object_stream[EventMessage](REQUEST_STREAM_BUFFER_SIZE)
        self._request_streams[identity] = channel
        events = channel[1]
        try:
            await self._read_stream_writer.send(self._create_session_message(message, request, identity, version))
            first: EventMessage | None = None
            with anyio.move_on_after(SOON):
                first = await events.receive()
            if first is None or not isinstance(first.message, JSONRPCResponse | JSONRPCError):
                await self._stream(identity, first, events, request, send)
                return
            answer: Answer = first.message
            status = HTTPStatus.OK
        except (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
            said = ErrorData(code=INTERNAL_ERROR, message="Session terminated before the request completed")
            answer = JSONRPCError(jsonrpc="2.0", id=None, error=said)
            status = HTTPStatus.INTERNAL_SERVER_ERROR
        finally:
            await self._clean_up_memory_streams(identity)
        await self._send_json(answer, status, send)

    async def _send_json(self, answer: Answer, status: HTTPStatus, send: Send) -> None:
        body = encoded(answer).encode()
        headers = [
            (b"content-type", b"application/json"),
            (MCP_SESSION_ID_HEADER.encode(), (self.mcp_session_id or "").encode()),
            (b"content-length", b"%d" % len(body)),
        ]
        await send({"type": "http.response.start", "status": status.value, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _stream(self, identity: str, first: EventMessage | None, events: Any, request: Request, send: Send) -> None:
        """All that is sent until the answer, which ends it; `first` is there already."""
        writer, reader = anyio.create_memory_object_stream[SSEEvent](0)
        self._sse_stream_writers[identity] = writer
        begun = None if first is None else self._create_event_data(first)
        headers = {"Cache-Control": "no-cache, no-transform", MCP_SESSION_ID_HEADER: self.mcp_session_id or ""}
        response = EventSourceResponse(
            reader,
            headers=headers,
            data_sender_callable=partial(self._run_sse_writer, identity, writer, events, begun),
        )
        try:
            await response(request.scope, request.receive, send)
        finally:
            await reader.aclose()


class _AddressedWrites:
    """A session's write stream: what belongs to a request goes to who answers that, and not through the task that the SDK has
    for looking who that is. All of one request goes the same way, so that its order stays.
    """

    def __init__(self, inner: Any, streams: dict[Any, Any]) -> None:
        self._inner = inner
        self._streams = streams

    async def send(self, item: SessionMessage, /) -> None:
        message, metadata = item.message, item.metadata
        identity: Any = None
        if isinstance(message, JSONRPCResponse | JSONRPCError):
            identity = message.id
        elif isinstance(metadata, ServerMessageMetadata):
            identity = metadata.related_request_id
        channel = None if identity is None else self._streams.get(str(identity))
        if channel is None:
            await self._inner.send(item)
            return
        event = EventMessage(message, None)
        try:
            try:
                channel[0].send_nowait(event)
            except anyio.WouldBlock:
                await channel[0].send(event)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            self._streams.pop(str(identity), None)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def __aenter__(self) -> _AddressedWrites:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> bool | None:
        closed: bool | None = await self._inner.__aexit__(*error)
        return closed
