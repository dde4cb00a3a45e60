"""A step whose logits are in this machine's memory: picking tokens by masks, biases and draws, and scoring targets.

It owns neither the logits' making nor the order of rows, which is the plan's.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from portico_engine.grammar.protocol import Bitmask
from portico_engine.plan import Bias, Row, Sampled, StepPlan
from portico_engine.sampling import Pick, TopLogprobs, log_softmax_at, pick, unpack_mask


class HostStep:
    """`executors.protocol.Step`, already run. `logits` has a row a wanted position, in plan order."""

    def __init__(self, plan: StepPlan, logits: npt.NDArray[np.float32]) -> None:
        self._plan = plan
        self.logits = logits

    def finish(self, bitmask: Bitmask | None = None, bias: Bias | None = None) -> Sampled:
        """Pick. The logits are consumed."""
        tokens: list[tuple[int, ...]] = []
        logprobs: list[tuple[float, ...]] = []
        tops: list[tuple[TopLogprobs, ...]] = []
        bad: list[int] = []
        at = 0
        for i, row in enumerate(self._plan.rows):
            logits = self.logits[at : at + len(row.want)]
            at += len(row.want)
            if row.targets:
                tokens.append(row.targets)
                logprobs.append(tuple(log_softmax_at(logits, np.array(row.targets)).tolist()))
                tops.append(())
                continue
            picks = _pick_row(i, row, logits, bitmask, bias)
            if picks is None:
                bad.append(i)
                picks = []
            tokens.append(tuple(p.token for p in picks))
            logprobs.append(tuple(p.logprob for p in picks))
            tops.append(tuple(p.top for p in picks))
        return Sampled(tuple(tokens), tuple(logprobs), tuple(tops), tuple(bad))


def _pick_row(
    i: int, row: Row, logits: npt.NDArray[np.float32], bitmask: Bitmask | None, bias: Bias | None
) -> list[Pick] | None:
    picks: list[Pick] = []
    for values in logits:
        assert row.draw is not None, "a row that wants a token needs a draw"
        if bias and i in bias:
            where, what = bias[i]
            values[where] += what
        mask = None if bitmask is None else unpack_mask(bitmask[i], values.size)
        picked = pick(values, row.draw, mask)
        if picked is None:
            return None
        picks.append(picked)
    return picks
