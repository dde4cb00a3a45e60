"""Files and folders for their owner alone: logs, and whatever else tells what somebody did."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def private_folder(path: Path) -> Path:
    """The folder, made where it isn't, for its owner alone; one that is there keeps its permissions. Raises OSError."""
    if not path.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
    return path


def private_opener(path: str, flags: int) -> int:
    """For `open(opener=...)`: the file is its owner's alone, also if it was there with other permissions."""
    descriptor = os.open(path, flags, 0o600)
    with suppress(OSError):  # somebody else's file, that may be written
        os.fchmod(descriptor, 0o600)
    return descriptor
