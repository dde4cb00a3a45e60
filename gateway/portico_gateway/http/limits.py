"""How many requests of one caller run in the engine at once and how many wait for that: more are refused, so that nobody's
queue is everybody's.

It knows callers by their names and nothing of what they ask.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from portico_gateway.config.sections import KeyConfig
from portico_gateway.http.errors import ApiError
from portico_gateway.http.quotas import KeyQuotas

RUNNING_OF_A_KEY = 16  # where `[serve]` doesn't say: a few agents, and half of what an engine's batch takes on a CPU
RUNNING_WITHOUT_KEYS = 256  # everybody is one caller then
WAITING = 256
RETRY_SECONDS = 2  # what a client that was refused is told to wait
MOST_RETRY_SECONDS = 12  # spread: hundreds that were refused together shall not come back together


@dataclass(slots=True)
class _Queue:
    running: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)


class CallerLimits:
    """`async with limits.slot(caller):` runs when it is the caller's turn, first come first served."""

    def __init__(
        self,
        *,
        running: int = RUNNING_WITHOUT_KEYS,
        waiting: int = WAITING,
        keys: Mapping[str, KeyConfig] | None = None,
        quotas: KeyQuotas | None = None,
    ) -> None:
        """What one of the `keys` says of itself goes before `running` and `waiting`; `quotas` is what a day has for each."""
        self._most_running = running
        self._most_waiting = waiting
        self._keys = {} if keys is None else keys
        self.quotas = quotas or KeyQuotas(self._keys)
        self._queues: dict[str, _Queue] = {}  # of callers that run or wait

    def check(self, caller: str) -> None:
        """Raises ApiError (429) where a further request of the caller's would be refused: nothing need be read of it."""
        self.quotas.check(caller)
        if (queue := self._queues.get(caller)) is not None and queue.running >= self._running(caller):
            self._check(caller, queue)

    def seconds(self, caller: str) -> float | None:
        """That one generation of the caller's may take."""
        return self._keys[caller].seconds if caller in self._keys else None

    def _running(self, caller: str) -> int:
        own = self._keys[caller].running if caller in self._keys else None
        return self._most_running if own is None else own

    def _waiting(self, caller: str) -> int:
        own = self._keys[caller].waiting if caller in self._keys else None
        return self._most_waiting if own is None else own

    @asynccontextmanager
    async def slot(self, caller: str) -> AsyncIterator[None]:
        """Raises ApiError (429) where the caller has too many waiting already, or its quota is used up."""
        self.quotas.check(caller)
        queue = self._queues.setdefault(caller, _Queue())
        try:
            await self._enter(caller, queue)
            self.quotas.count_request(caller)
            try:
                yield
            finally:
                self._leave(queue)
        finally:
            if not queue.running and not queue.waiting and self._queues.get(caller) is queue:
                del self._queues[caller]

    async def _enter(self, caller: str, queue: _Queue) -> None:
        if queue.running < self._running(caller):
            queue.running += 1
            return
        self._check(caller, queue)
        turn = asyncio.get_running_loop().create_future()
        queue.waiting.append(turn)
        try:
            await turn  # whoever ends hands its place over
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave(queue)
            else:
                queue.waiting.remove(turn)
            raise

    def _check(self, caller: str, queue: _Queue) -> None:
        if len(queue.waiting) >= self._waiting(caller):
            raise ApiError(
                429,
                f"{queue.running} requests of this key run and {len(queue.waiting)} wait, which is the most "
                "(running_per_key and waiting_per_key under [serve], running and waiting in [keys.NAME]); try again when some "
                "are done",
                kind="rate_limit_error",
                code="rate_limit_exceeded",
                headers={"Retry-After": str(random.randint(RETRY_SECONDS, MOST_RETRY_SECONDS))},
            )

    def _leave(self, queue: _Queue) -> None:
        """Hand the place to who waits longest, or give it up."""
        while queue.waiting:
            turn = queue.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        queue.running -= 1
