"""The end of a rank is the end of all: ranks wait for each other in every sum, and one that is gone would be waited for
for ever.

It owns how that is noticed, said and brought about. A process that waits for a device, and for which nothing else helps, ends:
more than one rank is for an engine in a process of its own, as a native library that may crash is.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable

from portico_engine.errors import DeviceLost

RANKS_LOST = 71  # exit code of the first rank's process
GRACE = 5.0  # seconds between the loss and the end of a process that doesn't close its executor
PATIENCE = 150.0  # seconds that a step may take: over a group's own patience, whose error says more
_TICK = 1.0
_log = logging.getLogger(__name__)


class RankWatch:
    """Of one executor over ranks."""

    def __init__(
        self,
        world_size: int,
        let_go: Callable[[], None],
        *,
        patience: float = PATIENCE,
        end_process: Callable[[], None] = lambda: os._exit(RANKS_LOST),
    ) -> None:
        """`let_go` ends the other ranks and whatever this one waits for; it may be called more than once."""
        self._world_size = world_size
        self._let_go = let_go
        self._patience = patience
        self._end_process = end_process
        self._lock = threading.Lock()
        self._lost = threading.Event()
        self._closed = threading.Event()
        self._reason = ""
        self._since: float | None = None  # when what is under way began
        threading.Thread(target=self._watch, name="portico-ranks", daemon=True).start()

    def ended(self, rank: int, how: str) -> None:
        """A rank's process has ended, in words."""
        if not self._closed.is_set():
            self.lose(f"rank {rank} of {self._world_size} {how}")

    def lose(self, reason: str) -> None:
        """The first reason counts."""
        with self._lock:
            first, self._reason = not self._reason, self._reason or reason
        if first:
            _log.critical("all %d ranks end: %s", self._world_size, reason)
            self._lost.set()
            threading.Thread(target=self._let_go, name="portico-ranks-end", daemon=True).start()

    def begin(self) -> None:
        """A step begins, or its being waited for. Raises DeviceLost where there are not all ranks any more."""
        self._since = time.monotonic()
        if self._lost.is_set():
            raise self.error()

    def end(self) -> None:
        """It is over."""
        self._since = None

    def is_lost(self, within: float = 0.0) -> bool:
        """Is a rank gone? A connection to it may break before its end is known: `within` is waited for that."""
        return self._lost.wait(within)

    def error(self) -> DeviceLost:
        """What to raise then."""
        return DeviceLost(f"the model's ranks have ended: {self._reason}")

    def close(self) -> None:
        """What ends from now on is meant to."""
        self._closed.set()

    def _watch(self) -> None:
        while not self._lost.wait(_TICK):
            since = self._since
            if self._closed.is_set():
                return
            if since is not None and time.monotonic() - since > self._patience:
                self.lose(f"they didn't finish a step within {self._patience:.0f} s")
        if not self._closed.wait(GRACE):
            _log.critical("this process ends with its ranks")
            self._end_process()
