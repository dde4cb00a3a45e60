"""What a model says of rows' answers: logits where loss is, log p of whole answers.

The head sees the positions that count and no others: a row of logits over the vocabulary is large.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from portico_engine.tune.rendering import TokenRow
from portico_engine.tune.training.batches import collate, grouped


class AnswerLikelihood(NamedTuple):
    """By row: the sum of its answer's tokens' log p, and how many they are."""

    log_p: Tensor  # float32 [rows]
    tokens: Tensor  # float32 [rows]

    @property
    def per_token(self) -> Tensor:
        """float32 [rows]."""
        return self.log_p / self.tokens


def learned_logits(model: Any, ids: Tensor, learned: Tensor) -> Tensor:
    """float32 [learned, vocab]; ids and learned [rows, tokens]."""
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[learned]
    logits: Tensor = model.lm_head(hidden).float()
    return logits


def answer_likelihood(model: Any, rows: Sequence[TokenRow], device: torch.device) -> AnswerLikelihood:
    """Of the rows as one batch, with gradients."""
    batch = collate(rows)
    ids, learned = batch.ids.to(device, non_blocking=True), batch.learned.to(device, non_blocking=True)
    logits = learned_logits(model, ids, learned)
    targets = ids.roll(-1, 1)[learned]
    said = torch.gather(logits, 1, targets[:, None])[:, 0] - logits.logsumexp(-1)
    of_row = learned.nonzero()[:, 0]
    total = torch.zeros(len(rows), device=device).index_add(0, of_row, said)
    return AnswerLikelihood(total, learned.sum(1).float())


@torch.no_grad()
def likelihoods(model: Any, rows: Sequence[TokenRow], device: torch.device, budget: int) -> AnswerLikelihood:
    """Of many rows, in their order, a batch of `budget` tokens at a time; on the CPU."""
    log_p, tokens = torch.zeros(len(rows)), torch.zeros(len(rows))
    for places in grouped(range(len(rows)), budget, random.Random(0), lambda at: len(rows[at].ids)):
        found = answer_likelihood(model, [rows[at] for at in places], device)
        log_p[places], tokens[places] = found.log_p.cpu(), found.tokens.cpu()
    return AnswerLikelihood(log_p, tokens)
