"""Which device the model runs on, and how much memory it has.

It owns the choice between GPU and CPU and the reason where a GPU can't be used. It knows no models.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from portico_engine.errors import ModelError

_DRIVER = Path("/proc/driver/nvidia/gpus")
_OLDEST = (8, 0)  # compute capability with bfloat16


class Device(NamedTuple):
    """Where the model goes. `memory` in bytes: all of a machine's, what is free on a GPU. `obstacle`: why it is no GPU, where
    one would have been taken.
    """

    name: str
    memory: int
    cuda: bool
    obstacle: str | None = None


def choose_device(executor: str, count: int = 1) -> Device:
    """The GPU where there is one that can be used, else the CPU; "torch-cpu" and "torch-cuda" leave no choice. With a `count`
    over one, each of so many GPUs like the first, or each share of this machine's memory.

    Imports torch. Raises ModelError saying what is missing where a GPU is asked for and there is none, or too few.
    """
    obstacle = None
    if executor != "torch-cpu":
        obstacle = gpu_obstacle()
        if obstacle is None:
            import torch

            card, found = torch.cuda.get_device_name(), torch.cuda.device_count()
            if found < count:
                raise ModelError(
                    f"devices is {count}, and torch finds {found} GPU{'s' if found > 1 else ''} ({card}); "
                    f"give at most {found}, or executor torch-cpu"
                )
            name = f"the GPU ({card})" if count == 1 else f"each of {count} GPUs ({card})"
            return Device(name, torch.cuda.mem_get_info()[0], True)
        if executor == "torch-cuda":
            raise ModelError(f"no GPU can be used: {obstacle}; executor 'auto' takes the CPU then")
    name = "this machine" if count == 1 else f"each of {count} processes of this machine"
    return Device(name, memory_bytes() // count, False, obstacle)


def has_nvidia_gpu() -> bool:
    """Has this machine one, by its driver's word, whether torch can use it or not?"""
    return any(_DRIVER.glob("*"))


def gpu_obstacle() -> str | None:
    """Why no GPU can be used; None where one can. Imports torch."""
    import torch

    if torch.version.cuda is None:
        return f"torch {torch.__version__} is built without CUDA"
    if not torch.cuda.is_available():
        return "torch finds no NVIDIA GPU"
    capability = torch.cuda.get_device_capability()
    if capability < _OLDEST:
        return f"{torch.cuda.get_device_name()} has compute capability {capability[0]}.{capability[1]}, and 8.0 is needed"
    for package, module in (("triton", "triton"), ("cuda-bindings", "cuda")):
        if importlib.util.find_spec(module) is None:
            return f"{package} is not installed (pip install {package})"
    return None


def memory_bytes() -> int:
    """This machine's memory, or what its control group leaves this process of it."""
    try:
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        whole = 8 << 30
    return min([whole, *_group_limits(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))])


def _group_limits(membership: Path, root: Path) -> Iterator[int]:
    """The limits on memory of a process's control group and of those around it (cgroup v2)."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        if not line.startswith("0::/"):
            continue
        group = root / line.removeprefix("0::/")
        for folder in (group, *group.parents):
            if not folder.is_relative_to(root):
                return
            with suppress(OSError, ValueError):
                yield int((folder / "memory.max").read_text())  # "max" where there is no limit
