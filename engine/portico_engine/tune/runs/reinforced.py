"""`rlhf`: a reward model from pairs, then GRPO on rows whose right calls are known, its rollouts by the engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from portico_engine.loading.load_engine import load_engine
from portico_engine.tune.calling.caller import ToolCaller
from portico_engine.tune.calling.figures import figures
from portico_engine.tune.calling.task import tasks_of
from portico_engine.tune.data.row_checks import UnfitData
from portico_engine.tune.data.row_file import AnyRow, PairRow
from portico_engine.tune.data.rows import Row
from portico_engine.tune.reinforcement.grpo import GRPOTrainer
from portico_engine.tune.reinforcement.reward_model import RewardModel
from portico_engine.tune.runs.options import RunOptions
from portico_engine.tune.runs.run_data import TokenRows, of_kind, run_rows
from portico_engine.tune.runs.run_folder import finish_run
from portico_engine.tune.runs.supervised import load_for, made_from
from portico_engine.tune.training.base_model import decoder_config
from portico_engine.tune.training.start import rank_of, read_start

_ANSWER = 256  # tokens of a rollout
_ROLLOUTS_AT_ONCE = {"cuda": 128, "cpu": 16}


def run_rlhf(options: RunOptions, *, group: int = 8) -> Path:
    """The folder of the adapter. Raises EngineError for what can't be trained with, or would come to nothing."""
    start = options.needs_start("rlhf")
    settings = options.settings(epochs=1.0, learning_rate=1e-4)
    config = decoder_config(options.model)
    stored = read_start(start, config)
    settings = replace(settings, rank=rank_of(stored), warmup=0.1)
    data = run_rows(options.data, small=options.small, say=options.say)
    tokens, pinned = TokenRows(options), made_from(options, data.digest)
    pairs, held_pairs = (tokens.pairs(of_kind(part, PairRow)) for part in (data.train, data.held_out))
    measured: dict[str, Any] = {}
    scorer = None
    if pairs:
        options.say(f"a reward model from {len(pairs)} pairs")
        scorer = RewardModel(load_for(options, settings), replace(settings, most_seconds=settings.most_seconds / 3), stored)
        scorer.train(pairs, folder=options.out / "reward", made_from=pinned, say=options.say)
        if held_pairs:
            share = scorer.share_right(held_pairs)
            options.say(f"it scores the better answer higher in {share:.1%} of {len(held_pairs)} held-out pairs")
            measured["reward_model_right"] = share
    else:
        options.say("no pairs, so no reward model: the reward is that the call is valid and right")
    engine = load_engine(
        options.model, executor="torch-cuda" if options.device == "cuda" else "torch-cpu",
        context=min(config.context_length, options.longest + _ANSWER), max_rows=_ROLLOUTS_AT_ONCE[options.device],
        memory=0.3 if options.device == "cuda" else None, adapters=1, adapter_rank=max(64, settings.rank),
    )  # fmt: skip
    try:
        tasks, held_out = (
            list(tasks_of(_asked(part), engine, longest=options.longest)) for part in (data.train, data.held_out)
        )
        if not tasks:
            raise UnfitData(f"{options.data} holds no rows whose right calls are known; rlhf needs some to be rewarded for")
        caller = ToolCaller(engine, config, max_tokens=_ANSWER)
        trainer = GRPOTrainer(
            load_for(options, settings), tasks, settings, start=stored, caller=caller, scorer=scorer, group=group,
            folder=options.out, made_from=pinned, say=options.say,
        )  # fmt: skip
        history = trainer.run()
        if held_out:
            caller.use_file(start)
            before = figures(held_out, [one[0] for one in caller.ask(held_out)])["all"]
            caller.use(trainer.matrices(), settings.alpha / settings.rank)
            after = figures(held_out, [one[0] for one in caller.ask(held_out)])["all"]
            options.say(
                f"calls that are right, of {len(held_out)} held-out questions: {before.call:.1f}% before, "
                f"{after.call:.1f}% after"
            )
            measured |= {"held_out": len(held_out), "right": [before.call, after.call]}
    finally:
        engine.close()
    return finish_run(options, "rlhf", trainer.adapter, settings, history, measured | {"tasks": len(tasks), "group": group})


def _asked(rows: list[AnyRow]) -> list[Row]:
    """Rows with a right answer; of pairs, the better one is that."""
    found = {(row.prompt[0]["content"], row.question): row for row in of_kind(rows, Row)}
    for pair in of_kind(rows, PairRow):
        row = Row(pair.prompt, pair.chosen, pair.origin, pair.licence, tools=pair.tools)
        found.setdefault((pair.prompt[0]["content"], pair.question), row)
    return list(found.values())
