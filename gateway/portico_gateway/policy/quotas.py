"""How many calls a caller may make in a minute and in a day. Counts are of this process, and begin anew with it."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import NamedTuple

from portico_gateway.errors import QuotaExceeded

_SPANS = {"minute": 60.0, "day": 86400.0}
_MAX_CALLERS = 10_000


class Quota(NamedTuple):
    """Calls at most; None where there is no limit."""

    a_minute: int | None = None
    a_day: int | None = None


class Quotas:
    """Counts calls by caller, over windows that slide."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._calls: OrderedDict[str, deque[float]] = OrderedDict()

    def count(self, caller: str, quota: Quota) -> None:
        """One more call. Raises QuotaExceeded, and then it is not counted."""
        if quota == Quota():
            return
        now = self._clock()
        calls = self._calls.setdefault(caller, deque())
        self._calls.move_to_end(caller)
        if len(self._calls) > _MAX_CALLERS:
            self._calls.popitem(last=False)
        while calls and calls[0] <= now - _SPANS["day"]:
            calls.popleft()
        for limit, span in ((quota.a_minute, "minute"), (quota.a_day, "day")):
            if limit is None:
                continue
            recent = [moment for moment in calls if moment > now - _SPANS[span]] if span == "minute" else calls
            if len(recent) >= limit:
                retry = recent[len(recent) - limit] + _SPANS[span] - now if limit else None
                raise QuotaExceeded(caller, limit, span, retry)
        calls.append(now)
