"""When this process began, so that a command can say what a person waited: loading Python and its modules is a part of it."""

from __future__ import annotations

import os
import time
from pathlib import Path

_IMPORTED = time.time()  # where the system doesn't tell: this module is among the first
_START_FIELD = 22  # of /proc/PID/stat, from 1, in clock ticks since the system's start


def process_start() -> float:
    """Seconds since the epoch."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[_START_FIELD - 3])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return _IMPORTED
    return time.time() - age if age >= 0 else _IMPORTED
