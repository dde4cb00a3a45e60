"""What every benchmark does with its figures: a table for people, dated JSON with the machine's description for README."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import math
import os
import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
_FOLDERS = re.compile(r"(?<![\w.~/])/(?:[^\s/]+/)+")
FLAGS = ("amx_bf16", "avx512_bf16", "avx512_vnni", "avx2", "neon")


def machine() -> dict[str, Any]:
    """The CPU by name, flags that matter, cores, memory, Python and the libraries that do the work."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    name = next(
        (line.split(":", 1)[1].strip() for line in info.splitlines() if line.startswith("model name")), platform.processor()
    )
    family = {
        k: next((ln.split(":", 1)[1].strip() for ln in info.splitlines() if ln.startswith(k)), "")
        for k in ("cpu family", "model\t")
    }
    versions = {}
    for package in ("torch", "llguidance", "llama-cpp-python", "mcp", "numpy"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**30
    return {
        "cpu": name, "family": "/".join(family.values()), "flags": [f for f in FLAGS if f in info.split()],
        "cores": os.cpu_count(), "memory_gib": memory, "python": platform.python_version(), "packages": versions,
    }  # fmt: skip


def write(name: str, figures: Mapping[str, Any], folder: Path = RESULTS) -> Path:
    """Write results/NAME-DATE.json, replacing the same day's; or in another folder. A command is told without the folders of
    the machine that it ran on.
    """
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{datetime.date.today().isoformat()}.json"
    told = dict(figures) | ({"command": without_folders(figures["command"])} if "command" in figures else {})
    path.write_text(json.dumps({"date": datetime.date.today().isoformat(), "machine": machine(), **told}, indent=1) + "\n")
    print(f"written: {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")
    return path


def without_folders(command: str) -> str:
    """With absolute paths by their last names."""
    return _FOLDERS.sub("", command)


def table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print an aligned table, numbers to the right."""
    cells = [list(map(str, headings)), *([str(c) for c in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headings))]
    for at, row in enumerate(cells):
        parts = [c.rjust(w) if at and c[:1].isdigit() else c.ljust(w) for c, w in zip(row, widths, strict=True)]
        print("  ".join(parts).rstrip())
        if not at:
            print("  ".join("-" * w for w in widths))


def paired(before: Sequence[bool], after: Sequence[bool]) -> dict[str, Any]:
    """Points by which the second is more often right on the same questions, with a 95% interval (normal approximation)."""
    won = sum(b and not a for a, b in zip(before, after, strict=True))
    lost = sum(a and not b for a, b in zip(before, after, strict=True))
    count = max(len(before), 1)
    points, half = (won - lost) / count, 1.96 * math.sqrt(max(won + lost - (won - lost) ** 2 / count, 0)) / count
    return {
        "points": round(100 * points, 1), "interval": f"{100 * (points - half):+.1f} to {100 * (points + half):+.1f}",
        "won": won, "lost": lost,
    }  # fmt: skip


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
