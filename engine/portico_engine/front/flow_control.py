"""How far an answer may run ahead of its reader: flow control by credit, as HTTP/2's windows (RFC 9113, section 5.2).

The engine's thread counts what it delivered and what was taken of it, and pauses a request while that is a WINDOW apart; the
reader's side tells what it took. So what waits between the two is bounded, wherever it waits: in a queue, a socket, an event
loop that is busy.
"""

from __future__ import annotations

from collections.abc import Callable

from portico_engine.request import Delta

WINDOW = 512  # tokens that were delivered and not taken; a reader who keeps up has a few, and one step may add a forced run
RECEIPT = 128  # tokens that a reader takes before it tells: a message now and then, and well below WINDOW, so that it is told


def size(delta: Delta) -> int:
    """What of the window a delta takes."""
    return max(1, len(delta.tokens))


class Receipts:
    """The reader's side: `tell` is called with how many tokens were taken since it was called last."""

    def __init__(self, tell: Callable[[int], None]) -> None:
        self._tell = tell
        self._untold = 0

    def took(self, delta: Delta) -> None:
        """The reader is done with this one."""
        self._untold += size(delta)
        if self._untold >= RECEIPT:
            self._tell(self._untold)
            self._untold = 0
