"""Pipes in the places of ignore files. ripgrep opens them as it walks, and waits for somebody to write: so somebody opens the
other end, writes nothing and goes, which makes them empty files.

Links are left alone: they may lead to a pipe of another program's.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

IGNORE_FILES = (".gitignore", ".ignore", ".rgignore")
_PATIENCE = 0.5  # seconds that a walk has before anybody looks for pipes: few take longer
_NEXT = 0.01  # seconds between two looks, where the last one has let somebody go


@contextmanager
def pipes_opened(root: Path) -> Iterator[None]:
    """Meanwhile, whoever waits for a pipe beneath `root`, or beside one of its parents, is let go."""
    over = threading.Event()

    def work() -> None:
        found = False
        while not over.wait(_NEXT if found else _PATIENCE):
            found = _open_pipes(root, over)

    watcher = threading.Thread(target=work, name="portico-pipes", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()


def _open_pipes(root: Path, over: threading.Event) -> bool:
    """Was anybody let go?"""
    found = [_open_in(str(folder)) for folder in root.parents]
    for folder, _, files in os.walk(root):
        if over.is_set():
            break
        if any(name in files for name in IGNORE_FILES):
            found.append(_open_in(folder))
    return any(found)


def _open_in(folder: str) -> bool:
    found = False
    for name in IGNORE_FILES:
        path = os.path.join(folder, name)
        with suppress(OSError):  # it isn't there, or nobody waits
            if stat.S_ISFIFO(os.lstat(path).st_mode):
                os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC))
                found = True
    return found
