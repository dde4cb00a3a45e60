"""What the installed llama.cpp can compute on: its own list of devices, asked of ggml, which loads no model.

Asking initializes its backends, so who doesn't run a model asks a process of its own (`probe`), which may crash and holds no
memory of a GPU for longer. It owns nothing. Whether a GPU is worth using is the memory plan's (`loading.llama_plan`).
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from functools import cache
from typing import NamedTuple

from portico_engine.executors.llama_cpp.library import ggml, has_llama_cpp, library, version

_GPU, _INTEGRATED_GPU = 1, 2  # of ggml's device types
_SECONDS = 60.0


class GPU(NamedTuple):
    """A device that a backend of this build knows; memory in bytes."""

    name: str
    free: int
    total: int


class Backend(NamedTuple):
    """What a build of llama.cpp has. `offloads`: a GPU backend; `problem`: why that could not be found out."""

    offloads: bool = False
    gpus: tuple[GPU, ...] = ()
    problem: str | None = None

    def describe(self) -> str:
        """One line."""
        if self.problem is not None:
            return f"its devices are not known: {self.problem}"
        if not self.offloads:
            return "built without a GPU backend: it computes on the CPU"
        if not self.gpus:
            return "built with a GPU backend, which finds no GPU: it computes on the CPU"
        return "built with a GPU backend: " + ", ".join(f"{gpu.name} ({gpu.free / 2**30:.1f} GiB free)" for gpu in self.gpus)


def backend() -> Backend:
    """Asked in this process. Raises ModelError where llama.cpp is not installed."""
    if not library().llama_supports_gpu_offload():
        return Backend()
    found = []
    for i in range(ggml().ggml_backend_dev_count()):
        device = ctypes.c_void_p(ggml().ggml_backend_dev_get(i))
        if ggml().ggml_backend_dev_type(device) in (_GPU, _INTEGRATED_GPU):
            free, total = ctypes.c_size_t(), ctypes.c_size_t()
            ggml().ggml_backend_dev_memory(device, ctypes.byref(free), ctypes.byref(total))
            name = ggml().ggml_backend_dev_description(device).decode(errors="replace")
            found.append(GPU(name, free.value, total.value))
    return Backend(True, tuple(found))


@cache
def probe() -> Backend:
    """Asked in a process of its own, once."""
    if not has_llama_cpp():
        return Backend(problem="llama-cpp-python is not installed")
    try:
        ended = subprocess.run(
            [sys.executable, "-P", "-m", __name__], capture_output=True, text=True, check=False, timeout=_SECONDS
        )
        offloads, gpus = json.loads(ended.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return Backend(problem=f"llama-cpp-python {version()} did not answer")
    return Backend(offloads, tuple(GPU(*gpu) for gpu in gpus))


if __name__ == "__main__":
    print(json.dumps(backend()[:2]))
