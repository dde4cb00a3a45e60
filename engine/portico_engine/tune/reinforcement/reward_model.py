"""A score for an answer, learned from pairs: the base with an adapter of its own and one number from its last token.

The loss is Bradley's and Terry's as Ouyang et al. 2022 have it, equation 1. Scores are told in standard deviations over the
pairs that it was trained on, so that they can be weighed against another reward.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from portico_engine.adapters.adapter import StoredAdapter
from portico_engine.tune.preference.answers import TokenPair
from portico_engine.tune.rendering import TokenRow
from portico_engine.tune.training.batches import collate, grouped, padded_tokens, planned
from portico_engine.tune.training.loop import History, Loop, Settings
from portico_engine.tune.training.low_rank import with_adapter
from portico_engine.tune.training.start import begin_at, digest


class RewardModel:
    """On one device, beside a model of its own. It begins where the policy's adapter stands."""

    def __init__(self, model: Any, settings: Settings, start: StoredAdapter) -> None:
        self.model = model
        self.settings = settings
        self.adapter = with_adapter(model, settings.rank, settings.alpha, settings.seed)
        begin_at(self.adapter, start)
        self._device = next(model.parameters()).device
        hidden = model.config.hidden_size
        start_of_head = torch.randn(1, hidden, generator=torch.Generator().manual_seed(settings.seed)) / hidden
        self.head = nn.Parameter(start_of_head.to(self._device))
        self._middle, self._spread = 0.0, 1.0

    def train(
        self, pairs: Sequence[TokenPair], *, folder: Path | None = None, made_from: str = "", say: Callable[[str], None] = print
    ) -> History:
        """Raises TrainingStopped."""
        right: list[Tensor] = []

        def loss(batch: Sequence[TokenPair]) -> Tensor:
            scores = self._scores([*(pair.chosen for pair in batch), *(pair.rejected for pair in batch)])
            chosen, rejected = scores.chunk(2)
            right.append((chosen > rejected).float().mean().detach())
            return -logsigmoid(chosen - rejected).mean()

        def measures() -> dict[str, float]:
            share = float(torch.stack(right).mean())
            right.clear()
            return {"right": share}

        settings = self.settings
        loop: Loop[list[TokenPair]] = Loop(
            self.adapter, settings, loss=loss, size=lambda batch: padded_tokens([row for pair in batch for row in pair]),
            parameters=[self.head], measures=measures, folder=folder, made_from=digest(made_from, "reward"), say=say,
        )  # fmt: skip
        plan = planned(
            settings.epochs,
            settings.seed,
            lambda seed: grouped(pairs, settings.batch_tokens, random.Random(seed), lambda pair: pair.length),
        )
        history = loop.run(plan)
        found = self.scores([row for pair in pairs for row in pair])
        self._middle, self._spread = float(found.mean()), max(float(found.std(correction=0)), 1e-6)
        return history

    def share_right(self, pairs: Sequence[TokenPair]) -> float:
        """In how many of the pairs the better answer has the higher score."""
        scores = self.scores([row for pair in pairs for row in pair]).view(-1, 2)
        return float((scores[:, 0] > scores[:, 1]).float().mean())

    @torch.no_grad()
    def scores(self, rows: Sequence[TokenRow]) -> Tensor:
        """float32 [rows], on the CPU, in standard deviations over the training pairs."""
        out = torch.zeros(len(rows))
        for places in grouped(range(len(rows)), self.settings.batch_tokens, random.Random(0), lambda at: len(rows[at].ids)):
            out[places] = self._scores([rows[at] for at in places]).float().cpu()
        return (out - self._middle) / self._spread

    def _scores(self, rows: Sequence[TokenRow]) -> Tensor:
        ids = collate(rows).ids.to(self._device)
        last = torch.tensor([len(row.ids) - 1 for row in rows], device=self._device)
        hidden = self.model.model(input_ids=ids, use_cache=False).last_hidden_state
        scores: Tensor = (hidden[torch.arange(len(rows), device=self._device), last].float() @ self.head.T)[:, 0]
        return scores
