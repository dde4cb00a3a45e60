"""MCP over Streamable HTTP in the handshake eras: an answer that comes first and soon is plain JSON, any other an event stream.

The specification leaves the choice to the server. The SDK's takes an event stream for each request, which costs four tasks and
three writes; few calls send anything (progress, a log line, a question) before their answer. It owns that choice. Sessions,
checks and streams are the SDK's, and so are all other requests.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import Context, copy_context
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
_Sent: TypeAlias = tuple[Context, SessionMessage | Exception]
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
            assert self._read_stream_writer is not None
            await self._read_stream_writer.aclose()
            await read.aclose()
            self._read_stream_writer = self._read_stream = incoming = _Incoming()  # type: ignore[assignment]
            yield incoming, _AddressedWrites(write, self._request_streams)

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
        first = _FirstMessage()
        ours: Any = (first, first)
        self._request_streams[identity] = ours
        try:
            await self._read_stream_writer.send(self._create_session_message(message, request, identity, version))
            event = await first.wait(SOON)
            if event is None or not isinstance(event.message, JSONRPCResponse | JSONRPCError):
                there = [*([] if event is None else [event]), *first.later]
                ours = anyio.create_memory_object_stream[EventMessage](REQUEST_STREAM_BUFFER_SIZE + len(there))
                self._request_streams[identity] = ours
                for each in there:
                    ours[0].send_nowait(each)
                await self._stream(identity, ours[1], request, send)
                return
            answer: Answer = event.message
            status = HTTPStatus.OK
        except (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
            said = ErrorData(code=INTERNAL_ERROR, message="Session terminated before the request completed")
            answer = JSONRPCError(jsonrpc="2.0", id=None, error=said)
            status = HTTPStatus.INTERNAL_SERVER_ERROR
        finally:
            if self._request_streams.get(identity) is ours:  # who has the whole answer may use its id again
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

    async def _stream(self, identity: str, events: Any, request: Request, send: Send) -> None:
        """All that is sent until the answer, which ends it."""
        writer, reader = anyio.create_memory_object_stream[SSEEvent](0)
        self._sse_stream_writers[identity] = writer
        headers = {"Cache-Control": "no-cache, no-transform", MCP_SESSION_ID_HEADER: self.mcp_session_id or ""}
        response = EventSourceResponse(
            reader,
            headers=headers,
            data_sender_callable=partial(self._run_sse_writer, identity, writer, events, None),
        )
        try:
            await response(request.scope, request.receive, send)
        finally:
            await reader.aclose()


class _Incoming:
    """A session's read stream, both ends: a message goes straight to a session that waits for one, and the sender of any other
    waits until it is taken. The SDK's takes two more turns of the event loop for each.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader: asyncio.Future[_Sent | None] | None = None  # who waits for a message
        self._senders: deque[tuple[_Sent, asyncio.Future[bool]]] = (
            deque()
        )  # who waits until theirs is taken, and whether it was
        self._closed = False
        self.last_context: Context | None = None  # of whoever sent what was received last; the SDK handles it there

    async def send(self, item: SessionMessage | Exception, /) -> None:
        if self._closed:
            raise anyio.ClosedResourceError
        sent = copy_context(), item
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(sent)
            return
        taken = self._loop.create_future()
        self._senders.append((sent, taken))
        if not await taken:
            raise anyio.BrokenResourceError

    def __aiter__(self) -> _Incoming:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        while self._senders:
            sent, taken = self._senders.popleft()
            if not taken.done():  # whoever sent it was not cancelled
                taken.set_result(True)
                break
        else:
            if self._closed:
                raise StopAsyncIteration
            self._reader = self._loop.create_future()
            if (given := await self._reader) is None:
                raise StopAsyncIteration
            sent = given
        self.last_context, item = sent
        return item

    async def receive(self) -> SessionMessage | Exception:
        try:
            return await anext(self)
        except StopAsyncIteration:
            raise anyio.EndOfStream from None

    def close(self) -> None:
        self._closed = True
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
        for _, taken in self._senders:
            if not taken.done():
                taken.set_result(False)
        self._senders.clear()

    async def aclose(self) -> None:
        self.close()

    async def __aenter__(self) -> _Incoming:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


class _FirstMessage:
    """Where the first message of a request's answer is waited for, and the SDK's both ends of that request's stream until
    then: a stream of its own takes three turns of the event loop.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._message: asyncio.Future[EventMessage | None] = self._loop.create_future()
        self._ended = False
        self.later: list[EventMessage] = []  # what came behind it before anybody took it

    async def wait(self, seconds: float) -> EventMessage | None:
        """It, or None where it does not come in time. Raises EndOfStream where nothing comes any more."""
        late = self._loop.call_later(seconds, self._resolve, None)
        try:
            message = await self._message
        finally:
            late.cancel()
        if self._ended:
            raise anyio.EndOfStream
        return message

    def _resolve(self, message: EventMessage | None) -> None:
        if not self._message.done():
            self._message.set_result(message)
        elif message is not None:
            self.later.append(message)

    def send_nowait(self, item: EventMessage, /) -> None:
        self._resolve(item)

    async def send(self, item: EventMessage, /) -> None:
        self._resolve(item)

    def close(self) -> None:
        if not self._message.done():
            self._ended = True
            self._message.set_result(None)

    async def aclose(self) -> None:
        self.close()


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
