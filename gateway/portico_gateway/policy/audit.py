"""The audit log: every use of a tool, resource or prompt, and every decision about one, as a row in SQLite.

It is written by a thread of its own, a batch at a time, and what waits for that is bounded.

It owns what a row says and the queue before the file (`audit_database.py`). A disk that is full or read-only is a warning; no
call ever waits for the log or fails because of it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import mcp_types
import platformdirs

from portico_gateway.config.sections import AuditConfig
from portico_gateway.policy.audit_database import AuditDatabase, caller_of_call
from portico_gateway.safe_output.redaction import redacted, redacted_value

log = logging.getLogger(__name__)

AuditKind: TypeAlias = Literal["tool", "own tool", "resource", "prompt", "decision", "feedback"]
_MAX_WAITING = 10_000  # records that may wait for the writer; more are lost, with a warning
_MAX_OF_CALLER = 2_000  # of them, one caller's once half of the room is taken: a flood costs its own records, not others'
_MAX_BYTES_OF_CALLER = 32 << 20  # of the results that these hold
_BATCH = 500
_GATHER = 0.1  # seconds that a record waits for others: a transaction costs some ten times what its row does
_IDLE = 1.0  # seconds without a record after which the file is closed
_PAUSE = 60.0  # seconds without a try after the disk refused, and between warnings
_CLOSE_TIMEOUT = 3.0  # seconds that closing waits for the writer
_MAX_ERROR = 500
_MAX_MESSAGE = 10_000  # characters of an error that are looked at for secrets, before it is cut


class Failure(NamedTuple):
    """An exception in words. Itself it would hold all that the frames of its traceback know for as long as a record waits."""

    kind: str  # its type, or "cancelled"
    message: str

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        if isinstance(error, asyncio.CancelledError):
            return cls("cancelled", "")
        return cls(type(error).__name__, str(error)[:_MAX_MESSAGE])


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One use of a tool, resource or prompt, or one decision about a consent. `started` is seconds since the epoch; `result`,
    `failure` or `outcome` says how it ended."""

    started: float
    caller: str
    client: str
    server: str
    tool: str
    arguments: Mapping[str, Any]
    decision: str
    approval: str | None
    seconds: float
    result: mcp_types.Result | None
    failure: Failure | None
    kind: AuditKind = "tool"
    decided_by: str = ""
    outcome: str = ""
    call: str = ""
    marks: tuple[str, ...] = ()
    note: str = ""  # of feedback
    question: str = ""
    asked: Mapping[str, Any] | None = None  # the arguments before a person edited them

    def row(self, *, with_arguments: bool, with_question: bool = False) -> dict[str, Any]:
        """The row of this call."""
        arguments = _json(self.arguments)
        outcome, error = self._ending()
        said, digest = (None, None) if self.result is None else _said(self.result)
        return {
            "time": datetime.fromtimestamp(self.started, UTC).isoformat(timespec="milliseconds"),
            "caller": self.caller,
            "client": self.client,
            "server": self.server,
            "tool": redacted(self.tool),  # a resource's is its URI
            "arguments_sha256": hashlib.sha256(arguments.encode()).hexdigest(),
            "arguments": _json(redacted_value(self.arguments)) if with_arguments else None,
            "decision": self.decision,
            "approval": self.approval,
            "outcome": outcome,
            "error": error,
            "seconds": round(self.seconds, 6),
            "bytes": 0 if said is None else len(said.encode()),
            "kind": self.kind,
            "decided_by": self.decided_by or None,
            "call": self.call or None,
            "result_sha256": digest,
            "marks": "\n".join(self.marks) or None,
            "asked": _json(redacted_value(self.asked)) if with_question and self.asked is not None else None,
            "question": (redacted(_encodable(self.question)) or None) if with_question else None,
        }

    @property
    def weight(self) -> int:
        """About the bytes that its result holds."""
        blocks = self.result.content if isinstance(self.result, mcp_types.CallToolResult) else ()
        texts = sum(len(block.text) for block in blocks if isinstance(block, mcp_types.TextContent))
        media = (block.data for block in blocks if isinstance(block, mcp_types.ImageContent | mcp_types.AudioContent))
        return texts + sum(map(len, media))

    def _ending(self) -> tuple[str, str | None]:
        if self.outcome:
            return self.outcome, _encodable(redacted(self.note))[:_MAX_ERROR] or None
        if self.failure is not None:
            return self.failure.kind, _encodable(redacted(self.failure.message))[:_MAX_ERROR] or None
        failed = isinstance(self.result, mcp_types.CallToolResult) and self.result.is_error
        return "tool_error" if failed else "ok", None


def result_digest(result: mcp_types.Result) -> str:
    """sha256 over what a result says, without `_meta`: the same answer has the same digest."""
    return _said(result)[1]


def _said(result: mcp_types.Result) -> tuple[str, str]:
    """A result as JSON, and its digest."""
    whole = result.model_dump(by_alias=True, mode="json", exclude_none=True)
    text = _json(whole)
    bare = _json({key: value for key, value in whole.items() if key != "_meta"}) if "_meta" in whole else text
    return text, hashlib.sha256(bare.encode()).hexdigest()


def _json(value: Any) -> str:
    return _encodable(json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str))


def _encodable(text: str) -> str:
    """JSON may carry half a surrogate pair, which no file takes."""
    return text.encode("utf-8", "backslashreplace").decode()


