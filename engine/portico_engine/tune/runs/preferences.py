"""`dpo`, `ipo` and `kto`: from pairs or rated answers, and a supervised adapter, to one that prefers the better answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from portico_engine.tune.data.row_checks import UnfitData
from portico_engine.tune.data.row_file import PairRow, RatedRow
from portico_engine.tune.preference.answers import TokenPair, rated
from portico_engine.tune.preference.beta_sweep import DEFAULT_BETA, TriedBeta, sweep
from portico_engine.tune.preference.losses import Method
from portico_engine.tune.preference.train import SFT_WEIGHT, PreferenceTrainer
from portico_engine.tune.runs.options import RunOptions
from portico_engine.tune.runs.run_data import TokenRows, of_kind, run_rows
from portico_engine.tune.runs.run_folder import finish_run
from portico_engine.tune.runs.supervised import load_for, made_from
from portico_engine.tune.training.base_model import decoder_config
from portico_engine.tune.training.start import digest, read_start

_TRIED = "betas.json"


def run_preference(method: Method, options: RunOptions) -> Path:
    """The folder of the adapter. Raises EngineError for what can't be trained with, or would come to nothing."""
    start = options.needs_start(method)
    settings = options.settings(epochs=2.0, learning_rate=5e-5)
    stored = read_start(start, decoder_config(options.model))
    data = run_rows(options.data, small=options.small, say=options.say)
    tokens = TokenRows(options)
    pairs, held_out = (tokens.pairs(of_kind(part, PairRow)) for part in (data.train, data.held_out))
    alone = rated(tokens.rated(of_kind(data.train, RatedRow)), settings.seed) if method == "kto" else []
    if not pairs and not alone:
        needs = "chosen and rejected" + (", or completion and label" if method == "kto" else "")
        raise UnfitData(f"{options.data} holds no rows that {method} learns of; it needs rows with {needs}")
    sft_weight = SFT_WEIGHT if options.sft_weight is None else options.sft_weight
    pinned = digest(made_from(options, data.digest), f"sft weight {sft_weight:g}")
    trainer = PreferenceTrainer(
        load_for(options, settings), pairs, settings, start=stored, rated=alone, sft_weight=sft_weight, made_from=pinned,
        paged=options.qlora, say=options.say,
    )  # fmt: skip
    before = trainer.preferred_share(held_out) if held_out else None
    beta, tried = _beta(trainer, method, held_out, options, pinned)
    history = trainer.run(method, beta, folder=options.out)
    measured: dict[str, Any] = {
        "pairs": len(pairs),
        "rated": len(alone),
        "beta": beta,
        "tried": tried,
        "sft_weight": sft_weight,
    }
    if before is not None:
        after = trainer.preferred_share(held_out)
        options.say(
            f"the better answer is preferred in {before:.1%} of {len(held_out)} held-out pairs before, {after:.1%} after"
        )
        measured |= {"held_out": len(held_out), "preferred": [before, after]}
    return finish_run(options, method, trainer.adapter, trainer.settings, history, measured)


def _beta(
    trainer: PreferenceTrainer, method: Method, validation: Sequence[TokenPair], options: RunOptions, pinned: str
) -> tuple[float, list[dict[str, float]]]:
    """One that was tried on these very data: now, or when this run was begun."""
    note = options.out / _TRIED
    known = json.loads(note.read_text(encoding="utf-8")) if note.exists() else {}
    around = options.beta or DEFAULT_BETA[method]
    if known.get("made_from") == pinned and known.get("method") == method and known.get("around") == around:
        return float(known["beta"]), list(known["tried"])
    if not validation:
        options.say(f"no pairs are held out, so that betas can't be compared: beta is {around:g}")
        return around, []
    options.say(f"which beta? {around / 3:.3g}, {around:.3g} and {around * 3:.3g} are tried on {len(validation)} pairs")
    best, all_tried = sweep(trainer, method, validation, around, options.say)
    if options.beta is not None and best.beta != options.beta:
        options.say(f"beta {options.beta:g} is not the best of those: {best.beta:.3g} is used")
    tried = [TriedBeta._asdict(one) for one in all_tried]
    options.out.mkdir(parents=True, exist_ok=True)
    known = {"made_from": pinned, "method": method, "around": around, "beta": best.beta, "tried": tried}
    note.write_text(json.dumps(known) + "\n", encoding="utf-8")
    return best.beta, tried
