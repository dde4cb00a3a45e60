"""Reads a request's body before anything else does: within a size, a time and the bounds of its JSON.

Refusals have the shape of the API that was called. It parses nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portico_gateway.http.apis import api_of, error_body
from portico_gateway.http.bodies.measure import MAX_DEPTH, PIECE, JsonMeasure
from portico_gateway.http.bodies.route import VALUES
from portico_gateway.http.errors import ApiError
from portico_gateway.http.identity import caller_name
from portico_gateway.http.json_text import StrictJsonResponse
from portico_gateway.http.limits import RETRY_SECONDS, CallerLimits
from portico_gateway.http.middleware.host_origin import MAX_BODY

BODY_SECONDS = 30.0  # for a body that is small
BYTES_PER_SECOND = 64 << 10  # a larger one gets a second more for each of these: a bad phone line's pace
MAX_HELD = 256 << 20  # bytes of one caller's bodies at a time: eight of the largest
_AT_ONCE = 4  # pieces of a body that are measured without anybody waiting

Hold: TypeAlias = Callable[[int], None]


class BodyMiddleware:
    """Hands on requests whose bodies are there as a whole; how many values they have is in the scope."""

    def __init__(self, app: ASGIApp, limits: CallerLimits) -> None:
        """`limits` says whose further requests are refused, before anything of them is read."""
        self._app = app
        self._limits = limits
        self._turn = asyncio.Lock()  # one large body is measured at a time
        self._held: Counter[str] = Counter()  # bytes of the bodies of requests that aren't answered yet, by caller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        caller, share = caller_name(scope), 0

        def hold(size: int) -> None:
            nonlocal share
            if self._held[caller] + size > MAX_HELD:
                raise ApiError(
                    429,
                    f"the bodies of this key's requests that run or wait have over {MAX_HELD} bytes together; try again soon",
                    kind="rate_limit_error",
                    code="rate_limit_exceeded",
                    headers={**_CLOSE, "Retry-After": str(RETRY_SECONDS)},
                )
            share += size
            self._held[caller] += size

        try:
            await self._handle(scope, receive, send, hold)
        finally:
            self._held[caller] -= share
            if not self._held[caller]:
                del self._held[caller]

    async def _handle(self, scope: Scope, receive: Receive, send: Send, hold: Hold) -> None:
        try:
            _refuse_compressed(scope)
            if scope["method"] == "POST" and api_of(scope["path"]) is not None:
                self._limits.check(caller_name(scope))
            body = await _read(receive, hold)
            if body is None:
                return  # the client hung up
            values = await self._measured(body)
        except ApiError as error:
            refusal = StrictJsonResponse(error_body(error, scope["path"]), error.status, headers=error.headers)
            await refusal(scope, receive, send)
            return
        scope[VALUES] = values
        await self._app(scope, _replayed(body, receive), send)

    async def _measured(self, body: bytes) -> int:
        """The number of its values. Raises ApiError where it is over a bound."""
        if len(body) <= _AT_ONCE * PIECE:
            return _within_bounds(JsonMeasure.of(body))
        async with self._turn:
            measure = JsonMeasure()
            for start in range(0, len(body), PIECE):
                measure.feed(body[start : start + PIECE])
                _within_bounds(measure)
                await asyncio.sleep(0)
            return measure.values


def _refuse_compressed(scope: Scope) -> None:
    """Read as it is, a compressed body would be called broken JSON. Raises ApiError."""
    how = ", ".join(value.decode("latin-1") for name, value in scope["headers"] if name == b"content-encoding")
    if how.lower() not in ("", "identity"):
        message = f"the body is compressed (content-encoding: {how[:40]}), which isn't taken here; send it as it is"
        raise ApiError(415, message, code="compressed_body", headers=_CLOSE)


def _within_bounds(measure: JsonMeasure) -> int:
    if wrong := measure.too_much:
        raise ApiError(400 if measure.deepest > MAX_DEPTH else 413, wrong, code="body_too_complex")
    return measure.values


async def _read(receive: Receive, hold: Hold) -> bytes | None:
    """The whole body, of which `hold` is told as it comes; None where the client hangs up before. Raises
    ApiError where it is too large or too slow."""
    body = bytearray()
    loop = asyncio.get_running_loop()
    begun = loop.time()
    try:
        async with asyncio.timeout_at(begun + BODY_SECONDS) as deadline:
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    return None
                hold(len(message.get("body", b"")))
                body += message.get("body", b"")
                if len(body) > MAX_BODY:
                    raise ApiError(413, f"the body has over {MAX_BODY} bytes; at most {MAX_BODY} are taken", headers=_CLOSE)
                if not message.get("more_body", False):
                    return bytes(body)
                deadline.reschedule(begun + BODY_SECONDS + len(body) / BYTES_PER_SECOND)
    except TimeoutError:
        late = f"the body did not come within {BODY_SECONDS:g} s (and a second for each {BYTES_PER_SECOND} bytes)"
        raise ApiError(408, late, code="body_timeout", headers=_CLOSE) from None


_CLOSE = {"Connection": "close"}  # what is left of the body is not waited for


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body once, then whatever comes after it."""
    told = False

    async def replay() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
