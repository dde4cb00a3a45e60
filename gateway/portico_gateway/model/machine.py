"""Which machine this is, as far as the speed of a model goes: what was measured here counts here alone.

It owns the description; it imports no model library, so that no start pays for one.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

from portico_servers.common.version import package_version

_LIBRARIES = ("torch", "llama-cpp-python", "triton")  # whose versions decide how fast an executor is
_QUIET = 0.5  # of the load average a core: more than that disturbs what is measured
_CPU_INFO = Path("/proc/cpuinfo")
_GPU_INFO = Path("/proc/driver/nvidia/gpus")


def describe_machine() -> str:
    """The CPU, the cores that this process may use, memory, and NVIDIA GPUs, in a line."""
    try:
        memory = f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except (ValueError, OSError, AttributeError):
        memory = "unknown memory"
    return ", ".join([_cpu(), f"{_cores()} cores", memory, *gpus()])


def busy_with() -> str | None:
    """What others make of this machine where that disturbs a measurement; None where it is quiet, or nobody knows."""
    try:
        load = os.getloadavg()[0]
    except (OSError, AttributeError):
        return None
    return f"a load of {load:.1f} on {_cores()} cores" if load > _QUIET * _cores() else None


def library_versions() -> dict[str, str]:
    """Portico's version, and those of the libraries that compute."""
    found = {"portico": package_version()}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu() -> str:
    name = _field(_CPU_INFO, "model name") or platform.processor() or "unknown CPU"
    return f"{name} ({platform.machine()})"


def gpus() -> list[str]:
    """The names of this machine's NVIDIA GPUs, whether torch can use them or not."""
    return [_field(each, "Model") or "an NVIDIA GPU" for each in sorted(_GPU_INFO.glob("*/information"))]


def _field(file: Path, name: str) -> str | None:
    """The first value of a field in a file of `name : value` lines."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), None)
