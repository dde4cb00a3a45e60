"""Server-sent events, and work that stops when its client hangs up. It knows nothing of what is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack, aclosing
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from portico_gateway.http.json_text import json_text

T = TypeVar("T")
DONE = "data: [DONE]\n\n"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def event(data: Mapping[str, Any], name: str | None = None) -> str:
    """One event of compact JSON, with its name where the API gives events names."""
    named = f"event: {name}\n" if name else ""
    return f"{named}data: {json_text(data)}\n\n"


class EventStream(StreamingResponse):
    """A response that sends events, or lines. When it is over, or the client hangs up, the generator is closed, and with it
    whatever it closes; then whatever is on `held`."""

    def __init__(self, events: AsyncGenerator[str, None], *, media_type: str = "text/event-stream") -> None:
        self.held = AsyncExitStack()
        self._events = events
        super().__init__(_closing(events), media_type=media_type, headers=_HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self.held, aclosing(self._events):
            await super().__call__(scope, receive, send)


async def _closing(events: AsyncGenerator[str, None]) -> AsyncIterator[str]:
    async with aclosing(events):
        async for piece in events:
            yield piece


async def until_hung_up(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled where the client hangs up first. Raises ClientDisconnect then.

    The request's body must have been read.
    """
    task = asyncio.ensure_future(work)
    watcher = asyncio.ensure_future(_hang_up(request))
    try:
        await asyncio.wait({task, watcher}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        for each in (task, watcher):
            each.cancel()
        await asyncio.gather(task, watcher, return_exceptions=True)


async def _hang_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
