"""What of the KV goes below memory, and its way there and back.

    saving:  request_saves -> (idle, or eviction) Save -> put, on the engine's thread -> a queue -> the store, on the writer's
    loading: fetch, which reads and checks -> Load -> get

It owns which blocks are to be saved, the content that is on its way, and the thread that writes. It knows blocks by what they
hold; pools and sequences are others'. A store that fails is said once, in the log, and then used no more.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from time import monotonic, perf_counter
from typing import NamedTuple, Protocol

from portico_engine.plan import KVOp, Load, Save

_QUEUED = 64  # blocks on their way to the store: the memory that a slow one may take
_TOUCH_SECONDS = 30.0
_MOMENT = 0.02  # seconds that a step may wait for the disk
_PATIENCE = 5.0
_log = logging.getLogger(__name__)


class FullBlock(NamedTuple):
    """A full block by what it holds: these tokens behind the prefix `parent`."""

    key: bytes
    parent: bytes
    tokens: tuple[int, ...]


class TierStore(Protocol):
    """Content by block. Every method may raise OSError."""

    def get(self, block: FullBlock) -> memoryview | None:
        """The block's content, checked; None where there is none that can be trusted."""
        ...

    def put(self, block: FullBlock, content: bytes) -> None:
        """Keep the block's content, if it isn't there."""
        ...

    def touch(self, keys: Sequence[bytes]) -> None:
        """A prefix, these blocks in its order, was used."""
        ...

    def discard(self, keys: Sequence[bytes]) -> None:
        """Forget what is there of these blocks."""
        ...


