"""Reading pages off the server's thread: in this process when there are few, in worker processes when there are many.

Parsing holds the interpreter's lock, and a server must answer while it goes on. Knows nothing of the index.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

from portico_servers.common.child_process import SAFE_DIRECTORY, isolate_spawned
from portico_servers.common.path_jail import Jail, NotFound
from portico_servers.docs.errors import ReadError
from portico_servers.docs.ingest.chunks import PagePassage, cut
from portico_servers.docs.ingest.pages import Page
from portico_servers.docs.ingest.readers import MAX_BYTES, read_page
from portico_servers.docs.ingest.sources import SourcePage

_FEW_PAGES = 60
_FEW_BYTES = 1_500_000
_BATCH_PAGES = 16
_BATCH_BYTES = 400_000


class PreparedPage(NamedTuple):
    """A page ready to be stored, or why there is none."""

    path: str
    stamp: str
    page: Page | None
    passages: tuple[PagePassage, ...]
    error: str


def prepare(root: Path, found: Sequence[SourcePage]) -> list[PreparedPage]:
    """Read and cut pages beneath `root`, in this process. A page's error is in its result."""
    jail = Jail([root])
    results = []
    for item in found:
        try:
            if item.size > MAX_BYTES:
                raise ReadError(f"{item.path}: {item.size:,} bytes; at most {MAX_BYTES:,} are read of a page")
            page = read_page(item.path, jail.read_bytes(item.path, MAX_BYTES + 1), item.kind)
            results.append(PreparedPage(item.path, item.stamp, page, tuple(cut(page)), ""))
        except (ReadError, NotFound) as error:
            results.append(PreparedPage(item.path, item.stamp, None, (), str(error)))
    return results


def read_pages(root: Path, found: Sequence[SourcePage], stop: threading.Event) -> Iterator[list[PreparedPage]]:
    """`found` in batches, as they get ready. Ends early when `stop` is set."""
    batches = list(_batches(found))
    if len(found) <= _FEW_PAGES and sum(f.size for f in found) <= _FEW_BYTES:
        for batch in batches:
            if stop.is_set():
                return
            yield prepare(root, batch)
        return
    yield from _in_processes(root, batches, stop)


def _in_processes(root: Path, batches: list[list[SourcePage]], stop: threading.Event) -> Iterator[list[PreparedPage]]:
    # Two at least: one that chews on a large page must not hold up all others.
    workers = max(2, min(4, os.cpu_count() or 2))
    pool = _pool(workers)
    waiting = list(reversed(batches))
    running: dict[Future[list[PreparedPage]], list[SourcePage]] = {}
    try:
        while (waiting or running) and not stop.is_set():
            while waiting and len(running) < 2 * workers:
                batch = waiting.pop()
                running[pool.submit(prepare, root, batch)] = batch
            done, _ = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
            for future in done:
                batch = running.pop(future)
                yield future.result()
    except BrokenProcessPool:
        # A page that kills its reader must not take the others along, nor this process: one child a page from here on.
        rest = [item for batch in (*running.values(), batch, *waiting) for item in batch]
        yield from _one_by_one(root, rest, stop)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _pool(workers: int) -> ProcessPoolExecutor:
    isolate_spawned()
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_enter_worker)


def _one_by_one(root: Path, rest: Sequence[SourcePage], stop: threading.Event) -> Iterator[list[PreparedPage]]:
    pool: ProcessPoolExecutor | None = None
    for item in rest:
        if stop.is_set():
            break
        pool = pool or _pool(1)
        try:
            yield pool.submit(prepare, root, [item]).result()
        except BrokenProcessPool:
            pool = None
            yield [PreparedPage(item.path, item.stamp, None, (), f"{item.path}: its reader crashed")]
    if pool is not None:
        pool.shutdown(wait=False, cancel_futures=True)


def _batches(found: Sequence[SourcePage]) -> Iterator[list[SourcePage]]:
    batch: list[SourcePage] = []
    size = 0
    for item in found:
        batch.append(item)
        size += item.size
        if len(batch) >= _BATCH_PAGES or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _enter_worker() -> None:
    """Fd 1 belongs to the server's protocol; and a worker whose server was killed must not live on."""
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    os.chdir(SAFE_DIRECTORY)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    try:
        os.nice(5)
    except OSError:
        pass


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(0)
