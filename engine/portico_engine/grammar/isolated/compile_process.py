"""One process that compiles: started behind all that somebody waits for, asked, ended with its pipes.

It knows neither what is compiled where, nor who waits.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from portico_engine.errors import GrammarTooLarge
from portico_engine.grammar.isolated import child

if TYPE_CHECKING:
    from portico_engine.grammar.isolated.child import JobResult

WALL_SECONDS = 10.0  # for a job, on a machine where its two seconds of the processor take so long
_START_SECONDS = 30.0  # for a process to be ready
_NICE = 10  # behind the engine, whose answers somebody reads, on a machine that is busy
_MODULE = "portico_engine.grammar.isolated.child"


class Job(NamedTuple):
    """A compiler by name, and what it is called with."""

    name: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]

    @property
    def digest(self) -> str:
        """Raises GrammarTooLarge for what nests too deeply to be written down."""
        try:
            return hashlib.sha256(pickle.dumps(tuple(self))).hexdigest()
        except RecursionError:
            raise GrammarTooLarge("the schema nests too deeply to be compiled") from None


class CompileProcess:
    """One child. Started at once; loading what it needs goes on while a job is written to it."""

    def __init__(self) -> None:
        """Raises OSError."""
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", _MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=os.path.sep,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(_import_path()), "PYTHONSAFEPATH": "1"},
            process_group=0,  # Ctrl-C is for the parent
        )
        self.pid = self._process.pid
        _step_back(self.pid)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        """Wait for its end, and let go of the pipes."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(OSError):
                pipe.close()

    def ask(self, job: Job) -> JobResult:
        """What the job comes to, be it that the process ended over it."""
        try:
            data = pickle.dumps(tuple(job), pickle.HIGHEST_PROTOCOL)
        except RecursionError:
            return GrammarTooLarge("the schema nests too deeply to be compiled")
        deadline = time.monotonic() + WALL_SECONDS + _START_SECONDS
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(child.HEADER.pack(len(data)) + data)
            self._process.stdin.flush()
            (size,) = child.HEADER.unpack(self._receive(child.HEADER.size, deadline))
            answer: JobResult = pickle.loads(self._receive(size, deadline))
            return answer
        except (OSError, EOFError):
            self._process.kill()
            return self._reason()

    def _receive(self, size: int, deadline: float) -> bytes:
        assert self._process.stdout is not None
        fd = self._process.stdout.fileno()
        found = bytearray()
        while len(found) < size:
            ready, _, _ = select.select([fd], [], [], max(deadline - time.monotonic(), 0))
            piece = os.read(fd, min(size - len(found), 1 << 20)) if ready else b""
            if not piece:
                raise EOFError
            found += piece
        return bytes(found)

    def _reason(self) -> GrammarTooLarge:
        """Why it ended: by the limit on time, or else for memory."""
        code = self._process.wait()
        slow = code in (-signal.SIGKILL, -getattr(signal, "SIGPROF", 0))
        return GrammarTooLarge(child.TIME if slow else child.MEMORY)


def _step_back(pid: int) -> None:
    """Let the process have the processor only where nobody else of us wants it, from its start: importing is most of what many
    a job costs. It is in our session, since Linux shares a processor among sessions first (autogroups, sched(7)).
    """
    if hasattr(os, "setpriority"):
        with suppress(OSError):  # it has ended
            os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, 0) + _NICE)


def _import_path() -> list[str]:
    """sys.path without the working directory, where anybody's files may lie; kept where this package is from it."""
    here = os.path.realpath(os.curdir)
    needed = os.path.realpath(__file__).startswith(os.path.join(here, "portico_engine", ""))
    return [entry for entry in sys.path if os.path.isabs(entry) and (needed or os.path.realpath(entry) != here)]
