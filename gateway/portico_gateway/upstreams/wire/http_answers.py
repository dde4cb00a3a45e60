"""HTTP answers of a server, bounded and made readable before the SDK's transport sees them.

It owns bounds on bytes (also decompressed ones), encodings, batches in a body, and what an HTTP status means: a session that
the server no longer knows, a missing authorization, a refusal. Every answer becomes JSON-RPC that the SDK understands. It
knows no tools.
"""

from __future__ import annotations

import http
import json
import zlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import anyio.lowlevel
import anyio.to_thread
import httpx2
import mcp_types
from mcp.client.auth import OAuthFlowError
from mcp_types import JSONRPCError, JSONRPCMessage

from portico_gateway.upstreams.wire.messages import (
    HTTP_REFUSED,
    LARGE,
    MAX_MESSAGE,
    SESSION_EXPIRED,
    UNREADABLE_ANSWER,
    addressed,
    read_messages,
    write_message,
)

_SESSION_HEADER = "mcp-session-id"
_ENCODINGS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
_CHUNK = 64 << 10  # bytes that are decompressed at once
_MAX_REFUSAL = 64 << 10  # bytes of a body that says no
_JSON = "application/json"
_EVENTS = "text/event-stream"


class TooMuch(httpx2.TransportError):
    """The answer has more bytes than one message may have, or an encoding that was not asked for."""


