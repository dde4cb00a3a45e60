"""`sft`: supervised training on rows of prompt and completion, from nothing or from an adapter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from portico_engine.loading.model_digest import model_digest
from portico_engine.tune.data.row_checks import UnfitData
from portico_engine.tune.data.rows import Row
from portico_engine.tune.runs.options import RunOptions
from portico_engine.tune.runs.run_data import TokenRows, of_kind, run_rows
from portico_engine.tune.runs.run_folder import adapter_digest, finish_run
from portico_engine.tune.sft import Trainer
from portico_engine.tune.training.base_model import decoder_config, load_base
from portico_engine.tune.training.loop import Settings
from portico_engine.tune.training.start import begin_at, digest, rank_of, read_start


def run_sft(options: RunOptions) -> Path:
    """The folder of the adapter. Raises EngineError for data, a base or a start that can't be trained with."""
    settings = options.settings(epochs=3.0, learning_rate=1e-3 if options.start is None else 2e-4)
    data = run_rows(options.data, small=options.small, say=options.say)
    tokens = TokenRows(options)
    rows, held_out = (tokens.answers(of_kind(part, Row)) for part in (data.train, data.held_out))
    if not rows:
        raise UnfitData(f"{options.data} holds no rows of prompt and completion; of pairs, dpo, ipo and kto learn")
    stored = None if options.start is None else read_start(options.start, decoder_config(options.model))
    if stored is not None:
        settings = replace(settings, rank=rank_of(stored))
    model = load_for(options, settings)
    trainer = Trainer(
        model, rows, settings, held_out=held_out, folder=options.out, paged=options.qlora, say=options.say,
        made_from=made_from(options, data.digest),
    )  # fmt: skip
    if stored is not None:
        begin_at(trainer.adapter, stored)
    options.say(f"first the loss on {len(held_out)} held-out rows, then {len(rows)} rows are trained on")
    before = trainer.held_out_loss()
    history = trainer.run()
    after = trainer.held_out_loss()
    options.say(f"loss on {len(held_out)} held-out rows: {before:.4f} before, {after:.4f} after")
    measured = {"rows": len(rows), "held_out": len(held_out), "held_out_loss": [before, after]}
    return finish_run(options, "sft", trainer.adapter, settings, history, measured)


def load_for(options: RunOptions, settings: Settings) -> torch.nn.Module:
    """The base as the options want it. Gradient checkpointing where it is quantized: memory is what is short then."""
    torch.manual_seed(settings.seed)
    dtype = torch.bfloat16 if options.device == "cuda" else torch.float32
    model: torch.nn.Module = load_base(options.model, options.device, dtype, nf4=options.qlora)
    if options.qlora:
        model.gradient_checkpointing_enable({"use_reentrant": False})  # type: ignore[operator]
        model.train()
    return model


def made_from(options: RunOptions, data: str) -> str:
    """What pins a run: data, base, start."""
    start = "" if options.start is None else adapter_digest(options.start)
    return digest(data, options.base, model_digest(options.model), start, str(options.qlora))
