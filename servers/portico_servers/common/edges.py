"""What comes in and goes out is made plain here, before and behind the SDK: it drops a line that it can't parse, and ends when
it can't encode an answer.

stdio: `mended` and `EncodedStream` stand around the SDK's streams. HTTP: `HttpEdge` is an ASGI middleware. Neither costs
anything while all text is Unicode: what goes out is encoded once, here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, TypeAlias

import mcp_types
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

from portico_servers.common.unicode_text import is_plain_body, plain_body, plain_json, plain_value

# ASGI's own (https://asgi.readthedocs.io), without a framework.
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Scope: TypeAlias = MutableMapping[str, Any]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
MAX_MENDED_BYTES = 4_000_000  # of a request's body; the SDK takes no larger ones
BODY_SECONDS = 30.0  # for the next piece of a body
_SHOWN = 200  # characters of what is wrong with a line


def mended(failure: Exception) -> SessionMessage | mcp_types.JSONRPCError | Exception:
    """What to do about a line that the SDK could not read: the message after all, if it was the text that was not Unicode;
    else the answer that says so (id null where none can be told). `failure` itself for anything else."""
    if not isinstance(failure, ValidationError):
        return failure
    errors = failure.errors(include_url=False)
    line = errors[0]["input"]
    if errors[0]["type"] != "json_invalid" or not isinstance(line, str):
        return _invalid(errors)
    if not line.strip():
        return failure
    try:
        return SessionMessage(mcp_types.jsonrpc_message_adapter.validate_json(plain_json(line), by_name=False))
    except ValidationError as still:
        errors = still.errors(include_url=False)
        first = errors[0]
        if first["type"] != "json_invalid":
            return _invalid(errors)
        return _error(None, mcp_types.PARSE_ERROR, f"not a JSON-RPC message: {str(first['msg'])[:_SHOWN]}")


def _invalid(errors: Sequence[Any]) -> mcp_types.JSONRPCError:
    """Of a message that is JSON. The one that lacks what another kind of message has is told as a whole, the others by part."""
    messages = [each["input"] for each in errors if isinstance(each["input"], dict) and "id" in each["input"]]
    messages.sort(key=lambda message: "jsonrpc" not in message)  # what lies in one may have an id too
    given = messages[0]["id"] if messages else None
    known = given if isinstance(given, str | int) and not isinstance(given, bool) else None
    return _error(known, mcp_types.INVALID_REQUEST, "not a JSON-RPC 2.0 request, notification or response")


def _error(identity: str | int | None, code: int, said: str) -> mcp_types.JSONRPCError:
    return mcp_types.JSONRPCError(jsonrpc="2.0", id=identity, error=mcp_types.ErrorData(code=code, message=said))


class _Encoded:
    """A message that is already JSON, in the place of the one that the SDK's writer encodes."""

    def __init__(self, text: str) -> None:
        self._text = text

    def model_dump_json(self, **_: Any) -> str:
        return self._text


class EncodedStream:
    """A write stream whose messages can all be written: encoded here, once, with U+FFFD for what is not Unicode."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def send(self, item: SessionMessage, /) -> None:
        item.message = _Encoded(encoded(item.message))  # type: ignore[assignment]
        await self._inner.send(item)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def __aenter__(self) -> EncodedStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def encoded(message: Any) -> str:
    """A protocol message as one line of JSON."""
    try:
        text: str = message.model_dump_json(by_alias=True, exclude_unset=True)
    except ValueError:  # pydantic's: a string that no encoder takes
        whole = message.model_dump(by_alias=True, exclude_unset=True)
        text = json.dumps(plain_value(whole), ensure_ascii=False, separators=(",", ":"), default=str)
    return text


class HttpEdge:
    """Requests reach the app with bodies that are Unicode, and without `Last-Event-ID`: no stream of ours is kept to be
    resumed, so a client that comes back gets a new one, as if it had not asked (the SDK answers 500)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = [(name, value) for name, value in scope["headers"] if name != b"last-event-id"]
        if scope["method"] == "POST":
            try:
                receive, length = await _plain_receive(receive)
            except TimeoutError:
                await send({"type": "http.response.start", "status": 408, "headers": [(b"connection", b"close")]})
                await send({"type": "http.response.body", "body": b"the body did not come in time"})
                return
            if length is not None:
                headers = [(name, b"%d" % length if name == b"content-length" else value) for name, value in headers]
        await self._app({**scope, "headers": headers}, receive, send)


async def _plain_receive(receive: Receive) -> tuple[Receive, int | None]:
    """`receive` with the whole body as its first message, made plain, and its length if that is another now; beyond the bound
    with the body's parts as they come. Raises TimeoutError."""
    parts: list[Message] = []
    size = 0
    while size <= MAX_MENDED_BYTES:
        message = await asyncio.wait_for(receive(), BODY_SECONDS)
        parts.append(message)
        size += len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body", False):
            break
    length = None
    if parts[-1]["type"] == "http.request" and not parts[-1].get("more_body", False):
        body = b"".join(part.get("body", b"") for part in parts)
        if not is_plain_body(body):
            body = plain_body(body)
            length = len(body)
        parts = [{"type": "http.request", "body": body, "more_body": False}]
    parts.reverse()

    async def replayed() -> Message:
        return parts.pop() if parts else await receive()

    return replayed, length
