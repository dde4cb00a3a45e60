"""Starts a server of ours on loopback for a benchmark, and ends it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_END_SECONDS = 60


@contextmanager
def serving(command: Sequence[str], folder: Path) -> Iterator[int]:
    """The port that the command prints, once it does; its caches and state are in `folder`. Exits with what it said instead."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "XDG_STATE_HOME": str(folder / "state")}
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            said = ""
            for line in process.stdout:
                said += line
                if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
                    yield int(found[1])
                    break
            else:
                raise SystemExit(said)
        finally:
            process.terminate()
            process.communicate(timeout=_END_SECONDS)
