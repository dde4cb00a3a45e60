"""What comes in over HTTP is made plain here, before the SDK sees it, and what goes out over stdio is encoded: the SDK takes no
text that is not Unicode, and ends when it can't encode an answer.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from portico_servers.common.host_messages import Refusal, one_message
from portico_servers.common.unicode_text import plain_value

# ASGI's own (https://asgi.readthedocs.io), without a framework.
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Scope: TypeAlias = MutableMapping[str, Any]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
MAX_MENDED_BYTES = 4_000_000  # of a request's body; the SDK takes no larger ones
BODY_SECONDS = 30.0  # for the next piece of a body
_LARGE = 256 << 10  # bytes; from here on a body is read in a thread
PATH = "/mcp"
MESSAGE = "portico.message"  # in the scope: the body as a message, where the whole of it is there


def encoded(message: Any) -> str:
    """A protocol message as one line of JSON."""
    try:
        text: str = message.model_dump_json(by_alias=True, exclude_unset=True)
    except ValueError:  # pydantic's: a string that no encoder takes
        whole = message.model_dump(by_alias=True, exclude_unset=True)
        text = json.dumps(plain_value(whole), ensure_ascii=False, separators=(",", ":"), default=str)
    return text


class HttpEdge:
    """Requests reach the MCP endpoint as one message that it can read, and without `Last-Event-ID`: no stream of ours is kept
    to be resumed, so a client that comes back gets a new one, as if it had not asked (the SDK answers 500). A body that is no
    message is refused here, by its id. Other paths are passed on as they are."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH:
            await self._app(scope, receive, send)
            return
        headers = [(name, value) for name, value in scope["headers"] if name != b"last-event-id"]
        if scope["method"] == "POST":
            try:
                body, receive = await _whole_body(receive)
            except TimeoutError:
                await send({"type": "http.response.start", "status": 408, "headers": [(b"connection", b"close")]})
                await send({"type": "http.response.body", "body": b"the body did not come in time"})
                return
            if body is not None:
                found = one_message(body) if len(body) < _LARGE else await asyncio.to_thread(one_message, body)
                if isinstance(found, Refusal):
                    await _send_refusal(send, found)
                    return
                scope[MESSAGE], body = found
                headers = [(name, b"%d" % len(body) if name == b"content-length" else value) for name, value in headers]
                receive = _Replayed([{"type": "http.request", "body": body, "more_body": False}], receive)
        await self._app({**scope, "headers": headers}, receive, send)


async def _whole_body(receive: Receive) -> tuple[bytes | None, Receive]:
    """The body; None where it is over the bound or broken off, and then what gives its parts again. Raises TimeoutError."""
    parts: list[Message] = []
    size = 0
    while size <= MAX_MENDED_BYTES:
        async with asyncio.timeout(BODY_SECONDS):
            message = await receive()
        parts.append(message)
        size += len(message.get("body", b""))
        if message["type"] != "http.request":
            break
        if not message.get("more_body", False):
            return b"".join(part.get("body", b"") for part in parts), receive
    return None, _Replayed(parts, receive)


class _Replayed:
    """A `receive` that first gives what was taken from it."""

    def __init__(self, parts: list[Message], receive: Receive) -> None:
        self._parts = parts[::-1]
        self._receive = receive

    async def __call__(self) -> Message:
        return self._parts.pop() if self._parts else await self._receive()


async def _send_refusal(send: Send, refused: Refusal) -> None:
    body = encoded(refused.error).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": body})
