"""A terminal that a test types into and reads: tmux's, or where there is none a pseudo-terminal's raw output."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

WIDTH, HEIGHT = 100, 50
PATIENCE = 90.0  # seconds
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][A-Z0-9]|[=>78cDEM])")


class Terminal(Protocol):
    """What a person has before them."""

    def type(self, text: str) -> None:
        """Type this; "\\r" is Enter, "\\x03" Ctrl-C."""

    def screen(self) -> str:
        """What can be read: the screen, or all that was written so far."""

    def ended(self) -> bool:
        """Whether the program is over."""


def wait_for(terminal: Terminal, text: str, count: int = 1) -> str:
    """Until the text can be read `count` times."""
    deadline = time.monotonic() + PATIENCE
    while (seen := terminal.screen()).count(text) < count:
        assert time.monotonic() < deadline, f"{text!r} never came; there was:\n{seen}"
        time.sleep(0.05)
    return seen


def wait_for_end(terminal: Terminal) -> None:
    deadline = time.monotonic() + PATIENCE
    while not terminal.ended():
        assert time.monotonic() < deadline, f"it did not end:\n{terminal.screen()}"
        time.sleep(0.05)


@contextmanager
def terminal(command: Sequence[str], cwd: Path, environ: Mapping[str, str]) -> Iterator[Terminal]:
    """The program in a terminal, which ends with the block."""
    opened = _tmux(command, cwd, environ) if shutil.which("tmux") else _pty(command, cwd, environ)
    with opened as found:
        yield found


class _Tmux:
    def __init__(self, socket: str) -> None:
        self._socket = socket

    def run(self, *words: str) -> str:
        done = subprocess.run(["tmux", "-S", self._socket, *words], capture_output=True, text=True, check=False, timeout=30)
        return done.stdout

    def type(self, text: str) -> None:
        self.run("send-keys", "-l", text)

    def screen(self) -> str:
        return self.run("capture-pane", "-p", "-J", "-S", "-500")

    def ended(self) -> bool:
        return self.run("list-panes", "-F", "#{pane_dead}").strip() == "1"


@contextmanager
def _tmux(command: Sequence[str], cwd: Path, environ: Mapping[str, str]) -> Iterator[Terminal]:
    folder = tempfile.TemporaryDirectory(prefix="chat-")  # a socket's path is short, and no server's that still ends
    made = _Tmux(f"{folder.name}/tmux")
    words = ["env", "-i", *(f"{name}={value}" for name, value in environ.items()), *command]
    size = ("-x", str(WIDTH), "-y", str(HEIGHT))
    keep = ("set-option", "-g", "remain-on-exit", "on", ";")
    made.run("-f", "/dev/null", "start-server", ";", *keep, "new-session", "-d", *size, "-c", str(cwd), *words)
    try:
        yield made
    finally:
        made.run("kill-server")
        folder.cleanup()


class _Pty:
    def __init__(self, master: int, process: subprocess.Popen[bytes]) -> None:
        self._master, self._process, self._seen = master, process, b""

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def screen(self) -> str:
        while select.select([self._master], [], [], 0)[0]:
            try:
                read = os.read(self._master, 65536)
            except OSError:
                break
            if b"\x1b[6n" in read:
                os.write(self._master, b"\x1b[1;1R")  # where the cursor is, which prompt_toolkit asks
            self._seen += read
        return _ESCAPES.sub("", self._seen.decode(errors="replace")).replace("\r", "")

    def ended(self) -> bool:
        self.screen()
        return self._process.poll() is not None


@contextmanager
def _pty(command: Sequence[str], cwd: Path, environ: Mapping[str, str]) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    controlling = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
    as_main = [sys.executable, "-c", controlling]
    process = subprocess.Popen(
        [*as_main, *command], cwd=cwd, env={**environ, "COLUMNS": str(WIDTH), "LINES": str(HEIGHT)},
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    try:
        yield _Pty(master, process)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(master)
