"""What one caller's generation is held to: how long it may take, who hears of its answers and what it used, and that the server
may end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field

from portico_engine import Delta, Usage
from portico_gateway.http.draining import Drain, ending
from portico_gateway.http.errors import ApiError


@dataclass(frozen=True, slots=True)
class Terms:
    """`seconds` are of one generation; None: as long as it takes. `used` hears of its tokens at its end, `answered`
    of each answer's id."""

    seconds: float | None = None
    used: Callable[[Usage], None] = lambda usage: None
    answered: Callable[[str], None] = lambda answer: None
    drain: Drain = field(default_factory=Drain)

    async def kept(self, deltas: AsyncGenerator[Delta, None]) -> AsyncGenerator[Delta, None]:
        """The deltas. Raises ApiError where the time is over, or the server ends. Closing it closes them."""
        until = None if self.seconds is None else asyncio.get_running_loop().time() + self.seconds
        try:
            while True:
                if self.drain.ended:
                    raise ending()
                try:
                    async with asyncio.timeout_at(until) as clock:
                        with self.drain.clock(clock):
                            delta = await anext(deltas)
                except TimeoutError:
                    raise ending() if self.drain.ended else self._too_long() from None
                except StopAsyncIteration:
                    return
                if delta.usage is not None:
                    self.used(delta.usage)
                yield delta
        finally:
            await deltas.aclose()

    def _too_long(self) -> ApiError:
        message = (
            f"the answer took longer than the {self.seconds:g} s that a request of this key may take (seconds in [keys.NAME])"
        )
        return ApiError(504, message, kind="server_error", code="time_limit")
