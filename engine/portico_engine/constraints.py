"""What a step's rows may say: token masks from their grammars, and what their priors add.

It owns the filling only; matchers and priors are the requests' own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from portico_engine.grammar.protocol import Bitmask, MatcherFactory
from portico_engine.plan import Bias
from portico_engine.sampling import unpack_mask
from portico_engine.scheduler import ScheduledStep


class Constraints(NamedTuple):
    """For `PendingStep.finish`."""

    bitmask: Bitmask | None
    bias: Bias | None


def constrain(planned: ScheduledStep, grammars: MatcherFactory | None, vocab_size: int) -> Constraints:
    """Masks of the rows that sample a token under a grammar (all others allow everything), and their priors' opinions."""
    constrained = [
        (i, seq)
        for i, (seq, row) in enumerate(zip(planned.sequences, planned.plan.rows, strict=True))
        if row.logits_indices and seq.matcher is not None
    ]
    if not constrained or grammars is None:
        return Constraints(None, None)
    bitmask = np.full((len(planned.sequences), -(-vocab_size // 32)), -1, dtype=np.int32)
    grammars.fill_bitmasks(bitmask, [(i, seq.matcher, seq.remaining) for i, seq in constrained if seq.matcher is not None])
    bias: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for i, seq in constrained:
        prior = seq.prior
        if prior is None:
            continue
        allowed = np.flatnonzero(unpack_mask(bitmask[i], vocab_size))
        added = prior.bias(seq.text, allowed)
        if added is not None:
            bias[i] = (allowed, added)
    return Constraints(bitmask, bias or None)
