"""The one line about a better model, for who has the default one alone: said once on this machine, and never again.

It owns the note of that in the user's state folder. Where the note can't be kept nothing is said: it would come every time.
"""

from __future__ import annotations

import importlib.util
import subprocess
from contextlib import suppress
from pathlib import Path

import platformdirs

from portico_gateway.hub.recommended import Recommended, best_fit

_NOTE = "better-model-suggested"
_SECONDS = 5  # that the driver's tool gets


def better_model(*, memory: int | None = None) -> Recommended | None:
    """The best of the list that this machine has room for, by its memory in bytes, or its GPU's where there is one."""
    from portico_engine import memory_bytes

    gpu = gpu_memory()
    if gpu is not None:
        return best_fit(gpu, from_codes=True, on_gpu=True)
    from_codes = importlib.util.find_spec("llama_cpp") is not None
    return best_fit(memory or memory_bytes(), from_codes=from_codes, on_gpu=False)


def was_suggested() -> bool:
    """Was it said before? Asked without importing anything."""
    return _note().exists()


def suggest_once(model: str) -> str | None:
    """What to say, the first time that the default model is used and no other one is there; None else."""
    from portico_engine import DEFAULT_MODEL, stored_models

    if model != DEFAULT_MODEL or was_suggested() or any(each.kind != "adapter" for each in stored_models()):
        return None
    found = better_model()
    if found is None or not _keep(_note()):
        return None
    return (
        f"the default model is very small; this machine has room for {found.name} ({found.size / 1e9:.1f} GB, "
        f"{found.licence}), which calls tools far better: portico models pull {found.name} (said once)"
    )


def gpu_memory() -> int | None:
    """Bytes of the first NVIDIA GPU's memory, by its driver's tool; None where there is none, or it doesn't say."""
    if not any(Path("/proc/driver/nvidia/gpus").glob("*")):
        return None
    with suppress(OSError, subprocess.SubprocessError, ValueError, IndexError):
        said = subprocess.run(
            ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
        return int(said.stdout.split()[0]) << 20
    return None


def _note() -> Path:
    return platformdirs.user_state_path("portico", appauthor=False) / _NOTE


def _keep(note: Path) -> bool:
    with suppress(OSError):
        note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        note.touch(mode=0o600)
        return True
    return False
