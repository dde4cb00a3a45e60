"""Extraction in child processes: parsing thousands of files would hold this process's interpreter lock for half a minute.

A child reads batches from its standard input and answers on its standard output, each a length and a pickle, and ends when
its input does: so none outlives its server, however that ends. Run as `python -P -m portico_servers.code.index.extractor ROOT`
(an absolute path), away from ROOT: what is in there is read, never imported.
"""

from __future__ import annotations

import logging
import os
import pickle
import queue
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from portico_servers.code.index.extraction import ExtractedFile, extract, unparsable
from portico_servers.code.syntax.source_text import MAX_BYTES
from portico_servers.common.child_process import SAFE_DIRECTORY, python_command, python_path
from portico_servers.common.path_jail import Jail, NotFound

logger = logging.getLogger(__name__)
_BATCH_FILES = 64
_BATCH_BYTES = 1_000_000
_HEAD = struct.Struct("<I")
_JOIN_SECONDS = 5.0


class ExtractionJob(NamedTuple):
    path: str
    size: int
    mtime_ns: int


def extract_one(jail: Jail, job: ExtractionJob) -> ExtractedFile | None:
    """None if the file went away or may not be read."""
    try:
        data = jail.read_bytes(job.path, MAX_BYTES + 1)
    except NotFound:
        return None
    return extract(job.path, job.size, job.mtime_ns, data)


def extract_all(
    root: Path, jobs: Sequence[ExtractionJob], *, processes: int, stop: Callable[[], bool]
) -> Iterator[list[ExtractedFile]]:
    """What is extracted of all `jobs`, batch by batch, in no order, until `stop` says so. A file whose parsing kills a process
    twice comes back as skipped."""
    waiting: queue.Queue[list[ExtractionJob]] = queue.Queue()
    for batch in _batches(jobs):
        waiting.put(batch)
    done: queue.Queue[list[ExtractedFile] | None] = queue.Queue(maxsize=2 * processes)
    halt = threading.Event()
    count = min(processes, waiting.qsize())
    threads = [
        threading.Thread(target=_feed, args=(root, waiting, done, halt), name=f"extract-{i}", daemon=True) for i in range(count)
    ]
    for thread in threads:
        thread.start()
    try:
        ended = 0
        while ended < count and not stop():
            try:
                extracted = done.get(timeout=0.2)
            except queue.Empty:
                continue
            if extracted is None:
                ended += 1
            else:
                yield extracted
    finally:
        halt.set()
        while any(thread.is_alive() for thread in threads):
            try:
                done.get(timeout=0.05)  # a feeder may wait for room
            except queue.Empty:
                continue


def _batches(jobs: Sequence[ExtractionJob]) -> Iterator[list[ExtractionJob]]:
    """Small ones first, so that something can be found early."""
    batch: list[ExtractionJob] = []
    size, most = 0, 8
    for job in jobs:
        batch.append(job)
        size += min(job.size, MAX_BYTES)
        if len(batch) >= most or size >= _BATCH_BYTES:
            yield batch
            batch, size, most = [], 0, min(most + 8, _BATCH_FILES)
    if batch:
        yield batch


def _feed(
    root: Path, waiting: queue.Queue[list[ExtractionJob]], done: queue.Queue[list[ExtractedFile] | None], halt: threading.Event
) -> None:
    """One child's thread: give it batches until there are none. A batch that kills it is tried again file by file."""
    child = _Child(root)
    try:
        while not halt.is_set():
            try:
                batch = waiting.get_nowait()
            except queue.Empty:
                break
            extracted = child.ask(batch)
            if extracted is None and not halt.is_set():
                if len(batch) == 1:
                    logger.warning("%s can't be parsed: the parser crashed; it's listed, not indexed", batch[0].path)
                    extracted = [unparsable(batch[0].path, batch[0].size, batch[0].mtime_ns)]
                else:
                    for job in batch:
                        waiting.put([job])
                child.close()
                child = _Child(root)
            if extracted is not None:
                done.put(extracted)
    finally:
        child.close()
        done.put(None)


class _Child:
    """One extracting process. `ask` gives None once it has died."""

    def __init__(self, root: Path) -> None:
        self._process = subprocess.Popen(
            python_command("portico_servers.code.index.extractor", os.fspath(root)),
            cwd=SAFE_DIRECTORY,
            env={**os.environ, "PYTHONPATH": python_path()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, batch: Sequence[ExtractionJob]) -> list[ExtractedFile] | None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            _write(self._process.stdin, list(batch))
            answer = _read(self._process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError):
            return None
        return answer if isinstance(answer, list) else None

    def close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except OSError:  # it died with a batch half written
                    pass
        try:
            self._process.wait(_JOIN_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _write(stream: IO[bytes], value: object) -> None:
    data = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(_HEAD.pack(len(data)) + data)
    stream.flush()


def _read(stream: IO[bytes]) -> object:
    head = stream.read(_HEAD.size)
    if len(head) < _HEAD.size:
        raise EOFError
    (size,) = _HEAD.unpack(head)
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return pickle.loads(data)  # from our own child, over a pipe that nobody else holds


def main() -> None:
    """The child: answer batches until the input ends."""
    jail = Jail([Path(sys.argv[1])])
    os.nice(5)  # the server that answers goes first
    while True:
        try:
            batch = _read(sys.stdin.buffer)
        except EOFError:
            return
        assert isinstance(batch, list)
        _write(sys.stdout.buffer, [extracted for job in batch if (extracted := extract_one(jail, job)) is not None])


if __name__ == "__main__":
    main()
