"""What lies in a run's folder: the adapter as PEFT reads it, the checkpoint, the report, the loss as a picture."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from portico_engine.loading.model_digest import model_digest
from portico_engine.tune.export.peft_folder import save_peft
from portico_engine.tune.runs.options import RefusedRun, RunOptions
from portico_engine.tune.training.loop import CHECKPOINT, History, Settings
from portico_engine.tune.training.loss_plot import save_png, terminal_plot
from portico_engine.tune.training.low_rank import LowRankLinear

REPORT, ADAPTER, PICTURE = "run.json", "adapter", "loss.png"


def finish_run(
    options: RunOptions,
    method: str,
    adapter: Mapping[str, LowRankLinear],
    settings: Settings,
    history: History,
    measured: Mapping[str, Any],
) -> Path:
    """Write everything, show the loss, and return the adapter's folder."""
    folder = options.out / ADAPTER
    matrices = {name: (module.a, module.b) for name, module in adapter.items()}
    save_peft(folder, matrices, rank=settings.rank, alpha=settings.alpha, base=options.base, prompts=options.prompts)
    report = {
        "method": method, "base": options.base, "base_sha256": model_digest(options.model),
        "reference_sha256": adapter_digest(options.start) if options.start is not None else None,
        "settings": {name: None if value == math.inf else value for name, value in asdict(settings).items()},
        "history": asdict(history), "device": _device_name(options.device), "torch": torch.__version__, **measured,
        "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2) if options.device == "cuda" else None,
    }  # fmt: skip
    (options.out / REPORT).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if plot := terminal_plot(history.points):
        options.say(plot)
    if not save_png(options.out / PICTURE, history.points, f"{method}: {options.base}"):
        options.say(f"no {PICTURE}: matplotlib is not installed")
    options.say(f"the adapter is in {folder}")
    return folder


def saved_matrices(run: Path) -> tuple[dict[str, tuple[Tensor, Tensor]], Settings]:
    """Of a run's last checkpoint, which a run that was stopped leaves. Raises RefusedRun where there is none."""
    path = run / CHECKPOINT
    if not path.exists():
        raise RefusedRun(f"{run} holds neither an adapter nor a checkpoint ({CHECKPOINT}) of a run")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        settings = Settings(**json.loads(state["settings"]))
        return {str(name): (a, b) for name, (a, b) in state["adapter"].items()}, settings
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise RefusedRun(f"{path} is no checkpoint, or cut short: {str(error).splitlines()[0][:200]}") from None


def adapter_digest(folder: Path) -> str:
    """sha256 of a PEFT folder, or of a GGUF adapter's file."""
    return model_digest(folder)


def _device_name(device: str) -> str:
    return str(torch.cuda.get_device_name()) if device == "cuda" else device
