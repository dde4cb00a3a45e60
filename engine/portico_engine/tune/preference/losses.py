"""DPO, IPO and KTO as functions of log-ratios: what the policy says of an answer, less what the reference says. Beside them
the supervised loss of the good answers.

All take log p of whole answers and return the mean loss of a batch; which answers stand in it is the caller's.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from portico_engine.tune.training.likelihood import AnswerLikelihood

Method = Literal["dpo", "ipo", "kto"]


def dpo_loss(chosen: Tensor, rejected: Tensor, beta: float) -> Tensor:
    """Rafailov et al. 2023, equation 7. Log-ratios [pairs], summed over an answer's tokens."""
    return -logsigmoid(beta * (chosen - rejected)).mean()


def ipo_loss(chosen: Tensor, rejected: Tensor, beta: float) -> Tensor:
    """Azar et al. 2023, equation 17, with tau = beta. Log-ratios [pairs] per token of the answer, or long answers would be
    driven harder than short ones.
    """
    return (chosen - rejected - 1 / (2 * beta)).square().mean()


def kto_loss(ratio: Tensor, good: Tensor, mismatched: Tensor, beta: float, good_weight: float, bad_weight: float) -> Tensor:
    """Ethayarajh et al. 2024, equations 7 and 8. Log-ratios [answers] of rated answers, `good` bool [answers]; `mismatched`
    those of answers to other questions, whose mean is the reference point z0 and carries no gradient.
    """
    z0 = mismatched.detach().mean().clamp(min=0)
    gain = torch.where(good, beta * (ratio - z0), beta * (z0 - ratio))
    weight = torch.where(good, good_weight, bad_weight)
    return (weight * (1 - torch.sigmoid(gain))).mean()


def sft_loss(said: AnswerLikelihood) -> Tensor:
    """Cross-entropy per token of these answers, 0 of none."""
    return -said.log_p.sum() / said.tokens.sum().clamp(min=1)
