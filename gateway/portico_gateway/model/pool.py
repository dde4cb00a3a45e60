"""The models that one process serves: the default one, loaded all the time, and others that are loaded when somebody asks for
them and unloaded when nobody has for a while, within a bound on memory.

It owns who is in use, who goes where room is needed, and the end of what is idle. How one is loaded and started again is its
host's. It knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from portico_engine.errors import EngineError, ModelError
from portico_gateway.model.host import ModelHost

log = logging.getLogger(__name__)


class NoRoom(ModelError):
    """A model has to wait, because others are in use and memory doesn't hold it beside them."""


@dataclass(slots=True)
class _Use:
    """How one model on demand is used. `needed` is bytes, once they are known."""

    users: int = 0
    last: float = 0.0
    needed: int | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class ModelPool:
    """`async with pool.running():` loads the default model; `async with pool.using(host, timeout):` has another one loaded."""

    def __init__(
        self,
        default: ModelHost | None,
        others: Sequence[ModelHost] = (),
        *,
        memory: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`memory` in bytes is what the others may take together; None doesn't bound it."""
        self.default = default
        self.others = tuple(others)
        self._memory = memory
        self._clock = clock
        self._uses = {host.name: _Use() for host in self.others}
        self._changed = asyncio.Condition()

    @property
    def hosts(self) -> tuple[ModelHost, ...]:
        """All, the default one first."""
        return self.others if self.default is None else (self.default, *self.others)

    def find(self, name: str) -> ModelHost | None:
        """By its name, or one of its other names."""
        return next((host for host in self.hosts if name == host.name or name in host.aliases), None)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for host in self.others:
                stack.push_async_callback(host.stop)
            if self.default is not None:
                await stack.enter_async_context(self.default.running())
            sweeping = asyncio.create_task(self._sweep(), name="idle models") if self.others else None
            try:
                yield
            finally:
                if sweeping is not None:
                    sweeping.cancel()
                    await asyncio.gather(sweeping, return_exceptions=True)

    @asynccontextmanager
    async def using(self, host: ModelHost, timeout: float) -> AsyncIterator[None]:
        """The model is loaded, or on its way, and stays while the block runs. Raises NoRoom where those in use leave none
        within `timeout` seconds, ModelError where it is too large for the bound by itself.
        """
        use = self._uses.get(host.name)
        if use is None:  # the default one, which is there all the time
            yield
            return
        use.users += 1
        try:
            async with use.lock:
                if not host.is_started:
                    await self._make_room(host, use, timeout)
                    host.start()
            yield
        finally:
            use.users -= 1
            use.last = self._clock()
            async with self._changed:
                self._changed.notify_all()

    async def _make_room(self, host: ModelHost, use: _Use, timeout: float) -> None:
        if self._memory is None:
            return
        use.needed = use.needed or await self._needed(host)
        if use.needed > self._memory:
            raise ModelError(
                f"the model {host.name} needs {_gib(use.needed)}, and models on demand may take {_gib(self._memory)} together "
                "(models_gib under [engine]): give it a smaller context or quantization, or raise the bound"
            )
        try:
            async with asyncio.timeout(timeout):
                while not await self._fits(use.needed):
                    async with self._changed:
                        await self._changed.wait()
        except TimeoutError:
            busy = ", ".join(each.name for each in self.others if self._uses[each.name].users and each.is_started)
            raise NoRoom(
                f"the model {host.name} needs {_gib(use.needed)}, and {busy} in use leave less of {_gib(self._memory)}; "
                "try again soon"
            ) from None

    async def _fits(self, needed: int) -> bool:
        """Unload who was used longest ago of those that nobody uses, until there is room; False where there is none."""
        assert self._memory is not None
        while True:
            loaded = [each for each in self.others if each.is_started]
            if sum(self._uses[each.name].needed or 0 for each in loaded) + needed <= self._memory:
                return True
            idle = [each for each in loaded if not self._uses[each.name].users]
            if not idle:
                return False
            oldest = min(idle, key=lambda each: self._uses[each.name].last)
            log.info("the model %s makes room", oldest.name)
            await self._stop_idle(oldest)

    async def _stop_idle(self, host: ModelHost) -> None:
        """Unless somebody has come meanwhile."""
        use = self._uses[host.name]
        async with use.lock:
            if not use.users:
                await host.stop()

    async def _needed(self, host: ModelHost) -> int:
        try:
            return await asyncio.to_thread(host.needed)
        except EngineError as error:
            raise ModelError(str(error)) from None

    async def _sweep(self) -> None:
        """End what nobody has used for as long as it is kept."""
        while True:
            now = self._clock()
            waits = [1.0]
            for host in self.others:
                use = self._uses[host.name]
                if host.keep_alive is None or use.users or not host.is_started:
                    continue
                left = use.last + host.keep_alive - now
                if left <= 0:
                    log.info("the model %s is unloaded: nobody has used it for %g s", host.name, host.keep_alive)
                    await self._stop_idle(host)
                else:
                    waits.append(left)
            async with self._changed:
                try:
                    async with asyncio.timeout(min(waits)):
                        await self._changed.wait()
                except TimeoutError:
                    pass


def _gib(n_bytes: int) -> str:
    return f"{n_bytes / 2**30:.1f} GiB"
