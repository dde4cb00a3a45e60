"""The end of everything that a server started, also of what left its process group, and also when this gateway is killed.

Each server's environment carries a mark that its descendants inherit. Run as a program, this module is the guardian: it holds a
pipe to the gateway, keeps track of the servers' descendants, and when the pipe ends it ends what is left of them. It imports
the standard library alone, so that it starts at once. On Linux it reads /proc; elsewhere it knows process groups and `ps`.
"""

from __future__ import annotations

import atexit
import os
import secrets
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

MARK_VARIABLE = "PORTICO_TREE"  # in a server's environment: the marks of the gateways that it is behind, outermost first
_TRACK_EVERY = 1.0  # seconds between two looks at who has started whom
_LEAVE_GRACE = 1.0  # seconds in which a server that sees the end of its input ends by itself
_TERM_GRACE = 0.7
_GIVE_UP = 10.0
_PROC = Path("/proc")


def find_marked(mark: str) -> set[int]:
    """The processes whose environment, as they were started, carries the mark. Empty without /proc."""
    needle, own = mark.encode(), os.getpid()
    found = set()
    for pid in _pids():
        with suppress(OSError):
            if pid != own and needle in (_PROC / str(pid) / "environ").read_bytes():
                found.add(pid)
    return found


def find_descendants(roots: Iterable[int]) -> set[int]:
    """All that these processes have started and that is still under them."""
    found: set[int] = set()
    waiting = list(roots)
    table = None if _PROC.is_dir() else _children_by_ps()
    while waiting:
        pid = waiting.pop()
        children = _children(pid) if table is None else table.get(pid, [])
        new = [child for child in children if child not in found]
        found.update(new)
        waiting += new
    return found


def end_all(pids: Iterable[int], number: signal.Signals = signal.SIGKILL) -> None:
    """Signal each of these; those that are gone are gone."""
    for pid in pids:
        if pid > 1 and pid != os.getpid():
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)


def end_marked(mark: str, others: Iterable[int] = ()) -> None:
    """SIGKILL to all that carry the mark, to `others`, and to what any of them started meanwhile."""
    for _ in range(20):  # a process may start another while it is looked for
        found = find_marked(mark) | {pid for pid in others if _is_alive(pid)}
        found |= find_descendants(found)
        if not any(_is_alive(pid) for pid in found):
            return
        end_all(found)
        time.sleep(0.01)


def start_time(pid: int) -> str | None:
    """What tells a process from a later one of the same number; None where it is gone or a zombie, or nothing tells it."""
    try:
        text = (_PROC / str(pid) / "stat").read_text("latin-1")
    except OSError:
        return None
    fields = text[text.rfind(")") + 2 :].split()
    return None if fields[0] in "ZX" else fields[19]


def _is_alive(pid: int) -> bool:
    if _PROC.is_dir():
        return start_time(pid) is not None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _pids() -> Iterator[int]:
    with suppress(OSError):
        for name in os.listdir(_PROC):
            if name.isdigit():
                yield int(name)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for task in os.listdir(_PROC / str(pid) / "task"):
            with suppress(OSError):
                found += map(int, (_PROC / str(pid) / "task" / task / "children").read_text().split())
    return found


def _children_by_ps() -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    with suppress(OSError, ValueError, subprocess.SubprocessError):
        listed = subprocess.run(["ps", "-axo", "pid=,ppid="], capture_output=True, text=True, timeout=5.0, check=True)
        for line in listed.stdout.splitlines():
            pid, parent = map(int, line.split())
            children.setdefault(parent, []).append(pid)
    return children


class Guardian:
    """The gateway's side: one guardian process for all servers of this process, started with the first."""

    def __init__(self) -> None:
        self._mark = secrets.token_hex(8)
        self._number = 0
        self._pipe = -1
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = -1
        self._watched: set[int] = set()

    def new_mark(self) -> str:
        """The value of MARK_VARIABLE for one more server."""
        self._number += 1
        outer = os.environ.get(MARK_VARIABLE, "")
        return f"{outer}/{self._mark}.{self._number}/"

    def watch(self, pid: int) -> None:
        """End the process of this id, and all that it started, should this process end without doing so."""
        if self._owner != os.getpid():
            self._watched.clear()
            self._start()
        self._watched.add(pid)
        self._tell(f"+{pid}")

    def forget(self, pid: int) -> None:
        """The process has ended; what is left of what it started ends now."""
        self._watched.discard(pid)
        self._tell(f"-{pid}")

    def leave(self) -> None:
        """This process ends. Where nothing is watched any more the guardian has nothing to do, and is gone at once."""
        if self._owner != os.getpid() or self._process is None or self._watched:
            return
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_LEAVE_GRACE)

    def _start(self) -> None:
        if self._process is not None:
            self._process.poll()
        read_end, self._pipe = os.pipe()
        self._owner = os.getpid()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__, f"/{self._mark}."],
                stdin=read_end,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
                start_new_session=True,
            )
        except OSError:  # no process can be started: then no server can either
            os.close(self._pipe)
            self._pipe = -1
        finally:
            os.close(read_end)

    def _tell(self, line: str) -> None:
        if self._pipe < 0:
            return
        try:
            os.write(self._pipe, line.encode() + b"\n")
        except BrokenPipeError:  # somebody has ended the guardian: there is another one
            os.close(self._pipe)
            self._start()
            if self._pipe >= 0:
                os.write(self._pipe, b"".join(b"+%d\n" % pid for pid in self._watched))


GUARDIAN = Guardian()  # of this process
atexit.register(GUARDIAN.leave)


class _Watch:
    """The guardian's own: the servers, and their descendants as far as they were seen, with their start times."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._trees: dict[int, dict[int, str]] = {}

    def take(self, line: str) -> None:
        sign, number = line[:1], line[1:]
        if not number.isdigit():
            return
        pid = int(number)
        if sign == "+":
            self._trees[pid] = {}
        elif sign == "-":
            end_all(self._alive(self._trees.pop(pid, {})))

    def track(self) -> None:
        for pid, tree in self._trees.items():
            for child in find_descendants([pid, *tree]):
                started = start_time(child) or ("" if not _PROC.is_dir() else None)
                if started is not None:
                    tree[child] = started
            for gone in tree.keys() - self._alive(tree):
                del tree[gone]

    def _alive(self, tree: dict[int, str]) -> set[int]:
        return {pid for pid, started in tree.items() if (start_time(pid) or "") == started}

    def left(self) -> set[int]:
        found = find_marked(self._mark)
        for pid, tree in self._trees.items():
            found |= self._alive(tree)
            if not _PROC.is_dir():
                found.add(pid)
        found |= find_descendants(found)
        return {pid for pid in found if _is_alive(pid)}

    def end(self) -> None:
        """The gateway is gone."""
        begun = time.monotonic()
        number: signal.Signals | None = None
        while (left := self.left()) and time.monotonic() - begun < _GIVE_UP:
            waited = time.monotonic() - begun
            if waited > _LEAVE_GRACE + _TERM_GRACE:
                end_all(left)
            elif waited > _LEAVE_GRACE and number is None:
                number = signal.SIGTERM
                end_all(left, number)
            time.sleep(0.05)


def guard(mark: str) -> None:
    """Read the gateway's words from stdin until it ends, then end what it started."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    watch = _Watch(mark)
    rest = b""
    while True:
        ready, _, _ = select.select([0], [], [], _TRACK_EVERY)
        if ready:
            chunk = os.read(0, 65536)
            if not chunk:
                break
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                watch.take(line.decode("ascii", "replace"))
        watch.track()
    watch.end()


if __name__ == "__main__":
    guard(sys.argv[1])
