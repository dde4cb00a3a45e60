"""Worker processes seen from the server: started when needed, reused, killed when a statement outlives its limit.

It owns processes and pipes and knows neither SQL nor MCP. Calls block (they are made on worker threads); `Worker.kill` may come
from any thread and makes a blocked call end with WorkerLost.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, TypeAlias

from portico_servers.common.child_process import SAFE_DIRECTORY, python_command, python_path
from portico_servers.db.errors import ERRORS_BY_NAME, DatabaseSourceError, DbError, LimitError
from portico_servers.db.limits import GRACE_SECONDS, StatementLimits
from portico_servers.db.sources import DatabaseSource
from portico_servers.db.statements.frames import HEADER, encode_frame

_START_SECONDS = 15.0
_SCHEMA_SECONDS = 30.0
_PLACES = ("PGPASSFILE", "PGSSLROOTCERT")  # files, which may be relative to this process's directory
_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "SYSTEMROOT", "PGSSLMODE", *_PLACES)


OnStart: TypeAlias = "Callable[[Worker], None]"
OnEnd: TypeAlias = Callable[[], None]


class WorkerLost(DbError):
    """The process ended before it answered."""


class Worker:
    """One child process, one statement at a time."""

    def __init__(self, source: DatabaseSource) -> None:
        environment = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
        environment |= {name: os.path.abspath(environment[name]) for name in _PLACES if name in environment}
        environment["PYTHONPATH"] = python_path()
        self._process = subprocess.Popen(
            python_command("portico_servers.db.statements.worker_process"),
            cwd=SAFE_DIRECTORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in = self._process.stdin
        self._out = self._process.stdout.fileno()
        os.set_blocking(self._out, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._out, selectors.EVENT_READ)
        self.idle_since = time.monotonic()
        self._source = source
        self._ready = False

    def call(self, request: dict[str, Any], seconds: float) -> Any:
        """The answer within `seconds`; LimitError (and the process is gone) past them. DbError as the worker raised it."""
        if not self._ready:
            self._exchange(asdict(self._source), _START_SECONDS)
            self._ready = True
        return self._exchange(request, seconds)

    def _exchange(self, request: dict[str, Any], seconds: float) -> Any:
        deadline = time.monotonic() + seconds
        try:
            self._in.write(encode_frame(request))
            self._in.flush()
            (size,) = HEADER.unpack(self._read(HEADER.size, deadline))
            reply = json.loads(self._read(size, deadline))
        except TimeoutError:
            self.kill()
            raise LimitError("stopped: the statement ran past its limit and its process was ended") from None
        except (BrokenPipeError, EOFError, ValueError):
            self.kill()
            raise WorkerLost("the statement's process ended without an answer (out of memory, or stopped)") from None
        if "error" in reply:
            raise ERRORS_BY_NAME.get(reply["error"], DbError)(reply["message"])
        return reply["ok"]

    def _read(self, size: int, deadline: float) -> bytes:
        parts: list[bytes] = []
        while size:
            left = deadline - time.monotonic()
            if left <= 0 or not self._selector.select(left):
                raise TimeoutError
            data = os.read(self._out, min(size, 1 << 20))
            if not data:
                raise EOFError
            parts.append(data)
            size -= len(data)
        return b"".join(parts)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """End the process at once."""
        if self._process.poll() is None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End the process and give back its pipes."""
        self.kill()
        self._selector.close()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass


def _ignore(*_: Worker) -> None:
    pass


class WorkerPool:
    """The workers of one source: at most `size` at once, a spare one kept warm."""

    def __init__(self, source: DatabaseSource, *, size: int = 4) -> None:
        self.source = source
        self._free: list[Worker] = []
        self._all: set[Worker] = set()
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(size)
        self._closed = False

    def run(
        self, sql: str, parameters: Any, limits: StatementLimits, *, on_start: OnStart = _ignore, on_end: OnEnd = _ignore
    ) -> dict[str, Any]:
        """One statement's columns, rows, truncated and seconds.

        `on_start` hears which worker has it: that one may be killed until `on_end` returns, and never after, for then it may
        have another call's statement. `on_end` is called in any case.
        """
        request = {"op": "run", "sql": sql, "parameters": parameters, "limits": asdict(limits)}
        return self._request(request, limits.seconds + GRACE_SECONDS, on_start, on_end)  # type: ignore[no-any-return]

    def explain(
        self, sql: str, parameters: Any, limits: StatementLimits, *, on_start: OnStart = _ignore, on_end: OnEnd = _ignore
    ) -> list[str]:
        """The plan's lines. `on_start`, `on_end`: see `run`."""
        request = {"op": "explain", "sql": sql, "parameters": parameters, "limits": asdict(limits)}
        return self._request(request, limits.seconds + GRACE_SECONDS, on_start, on_end)  # type: ignore[no-any-return]

    def schema(self) -> dict[str, Any]:
        """As `schema.from_json` takes it, with `warning`."""
        return self._request({"op": "schema"}, _SCHEMA_SECONDS)  # type: ignore[no-any-return]

    def version(self) -> str:
        return str(self._request({"op": "version"}, _START_SECONDS))

    def close(self) -> None:
        """End every worker. Calls under way fail."""
        with self._lock:
            self._closed = True
            idle, self._free = self._free, []
            busy = self._all.difference(idle)
            self._all.difference_update(idle)
        for worker in busy:
            worker.kill()  # whoever waits for it closes it
        for worker in idle:
            worker.close()

    def release_idle(self, seconds: float) -> None:
        """End workers that had nothing to do for so long: a DuckDB file stays locked against writers while one has it open."""
        with self._lock:
            old = [w for w in self._free if time.monotonic() - w.idle_since > seconds]
            self._free = [w for w in self._free if w not in old]
            self._all.difference_update(old)
        for worker in old:
            worker.close()

    def _request(self, request: dict[str, Any], seconds: float, on_start: OnStart = _ignore, on_end: OnEnd = _ignore) -> Any:
        with self._worker() as worker:
            try:
                on_start(worker)
                return worker.call(request, seconds)
            finally:
                on_end()

    @contextmanager
    def _worker(self) -> Iterator[Worker]:
        if not self._slots.acquire(timeout=_START_SECONDS):
            raise LimitError("too many statements are running; try again")
        worker: Worker | None = None
        try:
            worker = self._acquire()
            yield worker
        finally:
            if worker is not None:
                self._release(worker)
            self._slots.release()

    def _acquire(self) -> Worker:
        with self._lock:
            if self._closed:
                raise DatabaseSourceError("the server is ending")
            while self._free:
                worker = self._free.pop()
                if worker.alive:
                    return worker
                self._all.discard(worker)
                worker.close()
            worker = Worker(self.source)
            self._all.add(worker)
            return worker

    def _release(self, worker: Worker) -> None:
        with self._lock:
            if worker.alive and not self._closed:
                worker.idle_since = time.monotonic()
                self._free.append(worker)
                return
            self._all.discard(worker)
        worker.close()
