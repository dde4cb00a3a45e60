"""Files of a model, opened. It owns that nothing but a regular file is: a pipe would keep its reader waiting for ever."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from portico_engine.errors import ModelError


def open_regular(path: Path) -> BinaryIO:
    """For reading. Raises OSError, and ModelError for a pipe, a socket or a device."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        raise ModelError(f"{path} is no regular file")
    return os.fdopen(descriptor, "rb")
