"""Which executors can be used here, what is missing for the others, and what llama.cpp was built for. It loads no model."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping

from portico_engine.executors.llama_cpp.devices import probe
from portico_engine.executors.llama_cpp.library import has_llama_cpp
from portico_engine.loading.device import gpu_obstacle


def usable_executors() -> Mapping[str, str | None]:
    """Each executor by the name that `LoadOptions` takes -> why it can't be used, None where it can. Imports torch."""
    no_torch = None if importlib.util.find_spec("torch") else "torch is not installed: pip install 'portico-mcp[engine]'"
    no_llama = None if has_llama_cpp() else "llama-cpp-python is not installed: pip install 'portico-mcp[llama]'"
    return {"torch-cpu": no_torch, "torch-cuda": no_torch or gpu_obstacle(), "llama_cpp": no_llama}


def llama_cpp_backend() -> str | None:
    """What the installed llama.cpp computes on, in a line; None where it is not installed. Asks a process of its own."""
    return probe().describe() if has_llama_cpp() else None
