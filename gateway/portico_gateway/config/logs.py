"""Where logs go: a rotating file in the user's state folder, and stderr. Never stdout: that belongs to protocol or answer."""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import platformdirs

from portico_gateway.config.sections import LogConfig
from portico_gateway.safe_output.inert import inert, inert_line
from portico_gateway.safe_output.private_files import narrow, private_folder, private_opener
from portico_gateway.safe_output.redaction import redacted
from portico_gateway.tracing import current_request_id, trace_id

_MAX_BYTES = 2 << 20
_KEPT = 3
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class _Plain(logging.Formatter):
    """Without secrets and without escape sequences, also in stack traces: files are read in terminals too."""

    def format(self, record: logging.LogRecord) -> str:
        return inert(redacted(super().format(record)))


class _Json(logging.Formatter):
    """An object a line, with the request that it belongs to; without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": inert(redacted(record.getMessage())),
        }
        if identity := current_request_id.get():
            said["request_id"] = identity
        if trace := trace_id():
            said["trace_id"] = trace
        fields = getattr(record, "fields", None)
        said |= fields if isinstance(fields, dict) else {}
        if record.exc_info:
            said["exception"] = inert(redacted(self.formatException(record.exc_info)))
        return json.dumps(said, ensure_ascii=False, default=str)


class _OneLine(_Plain):
    """For the terminal: no stack traces, which are in the file."""

    def formatException(self, ei: object) -> str:
        return ""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record).strip()
        first = text.splitlines()[0] if (record.exc_info or record.exc_text) and text else text
        return inert_line(first)


class _PrivateFile(logging.handlers.RotatingFileHandler):
    """A log that its owner alone can read. A disk that is full or read-only is one line on stderr; the log goes on later."""

    _complained = False
    _size = 0  # characters in the file, about

    def _open(self) -> TextIOWrapper:
        file: Any = open(self.baseFilename, self.mode, encoding=self.encoding, opener=private_opener)  # noqa: SIM115
        self._size = os.fstat(file.fileno()).st_size
        return file  # type: ignore[no-any-return]

    def emit(self, record: logging.LogRecord) -> None:
        """As inherited, but a line is made once, not twice, and the disk is not asked for its size."""
        try:
            line = self.format(record) + self.terminator
            if self.stream is None:
                self.stream = self._open()
            if self._size + len(line) >= self.maxBytes > 0:
                self.doRollover()
            self.stream.write(line)
            self.flush()
            self._size += len(line)
        except Exception:  # noqa: BLE001 - whatever it is, a line of the log costs nobody else anything
            self.handleError(record)

    def close(self) -> None:
        with suppress(OSError):
            super().close()

    def handleError(self, record: logging.LogRecord) -> None:
        if not self._complained:
            self._complained = True
            with suppress(OSError, ValueError):
                print(f"portico: the log {inert(self.baseFilename)} can't be written: {sys.exc_info()[1]}", file=sys.stderr)


def log_folder(config: LogConfig | None = None) -> Path:
    """The configured folder, PORTICO_LOG_DIR, or the state folder of the user."""
    if config is not None and config.dir is not None:
        return config.dir
    if chosen := os.environ.get("PORTICO_LOG_DIR"):
        return Path(chosen)
    return platformdirs.user_log_path("portico", appauthor=False)


def narrow_own_folders() -> None:
    """What is in this user's portico folders for cache, data, state and logs is for its owner alone, also if it was made with
    other permissions. What was put elsewhere by the configuration keeps its own.
    """
    of_user = (
        platformdirs.user_cache_path,
        platformdirs.user_data_path,
        platformdirs.user_state_path,
        platformdirs.user_log_path,
    )
    for folder in {of("portico", appauthor=False) for of in of_user}:
        narrow(folder)


def set_up_logging(command: str, config: LogConfig, *, stderr_level: int = logging.WARNING) -> Path | None:
    """Log `command` to its own rotating file at the configured level, and to stderr from `stderr_level` on.

    Returns the file, or None where the folder can't be written: then stderr alone is used, and says so.
    """
    # What no format here shows is not looked for: each line would take a walk up the stack, a thread's and a process's name.
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.raiseExceptions = False  # what can't be logged is lost: no stack trace on stderr for it
    root = logging.getLogger()
    root.setLevel(config.level.upper())
    close_log_file()
    for old in list(root.handlers):
        root.removeHandler(old)
    to_stderr = logging.StreamHandler(sys.stderr)
    to_stderr.setLevel(stderr_level)
    to_stderr.setFormatter(_OneLine(f"portico {command}: %(message)s"))
    root.addHandler(to_stderr)
    narrow_own_folders()
    path = log_folder(config) / f"portico-{command}.log"
    try:
        private_folder(path.parent)
        to_file = _PrivateFile(path, maxBytes=_MAX_BYTES, backupCount=_KEPT, encoding="utf-8")
    except (OSError, ValueError) as error:  # the latter for a name that no file can have
        root.warning("no log file: %s", error)
        return None
    to_file.setFormatter(_Json() if config.format == "json" else _Plain(_FORMAT))
    root.addHandler(to_file)
    return path


def close_log_file() -> None:
    """What `set_up_logging` opened; nothing is logged to a file any more."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, _PrivateFile):
            root.removeHandler(handler)
            handler.close()
