"""What one server writes to stderr: into a file that never grows beyond a bound, and its last words in memory.

It owns the pipe, the file and its rotation. A server that writes without end is read slowly, so that it costs neither the disk
nor the gateway's time; a folder that can't be written costs the file alone.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

import anyio

from portico_gateway.safe_output.private_files import private_folder, private_opener

log = logging.getLogger(__name__)

MAX_FILE = 1 << 20  # bytes; then it becomes the one old file that is kept
TAIL = 8 << 10  # bytes that are looked at for the last line
_CHUNK = 64 << 10
_BURST = 1 << 20  # bytes that are read at once, before a pause
_PAUSE = 0.25  # seconds


class StderrLog:
    """Of one process. `write_end` goes to the process; `copy` runs beside it."""

    def __init__(self, server: str, folder: Path) -> None:
        self._path = folder / f"server-{''.join(c if c.isalnum() or c in '-_' else '_' for c in server)}.log"
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        self._tail = b""
        self._size = 0
        self._file: IO[bytes] | None = None
        try:
            private_folder(folder)
            self._open()
        except OSError as error:
            log.warning("what server %r writes to stderr is kept nowhere: %s", server, error)

    def last_line(self) -> str:
        """The last non-empty line so far."""
        lines = self._tail.decode("utf-8", "replace").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    async def copy(self) -> None:
        """Read what the process writes, until it and all that it started have ended, or cancelled."""
        while self._read_end >= 0:
            await anyio.wait_readable(self._read_end)
            if not self.take():
                return
            await anyio.sleep(_PAUSE if self._taken >= _BURST else 0)

    def take(self) -> bool:
        """Read what is there now, at most a burst; False at the end."""
        self._taken = 0
        while self._read_end >= 0 and self._taken < _BURST:
            try:
                chunk = os.read(self._read_end, _CHUNK)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not chunk:
                return False
            self._taken += len(chunk)
            self._keep(chunk)
        return True

    def _keep(self, chunk: bytes) -> None:
        self._tail = (self._tail + chunk)[-TAIL:]
        if self._file is None:
            return
        try:
            if self._size + len(chunk) > MAX_FILE:
                self._file.close()
                self._open()
            self._file.write(chunk)
            self._size += len(chunk)
        except OSError as error:  # the disk is full
            log.warning("%s can't be written: %s", self._path, error)
            self._close_file()

    def _open(self) -> None:
        with suppress(OSError):
            if self._path.stat().st_size + _CHUNK > MAX_FILE:
                self._path.replace(self._path.with_suffix(".log.1"))
        self._file = open(self._path, "ab", buffering=0, opener=private_opener)  # noqa: SIM115 - lives as long as this
        self._size = self._file.tell()

    def _close_file(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None

    def close_write_end(self) -> None:
        """The process has it now."""
        if self.write_end >= 0:
            os.close(self.write_end)
            self.write_end = -1

    def __enter__(self) -> StderrLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.take()
        self.close_write_end()
        os.close(self._read_end)
        self._read_end = -1
        self._close_file()
