"""A step whose logits are in this machine's memory: sampling tokens by masks, biases and their states, and scoring targets.

It owns neither the logits' making nor the order of rows, which is the plan's. It does say of which tokens logits are wanted:
where masks allow few, an executor need not compute the others'.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from portico_engine.executors.step_result import assemble_result
from portico_engine.grammar.protocol import Bitmask
from portico_engine.plan import Bias, Row, StepPlan, StepResult
from portico_engine.sampling import SampledToken, allowed_tokens, log_softmax_at, sample, unpack_mask

_log = logging.getLogger(__name__)
_FEW = 256  # wanted tokens: for more, most of a vocabulary's panels would be computed after all
Logits: TypeAlias = npt.NDArray[np.float32]  # [logits, vocab_size]
Head: TypeAlias = Callable[
    [npt.NDArray[np.int64] | None], Logits
]  # of these tokens, others' may be minus infinity; None: of all


class HostStep:
    """`executors.protocol.PendingStep`, whose tokens have been read."""

    def __init__(self, plan: StepPlan, logits: Logits | Head, damaged: Collection[int] = ()) -> None:
        """`logits` has a row for each of the plan's `logits_indices`, in order, or is what computes them once it is known which
        are wanted. `damaged`: rows that are known to have failed, those without logits among them.
        """
        self._plan = plan
        self._logits = logits
        self._damaged = frozenset(damaged)
        self._limits: tuple[Bitmask | None, Bias | None] = None, None

    @property
    def logits(self) -> Logits:
        """Of all tokens."""
        return self._logits(None) if callable(self._logits) else self._logits

    def sample(self, bitmask: Bitmask | None = None, bias: Bias | None = None) -> None:
        """See `PendingStep.sample`: here it is done in `finish`, since nobody follows it."""
        self._limits = bitmask, bias

    def finish(self, bitmask: Bitmask | None = None, bias: Bias | None = None) -> StepResult:
        """Sample and score. The logits are consumed."""
        bitmask, bias = self._limits if bitmask is None and bias is None else (bitmask, bias)
        given = self._logits
        every = given(_wanted_tokens(self._plan.rows, bitmask)) if callable(given) else given
        scores: list[float] = []
        sampled: list[SampledToken | None] = []
        at = 0
        for i, row in enumerate(self._plan.rows):
            logits = every[at : at + len(row.logits_indices)]
            at += len(row.logits_indices)
            if row.targets:
                scores += log_softmax_at(logits, np.array(row.targets)).tolist()
            else:
                sampled += [_sample(i, row, values, bitmask, bias) for values in logits[:1]]
                sampled += [_sample(i, row, values, None, None) for values in logits[1:]]  # behind guesses
        return assemble_result(self._plan.rows, scores, sampled, self._damaged)


def _wanted_tokens(rows: Sequence[Row], bitmask: Bitmask | None) -> npt.NDArray[np.int64] | None:
    """Those that some row may sample, where they are few; None where all are wanted."""
    if bitmask is None or any(row.targets or len(row.logits_indices) > 1 for row in rows):
        return None
    words = np.bitwise_or.reduce(bitmask[[i for i, row in enumerate(rows) if row.logits_indices]])
    if np.count_nonzero(words) > _FEW:
        return None
    tokens = allowed_tokens(words, words.size * 32)
    return tokens if tokens.size <= _FEW else None


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
