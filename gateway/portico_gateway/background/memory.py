"""How much memory a process and all that it started take, where the system tells that by files."""

from __future__ import annotations

import re
from pathlib import Path

_PROC = Path("/proc")


def memory_of_tree(pid: int) -> int | None:
    """Bytes, pages that several share counted in parts; None where this system does not say."""
    own = _memory(pid)
    if own is None:
        return None
    return own + sum(memory_of_tree(child) or 0 for child in _children(pid))


def _memory(pid: int) -> int | None:
    try:
        text = (_PROC / str(pid) / "smaps_rollup").read_text()
    except OSError:
        return None
    found = re.search(r"^Pss: +(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _children(pid: int) -> list[int]:
    """Of any of its threads."""
    found: list[int] = []
    for file in (_PROC / str(pid) / "task").glob("*/children"):
        try:
            found += map(int, file.read_text().split())
        except OSError:
            continue
    return found
