"""A process that imports what our servers need, once, and becomes each of them by a fork: importing is most of their start.

It owns the forks and what a fork takes over: streams, session, environment and folder are those of a process that was started
by itself. It knows nothing of what the servers do, and imports them by name. Run as a program it has a socket on fd 0; who
starts it decides on its environment. A server is asked for by one byte there, with three files: the server's stdin and stdout
(one socket), its stderr, and a socket for words about it. On that comes one line, a `ForkRequest` as JSON, and back go its
process id, and when it has ended its exit code, negative for a signal, a line each. Nothing but the end of it comes back where
the process can't be forked. It ends when the asker hangs up.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

MAX_REQUEST = 64 << 10  # bytes: what a socket takes at once
_FILES = 3
_NO_SERVER = 127  # the exit code of a fork that can't be one
_TASKS = Path("/proc/self/task")


@dataclass(frozen=True, slots=True)
class ForkRequest:
    """`python -P -m portico_servers.NAME ARGS...` with this whole environment, in this folder."""

    name: str
    args: Sequence[str]
    environ: Mapping[str, str]
    folder: str

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"


class ForkServer:
    """`run` forks what it is asked for. It returns None when the asker has hung up, and in each fork what that has to be."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._reports: dict[int, socket.socket] = {}  # of the forks that run, by their ids
        self._woken, self._wake = os.pipe()

    def run(self) -> ForkRequest | None:
        os.set_blocking(self._wake, False)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)  # wakes
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if self._woken in ready:
                    os.read(self._woken, 4096)
                    self._report_ends()
                if self._control in ready:
                    asked, files, _, _ = socket.recv_fds(self._control, 1, _FILES, socket.MSG_CMSG_CLOEXEC)
                    if not asked:
                        return None
                    if len(files) == _FILES and (become := self._fork(*files)) is not None:
                        return become

    def _fork(self, stdio: int, stderr: int, reporting: int) -> ForkRequest | None:
        """What to be, in the fork; None here."""
        report = socket.socket(fileno=reporting)
        try:
            with report.makefile("rb") as lines:
                request = ForkRequest(**json.loads(lines.readline()))
            with suppress(Exception):  # the fork meets it again, and says so where it is heard
                importlib.import_module(f"portico_servers.{request.name}.server")
            if not _is_alone():
                report.close()
                return None
            gc.freeze()  # pages that a collection writes to are not shared any more
            pid = os.fork()
            if pid == 0:
                self._leave(report)
                _take_over(request, stdio, stderr)
                return request
        except (OSError, ValueError, TypeError):
            report.close()
            return None
        finally:
            os.close(stdio)
            os.close(stderr)
        self._reports[pid] = report
        self._tell(report, pid)
        return None

    def _report_ends(self) -> None:
        while self._reports:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if (report := self._reports.pop(pid, None)) is not None:
                self._tell(report, os.waitstatus_to_exitcode(status))
                report.close()

    def _tell(self, report: socket.socket, number: int) -> None:
        with suppress(OSError):  # nobody listens any more
            report.sendall(b"%d\n" % number)

    def _leave(self, report: socket.socket) -> None:
        """A fork has nothing of this one but what was imported."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for each in (report, *self._reports.values()):
            each.close()
        os.close(self._woken)
        os.close(self._wake)
        self._control.detach()  # its number is stdin's


def _is_alone() -> bool:
    """Has this process one thread? With more a fork may find a lock taken for ever."""
    try:
        return len(os.listdir(_TASKS)) == 1
    except OSError:
        return False


def _take_over(request: ForkRequest, stdio: int, stderr: int) -> None:
    """A fork that can't is no server, and ends."""
    try:
        os.setsid()
        os.dup2(stdio, 0)
        os.dup2(stdio, 1)
        os.dup2(stderr, 2)
        os.environ.clear()
        os.environ.update(request.environ)
        os.chdir(request.folder)
    except OSError as error:
        os.write(stderr, f"{error}\n".encode(errors="replace"))
        os._exit(_NO_SERVER)


def main() -> None:
    # Before numpy is imported: with threads it could not be forked.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.disable()
    request = ForkServer(socket.socket(fileno=0)).run()
    if request is None:
        return
    program = importlib.import_module(f"portico_servers.{request.name}.__main__")
    sys.argv = [str(program.__file__), *request.args]
    with suppress(OSError):
        Path("/proc/self/comm").write_text(f"portico-{request.name}")
    program.main(args=list(request.args), prog_name=f"python -m portico_servers.{request.name}")


if __name__ == "__main__":
    main()
