"""Supervised training of a LoRA adapter: cross-entropy on the answers' tokens, nearness to the base where a row is to be kept.

It owns these two losses and how they are measured on rows that are not trained on; `training.loop` is how a run goes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from portico_engine.tune.rendering import TokenRow
from portico_engine.tune.training.batches import Batch, batches, collate, padded_tokens, planned
from portico_engine.tune.training.likelihood import learned_logits
from portico_engine.tune.training.loop import History, Loop, Settings
from portico_engine.tune.training.low_rank import LowRankLinear, base_alone, with_adapter

_MOST_KEPT = 4096


class Trainer:
    """One run on one device. `say` is given a line of progress now and then; `made_from` pins what it begins with."""

    def __init__(
        self,
        model: Any,
        rows: Sequence[TokenRow],
        settings: Settings,
        *,
        held_out: Sequence[TokenRow] = (),
        folder: Path | None = None,
        made_from: str = "",
        paged: bool = False,
        say: Callable[[str], None] = print,
    ) -> None:
        self.model = model
        self.settings = settings
        self.adapter: dict[str, LowRankLinear] = with_adapter(model, settings.rank, settings.alpha, settings.seed)
        self._rows = rows
        self._held_out = held_out
        self._device = next(model.parameters()).device
        self.loop: Loop[list[TokenRow]] = Loop(
            self.adapter, settings, loss=lambda group: self._loss(collate(group)), size=padded_tokens,
            folder=folder, made_from=made_from, paged=paged, say=say,
        )  # fmt: skip

    @property
    def history(self) -> History:
        return self.loop.history

    def run(self) -> History:
        """From the folder's checkpoint where there is one. Raises TrainingStopped."""
        return self.loop.run(self._plan())

    def _plan(self) -> list[list[TokenRow]]:
        settings = self.settings
        return planned(settings.epochs, settings.seed, lambda seed: batches(self._rows, settings.batch_tokens, seed))

    def _loss(self, batch: Batch) -> Tensor:
        ids, learned = batch.ids.to(self._device, non_blocking=True), batch.learned.to(self._device, non_blocking=True)
        if batch.kept:
            learned = _some(learned)
        logits = learned_logits(self.model, ids, learned)
        if not batch.kept:
            targets = ids.roll(-1, 1)[learned]
            return torch.nn.functional.cross_entropy(logits, targets)
        with torch.no_grad(), base_alone(self.adapter):
            base = learned_logits(self.model, ids, learned)
        log_p, log_q = logits.log_softmax(-1), base.log_softmax(-1)
        return self.settings.keep_weight * torch.nn.functional.kl_div(log_p, log_q, log_target=True, reduction="batchmean")

    @torch.no_grad()
    def held_out_loss(self) -> float:
        """Mean over the learned tokens of the rows that are not trained on."""
        total, count = 0.0, 0
        for rows in batches(self._held_out, self.settings.batch_tokens, 0):
            batch = collate(rows)
            tokens = int(batch.learned.sum())
            total += float(self._loss(batch)) * tokens
            count += tokens
        return total / max(count, 1)

    @torch.no_grad()
    def kept_agreement(self, rows: Sequence[TokenRow]) -> dict[str, float]:
        """How near the model has stayed to its base on rows that it shall answer as before: mean KL (base, tuned) in nats and
        the share of positions with the same top token."""
        divergence, same, count = 0.0, 0, 0
        for group in batches(rows, self.settings.batch_tokens, 0):
            batch = collate(group)
            ids, learned = batch.ids.to(self._device), _some(batch.learned.to(self._device))
            tuned = learned_logits(self.model, ids, learned).log_softmax(-1)
            with base_alone(self.adapter):
                base = learned_logits(self.model, ids, learned).log_softmax(-1)
            divergence += float(torch.nn.functional.kl_div(tuned, base, log_target=True, reduction="sum"))
            same += int((tuned.argmax(-1) == base.argmax(-1)).sum())
            count += len(base)
        return {"kl": divergence / max(count, 1), "same_top_token": same / max(count, 1), "positions": count}


def _some(positions: Tensor) -> Tensor:
    """At most `_MOST_KEPT` of the marked positions, evenly: a row of logits over the vocabulary is large."""
    every = -(-int(positions.sum()) // _MOST_KEPT)
    return positions & (positions.flatten().cumsum(0).view_as(positions) % max(every, 1) == 0)
