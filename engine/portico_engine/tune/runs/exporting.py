"""`export`: an adapter, or a stopped run's last checkpoint, in the form that is wanted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import torch

from portico_engine.errors import AdapterError
from portico_engine.tune.export.gguf_file import save_gguf
from portico_engine.tune.export.merged_gguf import save_merged
from portico_engine.tune.export.peft_folder import save_peft
from portico_engine.tune.runs.run_folder import ADAPTER, saved_matrices
from portico_engine.tune.training.base_model import decoder_config
from portico_engine.tune.training.start import rank_of, read_start

_WEIGHTS = "adapter_model.safetensors"


def export_adapter(
    source: Path, form: str, out: Path, *, model: Path, base: str, prompts: str, say: Callable[[str], None] = print
) -> None:
    """`form`: peft, gguf or merged; `base` and `prompts` as `RunOptions`. Raises EngineError for no adapter of this model."""
    if out.exists():
        raise AdapterError(f"{out} is there already; give another name")
    out.parent.mkdir(parents=True, exist_ok=True)
    place = source / ADAPTER if (source / ADAPTER / _WEIGHTS).exists() else source
    if not (place / _WEIGHTS).exists():
        place = _from_checkpoint(source, out, base, prompts, say)
    config = decoder_config(model)
    stored = read_start(place, config)
    if form == "peft":
        shutil.copytree(place, out)
    elif form == "merged":
        save_merged(out, model, stored, config, say)
    else:
        rank = rank_of(stored)  # the scale is in B already
        matrices = {stored.labels[name]: (torch.from_numpy(m.a), torch.from_numpy(m.b)) for name, m in stored.matrices.items()}
        save_gguf(out, matrices, alpha=float(rank), base=stored.base or base, config=config, prompts=stored.prompts)
    if place.name == f"{out.name}.peft":
        shutil.rmtree(place)


def _from_checkpoint(run: Path, out: Path, base: str, prompts: str, say: Callable[[str], None]) -> Path:
    """As a PEFT folder beside what is written."""
    matrices, settings = saved_matrices(run)
    say(f"{run} has no finished adapter: its last checkpoint is taken")
    place = out.with_name(f"{out.name}.peft")
    save_peft(place, matrices, rank=settings.rank, alpha=settings.alpha, base=base, prompts=prompts)
    return place
