"""What is known of one connection to an upstream: its process, and when and why it ended.

Whoever carries the connection writes it; supervision and error messages read it.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import anyio

_TAIL = 8 << 10  # bytes of stderr that are looked at for its last line


class UpstreamConnection:
    """One connection. It is written once, and ends once."""

    def __init__(self) -> None:
        self.ended = anyio.Event()
        self.pid: int | None = None
        self.output_ended = False  # its output ended by itself
        self.exit_code: int | None = None
        self.stderr: tuple[Path, int] | None = None  # the file, and where this process's part starts

    def describe_end(self) -> str:
        """`exited with code 2: no such file`: the exit and the last line that the server wrote to stderr, as far as known."""
        if self.pid is None:
            return "closed the connection"
        code = self.exit_code
        if code is None:
            how = "closed its output"
        elif code < 0:
            with suppress(ValueError):
                return self._with_last_line(f"was killed by {signal.Signals(-code).name}")
            how = f"was killed by signal {-code}"
        else:
            how = f"exited with code {code}"
        return self._with_last_line(how)

    def _with_last_line(self, how: str) -> str:
        last = self.last_stderr_line()
        return f"{how}: {last}" if last else how

    def last_stderr_line(self) -> str:
        """The last non-empty line of this process's stderr."""
        if self.stderr is None:
            return ""
        path, start = self.stderr
        with suppress(OSError), path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(start, end - _TAIL))
            lines = file.read().decode("utf-8", "replace").splitlines()
            return next((line.strip() for line in reversed(lines) if line.strip()), "")
        return ""
