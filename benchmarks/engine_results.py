"""Where the engine's benchmarks leave their figures: dated JSON with the machine's description."""

from __future__ import annotations

import datetime
import json
import os
import platform
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, Any]:
    """What a reader needs to know about this computer."""
    cpu = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                cpu = value.strip()
            if key.strip() == "flags":
                flags = set(value.split())
                extra = [f for f in ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_tile") if f in flags]
                return {"cpu": cpu, "cores": os.cpu_count(), "features": extra, "python": platform.python_version()}
    except OSError:
        pass
    return {"cpu": cpu, "cores": os.cpu_count(), "features": [], "python": platform.python_version()}


def record(name: str, figures: dict[str, Any]) -> Path:
    """Write the figures beside the machine and the date; the file's path."""
    RESULTS.mkdir(exist_ok=True)
    now = datetime.datetime.now(datetime.UTC)
    path = RESULTS / f"{name}-{now:%Y-%m-%d}.json"
    data = {"benchmark": name, "at": now.isoformat(timespec="seconds"), "machine": machine(), **figures}
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"recorded in {path.relative_to(Path(__file__).parents[1])}")
    return path
