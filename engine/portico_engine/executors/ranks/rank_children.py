"""The other ranks' processes: starts them, tells them, hears from them, and sees to it that none is left.

It owns the processes. What they are told means nothing here.
"""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from portico_engine.executors.ranks import messages

_MODULE = "portico_engine.executors.ranks.rank_child"
Ended = Callable[[int, str], None]  # rank, and how it ended


class RankChildren:
    """The processes of ranks 1 to `world_size` - 1."""

    def __init__(self, world_size: int, ended: Ended, *, cuda: bool, threads: int) -> None:
        """Start them. `ended` is called on a thread of each one's when it ends. With `cuda` each sees a GPU of its own, else it
        computes with so many `threads`.
        """
        self._children: list[_Child] = []
        try:
            for rank in range(1, world_size):
                self._children.append(_Child(rank, ended, _environment(rank, cuda=cuda, threads=threads)))
        except BaseException:
            self.kill()
            raise

    @property
    def pids(self) -> Sequence[int]:
        return [child.process.pid for child in self._children]

    def tell(self, message: object) -> None:
        """All of them. Raises ConnectionError where one is gone."""
        data = messages.encode(message)
        for child in self._children:
            child.wire.send_encoded(data)

    def tell_each(self, made: Callable[[int], object]) -> None:
        """Each one what is made for its rank."""
        for child in self._children:
            child.wire.send(made(child.rank))

    def hear(self) -> None:
        """Wait until each of them is ready. Raises ConnectionError where one ends instead."""
        for child in self._children:
            if child.inbox.get() is None:
                raise ConnectionError(f"rank {child.rank} has ended")

    def kill(self) -> None:
        """At once."""
        for child in self._children:
            child.kill()

    def close(self, seconds: float) -> None:
        """Let them end in order, or kill them after so many seconds; afterwards none is left."""
        with suppress(ConnectionError):
            self.tell(messages.Close())
        for child in self._children:
            with suppress(subprocess.TimeoutExpired):
                child.process.wait(seconds)
        self.kill()
        for child in self._children:
            child.process.wait()
            child.thread.join()
            child.wire.close()


class _Child:
    """One of them, and the thread that hears it."""

    def __init__(self, rank: int, ended: Ended, environment: dict[str, str]) -> None:
        self.rank = rank
        self.inbox: queue.SimpleQueue[messages.Ready | None] = queue.SimpleQueue()  # None at the end
        self._ended = ended
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", _MODULE, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=environment,
                cwd=os.sep,
            )
        self.wire = messages.RankWire(ours)
        self.thread = threading.Thread(target=self._listen, name=f"portico-rank-{rank}", daemon=True)
        self.thread.start()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()

    def _listen(self) -> None:
        """A process that is killed closes its end of the socket at once, whatever it was waiting for."""
        reason = ""
        while (message := self.wire.receive()) is not None:
            if isinstance(message, messages.Failed):
                reason = f": {message.reason}"
            else:
                self.inbox.put(message)
        self.process.kill()  # it may have closed its end and live
        code = self.process.wait()
        self._ended(self.rank, f"{_how(code)}{reason}")
        self.inbox.put(None)


def _how(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def _environment(rank: int, *, cuda: bool, threads: int) -> dict[str, str]:
    """Works outside the working directory and imports nothing from there."""
    path = os.pathsep.join(entry for entry in sys.path if os.path.isabs(entry))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}
    if not cuda:
        return environment | {"OMP_NUM_THREADS": str(threads)}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return environment | {"CUDA_VISIBLE_DEVICES": visible.split(",")[rank] if visible else str(rank)}
