"""Server-sent events, and work that stops when its client hangs up. It knows nothing of what is sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping
from contextlib import aclosing
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import StreamingResponse

T = TypeVar("T")
DONE = "data: [DONE]\n\n"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def event(data: Mapping[str, Any], name: str | None = None) -> str:
    """One event of compact JSON, with its name where the API gives events names."""
    named = f"event: {name}\n" if name else ""
    return f"{named}data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n"


def event_stream(events: AsyncGenerator[str, None]) -> StreamingResponse:
    """A response that sends `events`. When the client hangs up the generator is closed, and with it whatever it closes."""

    async def body() -> AsyncIterator[str]:
        async with aclosing(events):
            async for piece in events:
                yield piece

    return StreamingResponse(body(), media_type="text/event-stream", headers=_HEADERS)


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
