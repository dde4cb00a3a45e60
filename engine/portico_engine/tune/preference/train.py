"""A run on preferences: from a trained adapter, which is the reference as well, to a better one of the same rank.

It owns the reference, whose log p of every answer is computed once, before the first step; which adapter that is, `made_from`
pins. The losses are `losses`', how a run goes is `training.loop`'s.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from portico_engine.adapters.adapter import StoredAdapter
from portico_engine.tune.preference.answers import RatedAnswer, TokenPair, rated_pairs
from portico_engine.tune.preference.losses import Method, dpo_loss, ipo_loss, kto_loss, sft_loss
from portico_engine.tune.rendering import TokenRow
from portico_engine.tune.training.batches import grouped, padded_tokens, planned
from portico_engine.tune.training.likelihood import AnswerLikelihood, answer_likelihood, likelihoods
from portico_engine.tune.training.loop import History, Loop, Settings
from portico_engine.tune.training.low_rank import with_adapter
from portico_engine.tune.training.start import begin_at, digest, rank_of

SFT_WEIGHT = 1.0


class PreferenceTrainer:
    """Runs on one device, each from where `start` stands. `rated`: answers that stand alone, for KTO beside the pairs.
    `sft_weight`: how much the good answers' own loss (nats per token) counts beside the method's (Pang et al. 2024,
    arXiv:2404.19733): without it a method may push both answers of a pair down, and with them other questions' calls.
    """

    def __init__(
        self,
        model: Any,
        pairs: Sequence[TokenPair],
        settings: Settings,
        *,
        start: StoredAdapter,
        rated: Sequence[RatedAnswer] = (),
        sft_weight: float = SFT_WEIGHT,
        made_from: str = "",
        paged: bool = False,
        say: Callable[[str], None] = print,
    ) -> None:
        self.model = model
        self.settings = replace(settings, rank=rank_of(start))
        self.adapter = with_adapter(model, self.settings.rank, self.settings.alpha, settings.seed)
        self._pairs, self._rated, self._start = pairs, rated, start
        self._sft_weight = sft_weight
        self._made_from, self._paged, self._say = made_from, paged, say
        self._device = next(model.parameters()).device
        self._reference: dict[TokenRow, tuple[float, float]] = {}
        self._preferred: list[Tensor] = []
        begin_at(self.adapter, start)

    def run(self, method: Method, beta: float, *, epochs: float | None = None, folder: Path | None = None) -> History:
        """From the folder's checkpoint where there is one, else from the start. Raises TrainingStopped."""
        settings = self.settings if epochs is None else replace(self.settings, epochs=epochs)
        begin_at(self.adapter, self._start)
        if method == "kto":
            answers = [*rated_pairs(self._pairs, settings.seed), *self._rated]
            self._know_reference([row for answer in answers for row in (answer.row, answer.mismatched)])
            good = max(1, sum(answer.good for answer in answers))
            bad = max(1, len(answers) - good)
            weights = max(1.0, bad / good), max(1.0, good / bad)
            return self._run(answers, lambda batch: self._kto(batch, beta, *weights), settings, method, beta, folder)
        self._know_reference([row for pair in self._pairs for row in pair])
        return self._run(self._pairs, lambda batch: self._pair_loss(batch, method, beta), settings, method, beta, folder)

    def _run(
        self,
        items: Sequence[Any],
        loss: Callable[[list[Any]], Tensor],
        settings: Settings,
        method: Method,
        beta: float,
        folder: Path | None,
    ) -> History:
        loop: Loop[list[Any]] = Loop(
            self.adapter, settings, loss=loss, size=_padded, measures=self._measures, folder=folder,
            made_from=digest(self._made_from, method, str(beta)), paged=self._paged, say=self._say,
        )  # fmt: skip
        plan = planned(
            settings.epochs,
            settings.seed,
            lambda seed: grouped(items, settings.batch_tokens, random.Random(seed), lambda item: item.length),
        )
        return loop.run(plan)

    def _pair_loss(self, pairs: Sequence[TokenPair], method: Method, beta: float) -> Tensor:
        rows = [*(pair.chosen for pair in pairs), *(pair.rejected for pair in pairs)]
        said = answer_likelihood(self.model, rows, self._device)
        reference = self._of_reference(rows)
        chosen, rejected = said.per_token.detach().chunk(2)
        self._preferred.append((chosen > rejected).float().mean())
        per_token = method == "ipo"
        ratios = said.per_token - reference.per_token if per_token else said.log_p - reference.log_p
        better, worse = ratios.chunk(2)
        loss = ipo_loss(better, worse, beta) if per_token else dpo_loss(better, worse, beta)
        return loss + self._sft_weight * sft_loss(AnswerLikelihood(*(values.chunk(2)[0] for values in said)))

    def _kto(self, answers: Sequence[RatedAnswer], beta: float, good_weight: float, bad_weight: float) -> Tensor:
        rows, mismatched = [answer.row for answer in answers], [answer.mismatched for answer in answers]
        with torch.no_grad():
            apart = answer_likelihood(self.model, mismatched, self._device).log_p - self._of_reference(mismatched).log_p
        said = answer_likelihood(self.model, rows, self._device)
        ratio = said.log_p - self._of_reference(rows).log_p
        good = torch.tensor([answer.good for answer in answers], device=self._device)
        loss = kto_loss(ratio, good, apart, beta, good_weight, bad_weight)
        return loss + self._sft_weight * sft_loss(AnswerLikelihood(*(values[good] for values in said)))

    def _know_reference(self, rows: Sequence[TokenRow]) -> None:
        """While the adapter is where it began."""
        new = list(dict.fromkeys(row for row in rows if row not in self._reference))
        said = likelihoods(self.model, new, self._device, self.settings.batch_tokens)
        pairs = zip(said.log_p.tolist(), said.tokens.tolist(), strict=True)
        self._reference.update(zip(new, pairs, strict=True))

    def _of_reference(self, rows: Sequence[TokenRow]) -> AnswerLikelihood:
        known = torch.tensor([self._reference[row] for row in rows], device=self._device)
        return AnswerLikelihood(known[:, 0], known[:, 1])

    def _measures(self) -> dict[str, float]:
        if not self._preferred:
            return {}
        share = float(torch.stack(self._preferred).mean())
        self._preferred.clear()
        return {"preferred": share}

    def preferred_share(self, pairs: Sequence[TokenPair]) -> float:
        """In how many of the pairs the model now gives the chosen answer the higher log p per token."""
        chosen, rejected = (self.per_token([pair[side] for pair in pairs]) for side in (0, 1))
        return float((chosen > rejected).float().mean())

    def per_token(self, rows: Sequence[TokenRow]) -> Tensor:
        """Log p of the answers per token, float32 [rows]."""
        return likelihoods(self.model, list(rows), self._device, self.settings.batch_tokens).per_token


def _padded(items: Sequence[TokenPair] | Sequence[RatedAnswer]) -> int:
    return padded_tokens([row for item in items for row in item if isinstance(row, TokenRow)])
