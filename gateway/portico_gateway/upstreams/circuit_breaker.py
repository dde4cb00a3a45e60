"""A circuit breaker: after several failures in a row calls fail at once for a while, then one may try."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class CircuitBreaker:
    """Closed (calls pass), open (they don't), or half open (one call tries, and decides). Times are seconds."""

    threshold: int = 3
    cooldown: float = 15.0
    clock: Callable[[], float] = time.monotonic
    _failures: int = field(default=0, init=False)
    _opened_at: float | None = field(default=None, init=False)
    _trying: bool = field(default=False, init=False)

    @property
    def is_open(self) -> bool:
        return self._opened_at is not None

    @property
    def retry_after(self) -> float:
        """Until the next try is let through."""
        return 0.0 if self._opened_at is None else max(0.0, self._opened_at + self.cooldown - self.clock())

    def allow(self) -> bool:
        """May a call go? In the half-open state the first one that asks is the one that tries."""
        if self._opened_at is None:
            return True
        if self._trying or self.retry_after > 0:
            return False
        self._trying = True
        return True

    def success(self) -> None:
        self._failures, self._opened_at, self._trying = 0, None, False

    def failure(self) -> None:
        self._failures += 1
        if self._trying or self._failures >= self.threshold:
            self._opened_at = self.clock()
        self._trying = False

    def forget_try(self) -> None:
        """The call that tried was given up by its caller: it proved nothing."""
        self._trying = False
