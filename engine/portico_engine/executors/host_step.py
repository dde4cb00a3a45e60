"""A step whose logits are in this machine's memory: sampling tokens by masks, biases and their states, and scoring targets.

It owns neither the logits' making nor the order of rows, which is the plan's.
"""

from __future__ import annotations

import logging
from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from portico_engine.executors.step_result import assemble_result
from portico_engine.grammar.protocol import Bitmask
from portico_engine.plan import Bias, Row, StepPlan, StepResult
from portico_engine.sampling import SampledToken, log_softmax_at, sample, unpack_mask

_log = logging.getLogger(__name__)


class HostStep:
    """`executors.protocol.PendingStep`, already run. `logits` has a row for each of the plan's `logits_indices`, in order."""

    def __init__(self, plan: StepPlan, logits: npt.NDArray[np.float32], damaged: Collection[int] = ()) -> None:
        """`damaged`: rows that are known to have failed, those without logits among them."""
        self._plan = plan
        self.logits = logits
        self._damaged = frozenset(damaged)
        self._limits: tuple[Bitmask | None, Bias | None] = None, None

    def sample(self, bitmask: Bitmask | None = None, bias: Bias | None = None) -> None:
        """See `PendingStep.sample`: here it is done in `finish`, since nobody follows it."""
        self._limits = bitmask, bias

    def finish(self, bitmask: Bitmask | None = None, bias: Bias | None = None) -> StepResult:
        """Sample and score. The logits are consumed."""
        bitmask, bias = self._limits if bitmask is None and bias is None else (bitmask, bias)
        scores: list[float] = []
        sampled: list[SampledToken | None] = []
        at = 0
        for i, row in enumerate(self._plan.rows):
            logits = self.logits[at : at + len(row.logits_indices)]
            at += len(row.logits_indices)
            if row.targets:
                scores += log_softmax_at(logits, np.array(row.targets)).tolist()
            else:
                sampled += [_sample(i, row, values, bitmask, bias) for values in logits[:1]]
                sampled += [_sample(i, row, values, None, None) for values in logits[1:]]  # behind guesses
        return assemble_result(self._plan.rows, scores, sampled, self._damaged)


def _sample(
    i: int, row: Row, logits: npt.NDArray[np.float32], bitmask: Bitmask | None, bias: Bias | None
) -> SampledToken | None:
    assert row.sampling is not None, "a row whose next token is sampled needs a sampling state"
    try:
        if bias and i in bias:
            tokens, added = bias[i]
            logits[tokens] += added
        return sample(logits, row.sampling, None if bitmask is None else unpack_mask(bitmask[i], logits.size))
    except (ArithmeticError, LookupError, MemoryError, ValueError):  # the row's own: the others of its step are well
        _log.exception("a row can't be sampled")
        return None
