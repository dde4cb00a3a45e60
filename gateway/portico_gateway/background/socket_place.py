"""Where the sockets of background processes are: a folder for its owner alone, a socket and a lock for each key.

It owns their names, the check that nobody else could have put them there, and that a key has one process at a time. What is
left of a process that died is replaced by the next.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from portico_gateway.background.key import BackgroundKey
from portico_gateway.errors import GatewayError

_MAX_PATH = 103  # bytes of a socket's path that every system takes
_LONGEST_NAME = len("/0123456789abcdef.sock")


class BackgroundUnavailable(GatewayError):
    """There can be no background process here; the message says why."""


@dataclass(frozen=True, slots=True)
class SocketPlace:
    """The files of one key."""

    path: Path

    @property
    def lock(self) -> Path:
        return self.path.with_suffix(".lock")

    @property
    def last_words(self) -> Path:
        """What the process wrote to stderr."""
        return self.path.with_suffix(".err")


def runtime_folder() -> Path:
    """`portico` in $XDG_RUNTIME_DIR where that is the user's own, else `run` in the state folder; where their paths are too
    long for a socket, a folder of this user's among the temporary files. Made where it isn't.

    Raises BackgroundUnavailable where others could write to it."""
    folder = next(folder for folder in _candidates() if len(os.fsencode(folder)) + _LONGEST_NAME <= _MAX_PATH)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise BackgroundUnavailable(f"{folder} can't be made: {error.strerror or error}") from None
    if not _is_private(folder):
        raise BackgroundUnavailable(f"{folder} is not this user's alone")
    return folder


def _candidates() -> Iterator[Path]:
    given = os.environ.get("XDG_RUNTIME_DIR")
    if given is not None and os.path.isabs(given) and _is_private(Path(given)):
        yield Path(given, "portico")
    yield platformdirs.user_state_path("portico", appauthor=False) / "run"
    yield Path("/tmp", f"portico-{os.geteuid()}")


def _is_private(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077


def socket_place(key: BackgroundKey) -> SocketPlace:
    """Raises BackgroundUnavailable."""
    return SocketPlace(runtime_folder() / f"{key.digest}.sock")


def socket_places() -> list[SocketPlace]:
    """All that there are, dead ones among them. Raises BackgroundUnavailable."""
    return [SocketPlace(path) for path in sorted(runtime_folder().glob("*.sock"))]


@contextmanager
def only_one(place: SocketPlace) -> Iterator[bool]:
    """Whether this process is the key's one, which it then is until the end of the block; its files go with it."""
    lock = _locked(place.lock)
    if lock is None:
        yield False
        return
    try:
        yield True
    finally:
        for left in (place.path, place.last_words, place.lock):
            with suppress(OSError):
                left.unlink(missing_ok=True)
        os.close(lock)


def _locked(path: Path) -> int | None:
    """An open descriptor that holds the lock; None where another process does."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except FileNotFoundError:
            pass  # its last holder took it away in between
        os.close(descriptor)
