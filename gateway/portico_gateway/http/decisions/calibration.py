"""From log-probabilities of answers to probabilities that mean what they say.

A small model likes some answers whatever it reads. What it thinks of each behind a state that says nothing is taken off, as far
as that helped (contextual calibration: Zhao et al. 2021, "Calibrate Before Use"; Holtzman et al. 2021, "Surface Form
Competition"), and what is left is scaled (temperature scaling: Guo et al. 2017, "On Calibration of Modern Neural Networks").
Both numbers are fitted for a model on labelled questions, by `benchmarks/decisions.py`, which also measures on others how far
off the probabilities are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from portico_gateway.http.decisions.question import Kind


@dataclass(frozen=True, slots=True)
class Calibration:
    """p(answer) is proportional to exp(scale * (log p behind the state - prior * log p behind nothing))."""

    scale: float
    prior: float

    def probabilities(self, behind_state: Sequence[float], behind_nothing: Sequence[float]) -> tuple[float, ...]:
        """Of each answer; they add up to 1."""
        logits = [self.scale * (seen - self.prior * alone) for seen, alone in zip(behind_state, behind_nothing, strict=True)]
        most = max(logits)
        weights = [math.exp(logit - most) for logit in logits]
        total = sum(weights)
        return tuple(weight / total for weight in weights)


UNCALIBRATED: Mapping[Kind, Calibration] = {
    "predicate": Calibration(1.0, 1.0),
    "choice": Calibration(1.0, 1.0),
    "score": Calibration(1.0, 1.0),
}
# By the digest of what the model's file says.
_FITTED: Mapping[str, Mapping[Kind, Calibration]] = {
    # SmolLM2-135M-Instruct, Q4_1: benchmarks/results/decisions-2026-11-30.json
    "3eab85b30e8c52d392e4dc55239a0ad77c7d2812c05813c42ebc657c16ae50c8": {
        "predicate": Calibration(0.105, 0.0),
        "choice": Calibration(0.548, 0.9),
        "score": Calibration(0.646, 0.6),
    },
}


def calibration_of(content_digest: str) -> Mapping[Kind, Calibration] | None:
    """What was fitted for the model; None where nothing was."""
    return _FITTED.get(content_digest)


def confidence(probabilities: Sequence[float]) -> float:
    """How sure the model is, whichever answer it is sure of: 1 - entropy / greatest entropy, from 0 (all answers are as likely)
    to 1."""
    entropy = -sum(p * math.log(p) for p in probabilities if p > 0)
    return min(1.0, max(0.0, 1.0 - entropy / math.log(len(probabilities))))