def audit_file(config: AuditConfig) -> Path:
    """Where the log is."""
    return config.file or platformdirs.user_data_path("portico", appauthor=False) / "audit.db"


@dataclass(slots=True)
class _Waiting:
    """What of one caller waits for the writer."""

    records: int = 0
    bytes: int = 0

    def add(self, weight: int) -> None:
        self.records += 1
        self.bytes += weight

    def remove(self, weight: int) -> None:
        self.records -= 1
        self.bytes -= weight


class AuditLog:
    """Writes records behind the caller's back. `close` waits a moment for what is still to be written."""

    def __init__(self, config: AuditConfig | None = None, *, for_training: bool = False) -> None:
        """`for_training`: calls are kept with their arguments and what was asked."""
        self._config = config or AuditConfig()
        self._for_training = for_training
        self._file = AuditDatabase(audit_file(self._config), self._config.max_rows, self._config.max_days)
        self._queue: queue.Queue[AuditRecord | None] = queue.Queue(_MAX_WAITING)
        self._waiting: dict[str, _Waiting] = {}  # by caller
        self._unwritten: dict[str, str] = {}  # callers by the ids of calls that are not in the file yet
        self._look_ups = asyncio.Lock()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._warned = -_PAUSE
        self._refused_at = -_PAUSE
        self._thread = threading.Thread(target=self._write_all, name="audit log", daemon=True)
        self._thread.start()

    def put(self, record: AuditRecord) -> None:
        """Log a call. Returns at once."""
        weight = record.weight
        with self._lock:
            waiting = self._waiting.setdefault(record.caller, _Waiting())
            heavy = waiting.records > 0 and waiting.bytes + weight > _MAX_BYTES_OF_CALLER
            full = heavy or (waiting.records >= _MAX_OF_CALLER and self._queue.qsize() >= _MAX_WAITING // 2)
            try:
                if not full:
                    self._queue.put_nowait(record)
                    waiting.add(weight)
                    if record.call and record.kind != "feedback":
                        self._unwritten[record.call] = record.caller
            except queue.Full:
                full = True
        if full:
            self._warn("the audit log can't keep up; calls are missing in it")

    async def caller_of(self, call: str) -> str | None:
        """Who made the call of this id; None where none is known, or the file has let go of it. Raises sqlite3.Error."""
        async with self._look_ups:  # each reads the whole file where there is no such call
            if (caller := self._unwritten.get(call)) is not None:
                return caller
            return await asyncio.to_thread(caller_of_call, self._file.path, call)

    def close(self) -> None:
        """Write what waits, at most a few seconds, and end."""
        self._closing.set()
        try:
            self._queue.put(None, timeout=_CLOSE_TIMEOUT)
        except queue.Full:
            return
        self._thread.join(_CLOSE_TIMEOUT)

    def _write_all(self) -> None:
        with closing(self._file):
            last = False
            while not last:
                batch = self._next_batch()
                last = None in batch
                records = [record for record in batch if record is not None]
                self._forget_waiting(records)
                if records and time.monotonic() - self._refused_at >= _PAUSE:
                    self._try_to_write(records)
                for record in records:
                    self._unwritten.pop(record.call, None)

    def _try_to_write(self, records: list[AuditRecord]) -> None:
        try:
            self._write(records)
        except (sqlite3.Error, OSError) as error:
            self._refused_at = time.monotonic()
            self._warn(f"the audit log {self._file.path} can't be written, calls are missing in it: {error}")
        except BaseException:  # noqa: BLE001 - the outermost loop of this thread: later calls are logged
            self._write_each(records)

    def _write_each(self, records: list[AuditRecord]) -> None:
        """One of them can't be written: the others are."""
        for record in records:
            try:
                self._write([record])
            except BaseException as error:  # noqa: BLE001 - the record's own, whatever is in it
                self._warn(f"a call can't be logged: {type(error).__name__}")

    def _next_batch(self) -> list[AuditRecord | None]:
        """The next records, waited for: those that come within a moment of the first are written with it."""
        try:
            batch = [self._queue.get(timeout=_IDLE)]
        except queue.Empty:
            self._file.close()
            batch = [self._queue.get()]
        if self._queue.qsize() < _BATCH:
            self._closing.wait(_GATHER)  # not on the queue: then each record would wake this thread, and hold up its caller
        while len(batch) < _BATCH and not self._queue.empty():
            batch.append(self._queue.get_nowait())
        return batch

    def _forget_waiting(self, records: list[AuditRecord]) -> None:
        with self._lock:
            for record in records:
                waiting = self._waiting[record.caller]
                waiting.remove(record.weight)
                if not waiting.records:
                    del self._waiting[record.caller]

    def _write(self, records: list[AuditRecord]) -> None:
        kept = self._for_training
        self._file.add([record.row(with_arguments=kept or self._config.arguments, with_question=kept) for record in records])

    def _warn(self, text: str) -> None:
        if time.monotonic() - self._warned >= _PAUSE:
            self._warned = time.monotonic()
            log.warning("%s", text)


@contextmanager
def audit_log(config: AuditConfig, *, for_training: bool = False) -> Iterator[AuditLog | None]:
    """The configured log, closed at the end of the block; None where it is switched off. `for_training`: see `AuditLog`."""
    if not config.enabled:
        yield None
        return
    log_ = AuditLog(config, for_training=for_training)
    try:
        yield log_
    finally:
        log_.close()
