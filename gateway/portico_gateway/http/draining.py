"""How a server ends without cutting anybody off: no new requests, a while for those under way, then a proper end for streams.

It owns the three states. Who waits, and how an answer ends, others decide.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from portico_gateway.http.errors import ApiError

RETRY_SECONDS = 10  # what a client is told to wait: another process may be there by then


class Drain:
    """`begin` refuses what is new, `end` has whatever generates end with an error that says why."""

    def __init__(self) -> None:
        self.begun = False
        self.ended = False
        self._under_way = 0
        self._idle = asyncio.Event()
        self._clocks: set[asyncio.Timeout] = set()

    def begin(self) -> None:
        self.begun = True
        if not self._under_way:
            self._idle.set()

    def end(self) -> None:
        self.ended = True
        now = asyncio.get_running_loop().time()
        for clock in self._clocks:
            clock.reschedule(now)

    async def idle(self, seconds: float) -> None:
        """Wait until nothing is under way any more, `seconds` at most."""
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            pass

    @contextmanager
    def request(self) -> Iterator[None]:
        """One that is waited for."""
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            if self.begun and not self._under_way:
                self._idle.set()

    @contextmanager
    def clock(self, timeout: asyncio.Timeout) -> Iterator[None]:
        """A wait within the block ends at once where the server does."""
        self._clocks.add(timeout)
        try:
            yield
        finally:
            self._clocks.discard(timeout)


def ending() -> ApiError:
    """The server is about to end."""
    return ApiError(
        503,
        "this server is shutting down; send this again in a moment",
        kind="server_error",
        code="shutting_down",
        headers={"Retry-After": str(RETRY_SECONDS), "Connection": "close"},
    )