class Tier:
    """A store below memory. For executors it is their `BlockStore`."""

    def __init__(self, store: TierStore) -> None:
        self._store = store
        self._requested: dict[bytes, FullBlock] = {}
        self._saving: dict[bytes, FullBlock] = {}  # their Save is planned
        self._saved: set[bytes] = set()
        self._barred: set[bytes] = set()  # what came out wrong once
        self._touched: dict[bytes, float] = {}  # a prefix's last block, and when
        self._loading: dict[bytes, memoryview] = {}
        self._loads_planned: Counter[bytes] = Counter()
        self._writer = _Writer(self._fail)
        self._works = True
        self._waited = 0  # moments without a move of the disk
        self.saves = 0
        self.lost_saves = 0  # the disk was too slow, or failed
        self.loads = 0
        self.load_seconds = 0.0

    # -- what is worth keeping

    def request_saves(self, blocks: Iterable[FullBlock]) -> None:
        """These are to be saved when there is time, in this order."""
        for block in blocks:
            if block.key in self._barred:
                continue
            if self._works and not (block.key in self._saved or block.key in self._saving or block.key in self._requested):
                self._requested[block.key] = block

    def is_save_requested(self, key: bytes) -> bool:
        """Is the block to be saved, and isn't yet?"""
        return self._works and key in self._requested

    def has(self, key: bytes) -> bool:
        """Is the block below, as far as this process knows?"""
        return key in self._saved or key in self._saving

    @property
    def has_save_requests(self) -> bool:
        return self._works and bool(self._requested)

    def pop_save_request(self) -> FullBlock:
        """The block to save next. It is wanted no more: save it, or it is lost."""
        return self._requested.pop(next(iter(self._requested)))

    def touch(self, keys: Sequence[bytes]) -> None:
        """A prefix was asked for, in whatever tier it was found: it outlives what was used before it. Said to the store once in
        a while only.
        """
        known = [key for key in keys if key in self._saved]
        now = monotonic()
        if known and self._works and now - self._touched.get(known[-1], -_TOUCH_SECONDS) >= _TOUCH_SECONDS:
            self._touched[known[-1]] = now
            self._writer.add(lambda: self._store.touch(known))

    # -- down

    def begin_save(self, block: FullBlock) -> None:
        """A Save of this block is planned now."""
        self._requested.pop(block.key, None)
        self._saving[block.key] = block

    def put(self, key: bytes, content: bytes) -> None:
        """See `BlockStore`. Where the queue is full the content is let go: KV can always be computed anew."""
        block = self._saving.pop(key)
        if key in self._barred:
            return

        def write() -> None:
            try:
                self._store.put(block, content)
            except BaseException:
                self.lost_saves += 1
                raise
            self._saved.add(key)
            self.saves += 1

        if not (self._works and self._writer.add(write)):
            self.lost_saves += 1

    def save_failed(self, key: bytes) -> None:
        """A planned Save could not be done, and won't be."""
        if self._saving.pop(key, None) is not None:
            self.lost_saves += 1

    def wait_for_room(self, n_blocks: int) -> bool:
        """Can so many saves be queued? Waits a moment for the disk. One that doesn't move for seconds counts as failed."""
        if self._writer.wait_for_room(n_blocks, _MOMENT):
            self._waited = 0
            return True
        self._waited += 1
        if self._waited * _MOMENT > _PATIENCE:
            self._fail(TimeoutError(f"it took nothing for {_PATIENCE:g} s"))
        return False

    def discard(self, keys: Sequence[bytes]) -> None:
        """These blocks' content was wrong: as long as this process lives they are neither saved nor loaded."""
        self._barred.update(keys)
        for key in keys:
            self._requested.pop(key, None)
            self._saving.pop(key, None)
            self._saved.discard(key)

        def drop() -> None:
            self._saved.difference_update(keys)
            self._store.discard(keys)

        if self._works and not self._writer.add(drop):  # behind what is being written
            _log.warning("the disk is too slow to forget %d damaged blocks", len(keys))

    # -- up

    def fetch(self, block: FullBlock) -> bool:
        """Is the block below? Then its content is held until a Load has got it."""
        if block.key in self._barred:
            return False
        if block.key not in self._loading:
            content = self._read(block)
            if content is None:
                self._saved.discard(block.key)
                return False
            self._loading[block.key] = content
            self._saved.add(block.key)
        self._loads_planned[block.key] += 1
        return True

    def get(self, key: bytes) -> memoryview:
        """See `BlockStore`."""
        content = self._loading[key]
        self.loads += 1
        self.release_fetched(key)
        return content

    def release_fetched(self, key: bytes) -> None:
        """One planned Load of the block less."""
        self._loads_planned[key] -= 1
        if not self._loads_planned[key]:
            del self._loads_planned[key], self._loading[key]

    def load_failed(self, key: bytes, still_planned: int) -> None:
        """A planned Load could not be done, and won't be, whether it has got its content or not; others of the block are."""
        while self._loads_planned[key] > still_planned:
            self.release_fetched(key)
        if not self._loads_planned[key]:
            del self._loads_planned[key]

    # -- ends

    def abandon(self) -> None:
        """No planned Save or Load will ever run."""
        self._saving.clear()
        self._loading.clear()
        self._loads_planned.clear()

    def flush(self, seconds: float) -> bool:
        """Wait until what was put is in the store; False where that takes longer."""
        return self._writer.flush(seconds)

    def close(self, seconds: float) -> None:
        """Flush and end the thread."""
        if not self._writer.close(seconds):
            _log.warning("prefixes were not all written: the disk took more than %g s", seconds)
        self._works = False

    def check_integrity(self, planned: Iterable[KVOp]) -> None:
        """Assert that content is held for exactly the planned operations."""
        ops = tuple(planned)
        assert self._loads_planned == Counter(op.key for op in ops if isinstance(op, Load))
        assert self._loading.keys() == self._loads_planned.keys()
        assert sorted(self._saving) == sorted(op.key for op in ops if isinstance(op, Save))
        assert not self._requested.keys() & self._saving.keys()

    def _read(self, block: FullBlock) -> memoryview | None:
        if not self._works:
            return None
        started = perf_counter()
        try:
            return self._store.get(block)
        except OSError as error:
            self._fail(error)
            return None
        except MemoryError:  # computing it anew takes none
            return None
        finally:
            self.load_seconds += perf_counter() - started

    def _fail(self, error: OSError) -> None:
        if self._works:
            _log.warning("prefixes are not kept on disk any more: %s", error)
        self._works = False


class _Writer:
    """A thread that runs jobs in order, at most _QUEUED of them ahead. It is started by the first one."""

    def __init__(self, on_error: Callable[[OSError], None]) -> None:
        self._on_error = on_error
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._room = threading.Semaphore(_QUEUED)
        self._thread: threading.Thread | None = None

    def add(self, job: Callable[[], None]) -> bool:
        """False where too many wait."""
        if not self._room.acquire(blocking=False):
            return False
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="portico-kv-writer", daemon=True)
            self._thread.start()
        self._jobs.put(job)
        return True

    def wait_for_room(self, n: int, seconds: float) -> bool:
        deadline = monotonic() + seconds
        got = 0
        while got < n and self._room.acquire(timeout=max(0.0, deadline - monotonic())):
            got += 1
        if got:
            self._room.release(got)
        return got == n

    def flush(self, seconds: float) -> bool:
        done = threading.Event()
        return self._thread is None or (self.wait_for_room(1, seconds) and self.add(done.set) and done.wait(seconds))

    def close(self, seconds: float) -> bool:
        thread, self._thread = self._thread, None
        if thread is None:
            return True
        self._jobs.put(None)
        thread.join(seconds)
        return not thread.is_alive()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except OSError as error:
                self._on_error(error)
            except BaseException:  # noqa: BLE001 - the outermost loop of the thread: nothing would be written any more
                _log.exception("a block could not be written")
            finally:
                self._room.release()
