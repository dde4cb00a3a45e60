"""One file from the hub: what was there of it before is kept, what comes is hashed, and it takes its name when it is whole.

It owns ranges, retries, checks and the file's last step. It knows no repositories. A part is named by its checksum, so that
another revision's is never gone on with.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TypeAlias

import httpx2

from portico_gateway.errors import HubError
from portico_gateway.hub.repository import HubFile, check_status, unreachable

Progress: TypeAlias = Callable[[int, int], None]  # bytes there, bytes in all
_CHUNK = 1 << 20
_TRIES = 5  # in a row that bring nothing
_FIRST_WAIT = 0.5  # seconds, doubled with each of them
_SPARE = 64 << 20  # bytes of a disk that are left alone
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


def download(
    client: httpx2.Client,
    url: str,
    file: HubFile,
    target: Path,
    progress: Progress = lambda _there, _all: None,
    *,
    first_wait: float = _FIRST_WAIT,
) -> Path:
    """The file at `target`, fetched unless it is there whole.

    A transfer that breaks off is gone on with where it stopped, here and in the next run. Raises HubError where there is no
    network, no room, another process at it, or where what came is not what the hub says it is.
    """
    if target.exists() and target.stat().st_size == file.size:
        progress(file.size, file.size)
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.{(file.sha256 or file.git_id or 'unchecked')[:12]}.part")
        with _locked(part) as held:
            _check_room(part, file)
            _fetch(client, url, file, held, progress, first_wait)
            _check(held, file, part)
            os.fsync(held.fileno())
            part.replace(target)
    except OSError as error:
        raise HubError(f"{target} can't be written: {error.strerror or error}") from None
    return target


@contextmanager
def _locked(part: Path) -> Iterator[IO[bytes]]:
    with part.open("a+b") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HubError(f"another process is fetching {part.name.split('.part')[0]}; wait for it, or end it") from None
        yield held


def _check_room(part: Path, file: HubFile) -> None:
    needed = file.size - part.stat().st_size + _SPARE
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise HubError(
            f"{file.name} needs {needed / 1e9:.1f} GB more, and the disk of {part.parent} has {free / 1e9:.1f} GB free; "
            "PORTICO_MODELS names another folder"
        )


def _fetch(client: httpx2.Client, url: str, file: HubFile, held: IO[bytes], progress: Progress, first_wait: float) -> None:
    """Until all is there. Tries that bring something don't count."""
    failures = 0
    while (there := _length(held)) < file.size or (file.size == 0 and there == 0 and failures == 0):
        try:
            _receive(client, url, file, held, progress)
            problem: Exception | None = None
        except httpx2.TransportError as error:
            problem = error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise unreachable(httpx2.URL(url).host, error) from None
        if _length(held) > there:
            failures = 0
            continue
        if file.size == 0:
            return
        failures += 1
        if failures >= _TRIES:
            if there == 0 and problem is not None:
                raise unreachable(httpx2.URL(url).host, problem) from None
            raise HubError(
                f"the transfer of {file.name} broke off at {there} of {file.size} bytes"
                + (f" ({problem or 'it ended early'})")
                + "; the same command goes on from there"
            )
        time.sleep(first_wait * 2 ** (failures - 1))


def _receive(client: httpx2.Client, url: str, file: HubFile, held: IO[bytes], progress: Progress) -> None:
    """One request: the rest of the file, as far as it comes."""
    there = _length(held)
    with client.stream("GET", url, headers={"range": f"bytes={there}-"} if there else {}) as answer:
        if answer.status_code == 416:  # there is no such range: what was kept is not of this file
            held.truncate(0)
            return
        check_status(answer, httpx2.URL(url).host, file.name)
        if there and not _goes_on(answer, there):
            held.truncate(there := 0)
        for chunk in answer.iter_raw(_CHUNK):
            if there + len(chunk) > file.size:
                raise HubError(
                    f"more than the {file.size} bytes of {file.name} came; the hub or a proxy between sends something else"
                )
            held.write(chunk)
            there += len(chunk)
            progress(there, file.size)
        held.flush()


def _goes_on(answer: httpx2.Response, there: int) -> bool:
    """Is what comes the rest? A server that knows no ranges sends all of it."""
    found = _RANGE.fullmatch(answer.headers.get("content-range", ""))
    return answer.status_code == 206 and found is not None and int(found[1]) == there


def _length(held: IO[bytes]) -> int:
    held.flush()
    return os.fstat(held.fileno()).st_size


def _check(held: IO[bytes], file: HubFile, part: Path) -> None:
    """Against the hub's checksum; what is wrong is deleted, since it can't be gone on with."""
    expected = file.sha256 or file.git_id
    if expected is None:
        return
    digest = hashlib.sha256() if file.sha256 else hashlib.sha1(f"blob {file.size}\0".encode(), usedforsecurity=False)
    held.seek(0)
    while chunk := held.read(_CHUNK):
        digest.update(chunk)
    if digest.hexdigest() != expected:
        with suppress(OSError):
            part.unlink()
        kind = "SHA-256" if file.sha256 else "git id"
        raise HubError(
            f"{file.name} is not what the hub says it is: its {kind} is {digest.hexdigest()} and must be {expected}; "
            "what came was deleted, try again"
        )
