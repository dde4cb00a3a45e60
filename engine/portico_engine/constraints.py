"""What a step's rows may say: token masks from their grammars, and what their priors add.

It owns the filling only, and that a row's fault stays its own; matchers and priors are the requests'.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from portico_engine.faults import describe_fault
from portico_engine.grammar.protocol import Bitmask, Matcher, MatcherFactory
from portico_engine.plan import Bias
from portico_engine.sampling import unpack_mask
from portico_engine.scheduler import ScheduledStep
from portico_engine.sequence import Sequence

_Constrained = list[tuple[int, Sequence, Matcher]]  # (row, whose it is, its matcher)


class Constraints(NamedTuple):
    """The first two are for `PendingStep.finish`. `faults`: rows whose matcher or prior failed: how; all is allowed there."""

    bitmask: Bitmask | None
    bias: Bias | None
    faults: Mapping[int, str]

    def allows_nothing(self, row: int, vocab_size: int) -> bool:
        """Does the row's grammar leave no token?"""
        return self.bitmask is not None and not unpack_mask(self.bitmask[row], vocab_size).any()


def constrain(planned: ScheduledStep, grammars: MatcherFactory | None, vocab_size: int) -> Constraints:
    """Masks of the rows that sample a token under a grammar (all others allow everything), and their priors' opinions."""
    constrained: _Constrained = [
        (i, seq, seq.matcher)
        for i, (seq, row) in enumerate(zip(planned.sequences, planned.plan.rows, strict=True))
        if row.logits_indices and seq.matcher is not None
    ]
    if not constrained or grammars is None:
        return Constraints(None, None, {})
    bitmask = np.full((len(planned.sequences), -(-vocab_size // 32)), -1, dtype=np.int32)
    faults = _fill(bitmask, constrained, grammars)
    bias: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for i, seq, _ in constrained:
        if seq.prior is None or i in faults:
            continue
        try:
            allowed = np.flatnonzero(unpack_mask(bitmask[i], vocab_size))
            added = seq.prior.bias(seq.text, allowed)
            if added is not None:
                bias[i] = (allowed, _checked(added, len(allowed)))
        except BaseException as error:  # noqa: BLE001 - the request's own
            faults[i] = describe_fault("its prior", error)
    return Constraints(bitmask, bias or None, faults)


def _fill(bitmask: Bitmask, constrained: _Constrained, grammars: MatcherFactory) -> dict[int, str]:
    """All masks at once; one by one where that fails, so that it is known whose fault it is."""
    try:
        grammars.fill_bitmasks(bitmask, [(i, matcher, seq.remaining) for i, seq, matcher in constrained])
    except BaseException as error:  # noqa: BLE001 - one request's
        describe_fault("a grammar", error)
    else:
        return {}
    faults: dict[int, str] = {}
    for i, seq, matcher in constrained:
        bitmask[i] = -1
        try:
            grammars.fill_bitmasks(bitmask, [(i, matcher, seq.remaining)])
        except BaseException as error:  # noqa: BLE001 - the request's own
            faults[i] = describe_fault("its grammar", error)
            bitmask[i] = -1
    return faults


def _checked(added: np.ndarray, n_allowed: int) -> np.ndarray:
    """A caller's weights can't make a row fail that is well."""
    if added.shape != (n_allowed,) or np.isnan(added).any():
        raise ValueError(f"weights {added.shape} for {n_allowed} tokens, all of them to be numbers")
    return added