class AnswerTransport(httpx2.AsyncBaseTransport):
    """Wraps httpx2's transport; its answers are plain, bounded and in UTF-8."""

    def __init__(self, inner: httpx2.AsyncBaseTransport | None = None, *, max_bytes: int = MAX_MESSAGE) -> None:
        self._inner = inner or httpx2.AsyncHTTPTransport()
        self._max_bytes = max_bytes

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Raises httpx2's errors where there is no answer at all."""
        request.headers["accept-encoding"] = "gzip, deflate"
        try:
            response = await self._inner.handle_async_request(request)
        except OAuthFlowError as error:
            return _log_in_first(request, error)
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if response.is_redirect or request.method == "DELETE":
            return response
        if response.status_code >= 400:
            return await self._refused(request, response)
        if kind == _EVENTS:
            events = _Events(self._plain(response, whole=False), response, self._max_bytes, _request_id(request))
            return _answer(response, events, _EVENTS)
        if kind == _JSON or (not kind and request.method == "POST"):
            return await self._json(request, response)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def _plain(self, response: httpx2.Response, *, whole: bool) -> AsyncIterator[bytes]:
        """The body's bytes, decompressed. Raises TooMuch."""
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "") and encoding not in _ENCODINGS:
            raise TooMuch(f"answered in the encoding {encoding!r}, which was not asked for")
        unpack = zlib.decompressobj(_ENCODINGS[encoding]) if encoding in _ENCODINGS else None
        size = 0
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        async for chunk in response.stream:
            rest = chunk
            while rest:
                try:
                    piece = unpack.decompress(rest, _CHUNK) if unpack is not None else rest
                except zlib.error as error:
                    raise TooMuch(f"answered with broken compression: {error}") from None
                rest = unpack.unconsumed_tail if unpack is not None else b""
                size += len(piece)
                if whole and size > self._max_bytes:
                    raise TooMuch(f"answered with more than {self._max_bytes >> 20} MiB")
                yield piece
                await anyio.lowlevel.checkpoint()

    async def _json(self, request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        try:
            body = b"".join([piece async for piece in self._plain(response, whole=True)])
        except TooMuch as error:
            return _rpc_error(request, response, UNREADABLE_ANSWER, f"its answer can't be taken: it {error}")
        finally:
            await response.aclose()
        if not body:
            if _request_id(request) is None:
                return _answer(response, _Bytes(b""))
            return _rpc_error(request, response, UNREADABLE_ANSWER, "its answer is empty")
        messages = _addressed(await _read(body), _request_id(request))
        if not messages:
            return _rpc_error(request, response, UNREADABLE_ANSWER, "its answer is no JSON-RPC message")
        return _messages_answer(response, messages)

    async def _refused(self, request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        """A status of 400 and more. A JSON-RPC error in the body is the server's own word, except for a lost session."""
        body = b""
        try:
            async for piece in self._plain(response, whole=True):
                body += piece
                if len(body) > _MAX_REFUSAL:
                    break
        except (TooMuch, httpx2.TransportError):
            pass
        finally:
            await response.aclose()
        if request.method != "POST" or _request_id(request) is None:
            return _answer(response, _Bytes(body))
        said = _addressed(read_messages(body), _request_id(request)) if body else []
        found = next((message for message in said if isinstance(message, JSONRPCError)), None)
        status = response.status_code
        if request.headers.get(_SESSION_HEADER) and _is_of_session(status, found):
            message = found.error.message if found else "the session has ended"
            return _rpc_error(request, response, SESSION_EXPIRED, message)
        if found is not None:
            return _messages_answer(response, [found])
        return _rpc_error(request, response, _refusal_code(status), _refusal(response))


def _is_of_session(status: int, found: JSONRPCError | None) -> bool:
    """Whether a refusal is about the session: 404, as the protocol has it, if not about a method; some servers say 400."""
    if status == 404:
        return found is None or found.error.code != mcp_types.METHOD_NOT_FOUND
    return status == 400 and found is not None and "session" in found.error.message.lower()


def _refusal_code(status: int) -> int:
    return mcp_types.METHOD_NOT_FOUND if status == 404 else HTTP_REFUSED


def _refusal(response: httpx2.Response) -> str:
    status = response.status_code
    try:
        name = http.HTTPStatus(status).phrase
    except ValueError:
        name = ""
    said = f"HTTP {status} {name}".strip()
    if status in (401, 403):
        return f"{said}: the server wants authorization; give it in portico.toml under headers or oauth of this server"
    if status == 404:
        return f"{said}: there is no MCP endpoint at this URL, or it does not know the method"
    if retry := response.headers.get("retry-after", ""):
        return f"{said}; it says to try again after {retry[:40]}"
    return said


def _log_in_first(request: httpx2.Request, error: OAuthFlowError) -> httpx2.Response:
    """What stands for the answer of a server at which a person has to log in."""
    response = httpx2.Response(401, request=request)
    if _request_id(request) is None:
        return _answer(response, _Bytes(b""))
    return _rpc_error(request, response, HTTP_REFUSED, f"that it wants a log-in (portico login): {error}")


async def _read(body: bytes) -> list[JSONRPCMessage]:
    return await anyio.to_thread.run_sync(read_messages, body) if len(body) > LARGE else read_messages(body)


def _addressed(messages: list[JSONRPCMessage], identity: Any) -> list[JSONRPCMessage]:
    """What answers the request of this id, if there is one: an error that names none is its own."""
    if identity is None:
        return messages
    return [each for message in messages for each in addressed(message, [identity])]


def _request_id(request: httpx2.Request) -> Any:
    """The JSON-RPC id of what was posted; None for a notification or an answer."""
    try:
        sent = json.loads(request.content)
    except (ValueError, httpx2.RequestNotRead):
        return None
    return sent.get("id") if isinstance(sent, Mapping) and "method" in sent else None


def _rpc_error(request: httpx2.Request, response: httpx2.Response, code: int, message: str) -> httpx2.Response:
    return _messages_answer(response, [_error_of(_request_id(request), code, message)])


def _error_of(identity: Any, code: int, message: str) -> JSONRPCError:
    error = mcp_types.ErrorData(code=code, message=message)
    return JSONRPCError(jsonrpc="2.0", id=identity if isinstance(identity, int | str) else 0, error=error)


def _messages_answer(response: httpx2.Response, messages: list[JSONRPCMessage]) -> httpx2.Response:
    if len(messages) == 1:
        return _answer(response, _Bytes(write_message(messages[0])), _JSON, status=200)
    events = b"".join(b"event: message\ndata: " + write_message(message) + b"\n\n" for message in messages)
    return _answer(response, _Bytes(events), _EVENTS, status=200)


def _answer(
    response: httpx2.Response, stream: httpx2.AsyncByteStream, kind: str | None = None, status: int | None = None
) -> httpx2.Response:
    dropped = ("content-encoding", "content-length", "transfer-encoding")
    headers = [(key, value) for key, value in response.headers.multi_items() if key.lower() not in dropped]
    if kind is not None:
        headers = [(key, value) for key, value in headers if key.lower() != "content-type"] + [("content-type", kind)]
    return httpx2.Response(status or response.status_code, headers=headers, stream=stream, extensions=response.extensions)


class _Bytes(httpx2.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body


class _Events(httpx2.AsyncByteStream):
    """Server-sent events whose data are read and written anew. One that is too long ends the stream, as the error of the
    request that it was to answer."""

    def __init__(self, chunks: AsyncIterator[bytes], response: httpx2.Response, max_bytes: int, identity: Any) -> None:
        self._chunks = chunks
        self._response = response
        self._max_bytes = max_bytes
        self._identity = identity

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for event in self._read():
                yield event
        except TooMuch as error:
            if self._identity is not None:
                refusal = _error_of(self._identity, UNREADABLE_ANSWER, f"its answer can't be taken: it {error}")
                yield b"event: message\ndata: " + write_message(refusal) + b"\n\n"

    async def _read(self) -> AsyncIterator[bytes]:
        fields: list[bytes] = []
        size = 0
        async for line in self._lines():
            if line:
                size += len(line)
                if size > self._max_bytes:
                    raise TooMuch(f"sent an event of more than {self._max_bytes >> 20} MiB")
                if not line.startswith(b":"):
                    fields.append(line)
                continue
            if fields:
                yield await _event(fields, self._identity)
            fields, size = [], 0

    async def _lines(self) -> AsyncIterator[bytes]:
        """Lines without their ends, which are LF, CR or both. Raises TooMuch."""
        parts: list[bytes] = []
        size = 0
        after_cr = False
        async for chunk in self._chunks:
            if after_cr and chunk.startswith(b"\n"):
                chunk = chunk[1:]
            after_cr = chunk.endswith(b"\r")
            *whole, rest = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
            for line in whole:
                yield b"".join(parts) + line
                parts, size = [], 0
            parts.append(rest)
            size += len(rest)
            if size > self._max_bytes:
                raise TooMuch(f"sent an event of more than {self._max_bytes >> 20} MiB")

    async def aclose(self) -> None:
        await self._response.aclose()


async def _event(fields: list[bytes], identity: Any) -> bytes:
    """One event, its data as readable JSON-RPC; a batch becomes several events, the id with the last."""
    split = [field.partition(b":") for field in fields]
    data = b"\n".join(value.removeprefix(b" ") for name, _, value in split if name == b"data")
    rest = b"".join(name + b":" + value + b"\n" for name, _, value in split if name in (b"id", b"retry"))
    kinds = [value.strip() for name, _, value in split if name == b"event"]
    if kinds and kinds[-1] != b"message":
        return b"\n".join(fields) + b"\n\n"
    if not data.strip():
        return rest + b"data:\n\n" if rest else b""
    messages = [write_message(message) for message in _addressed(await _read(data), identity)]
    if not messages:
        return rest + b"data:\n\n" if rest else b""
    head = b"".join(b"event: message\ndata: " + message + b"\n\n" for message in messages[:-1])
    return head + b"event: message\n" + rest + b"data: " + messages[-1] + b"\n\n"
