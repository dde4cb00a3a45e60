"""Where logs go: a rotating file in the user's state folder, and stderr. Never stdout: that belongs to protocol or answer."""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys
from pathlib import Path
from typing import Any

import platformdirs

from portico_gateway.config.sections import LogConfig
from portico_gateway.private_files import private_folder, private_opener
from portico_gateway.redaction import redacted

_MAX_BYTES = 2 << 20
_KEPT = 3
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class _Redacted(logging.Formatter):
    """Without secrets, also those in stack traces."""

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))


class _PrivateFile(logging.handlers.RotatingFileHandler):
    """Its owner's alone."""

    def _open(self) -> Any:
        return open(self.baseFilename, self.mode, encoding=self.encoding, errors=self.errors, opener=private_opener)


class _OneLine(_Redacted):
    """For the terminal: no stack traces, which are in the file."""

    def formatException(self, ei: object) -> str:
        return ""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record).strip()
        return text.splitlines()[0] if (record.exc_info or record.exc_text) and text else text


def log_folder(config: LogConfig | None = None) -> Path:
    """The configured folder, PORTICO_LOG_DIR, or the state folder of the user."""
    if config is not None and config.dir is not None:
        return config.dir
    if chosen := os.environ.get("PORTICO_LOG_DIR"):
        return Path(chosen)
    return platformdirs.user_log_path("portico", appauthor=False)


def set_up_logging(command: str, config: LogConfig, *, stderr_level: int = logging.WARNING) -> Path | None:
    """Log `command` to its own rotating file at the configured level, and to stderr from `stderr_level` on.

    Returns the file, or None where the folder can't be written: then stderr alone is used, and says so.
    """
    root = logging.getLogger()
    root.setLevel(config.level.upper())
    for old in list(root.handlers):
        root.removeHandler(old)
    to_stderr = logging.StreamHandler(sys.stderr)
    to_stderr.setLevel(stderr_level)
    to_stderr.setFormatter(_OneLine(f"portico {command}: %(message)s"))
    root.addHandler(to_stderr)
    path = log_folder(config) / f"portico-{command}.log"
    try:
        private_folder(path.parent)
        to_file = _PrivateFile(path, maxBytes=_MAX_BYTES, backupCount=_KEPT, encoding="utf-8")
    except OSError as error:
        root.warning("no log file: %s", error)
        return None
    to_file.setFormatter(_Redacted(_FORMAT))
    root.addHandler(to_file)
    return path
