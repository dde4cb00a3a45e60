"""What a step's rows may say: token masks from their grammars, and what their priors add.

It owns the filling only, and that a row's fault stays its own; matchers and priors are the requests'.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import NamedTuple

import numpy as np

from portico_engine.faults import describe_fault
from portico_engine.grammar.protocol import Bitmask, Matcher, MatcherFactory
from portico_engine.plan import Bias
from portico_engine.repetition import dry_penalties
from portico_engine.sampling import allowed_tokens, unpack_mask
from portico_engine.scheduled_step import ScheduledStep
from portico_engine.sequence import Sequence

_Added = tuple[np.ndarray, np.ndarray]  # (tokens, what is added to their logits)
_Constrained = list[tuple[int, Sequence, Matcher]]  # (row, whose it is, its matcher)


class Constraints(NamedTuple):
    """The first two are for `PendingStep.finish`. `faults`: rows whose matcher, prior or penalties failed: how; all is allowed
    there.
    """

    bitmask: Bitmask | None
    bias: Bias | None
    faults: Mapping[int, str]

    def allows_nothing(self, row: int, vocab_size: int) -> bool:
        """Do the row's grammar and what is added to its logits leave no token?"""
        return self.bitmask is not None and not unpack_mask(self.bitmask[row], vocab_size).any()


def constrain(planned: ScheduledStep, grammars: MatcherFactory | None, vocab_size: int) -> Constraints:
    """Masks of the rows that sample a token under a grammar (all others allow everything), and what is added to logits: their
    priors' opinions, penalties on repetitions, and the ban on ends of answers that are too short.
    """
    masks = _constrain(planned, grammars, vocab_size)
    bitmask, faults, bias = masks.bitmask, dict(masks.faults), dict(masks.bias or {})
    for i, (seq, row) in enumerate(zip(planned.sequences, planned.plan.rows, strict=True)):
        if not row.logits_indices or i in faults:
            continue
        try:
            added = _added(seq, bias.get(i), None if bitmask is None else bitmask[i], vocab_size)
        except BaseException as error:  # noqa: BLE001 - the request's own
            faults[i] = describe_fault("its sampling", error)
            bias.pop(i, None)
            continue
        if added is not None:
            bias[i] = added
        if _bars_everything(seq, added, None if bitmask is None else bitmask[i], vocab_size):
            bitmask = _no_limits(len(planned.sequences), vocab_size) if bitmask is None else bitmask
            bitmask[i] = 0
    return Constraints(bitmask, bias or None, faults)


def _added(seq: Sequence, prior: _Added | None, words: np.ndarray | None, vocab_size: int) -> _Added | None:
    """What is added to a row's logits beside its prior's weights; `words` is its mask, from which ends may be taken."""
    added = prior
    repeated = dry_penalties(seq.tokens, seq.request.sampling, seq.breakers)
    if repeated is not None:
        added = repeated if added is None else _sum(added, repeated)
    if seq.too_short and seq.ends:
        if seq.matcher is None:
            banned = np.array(sorted(seq.ends), np.int64), np.full(len(seq.ends), -np.inf, np.float32)
            added = banned if added is None else _sum(added, banned)
        elif words is not None:
            _hold_back(words, seq.ends, vocab_size)
    return added


def _bars_everything(seq: Sequence, added: _Added | None, words: np.ndarray | None, vocab_size: int) -> bool:
    """Is every token that the mask allows at minus infinity? That is the request's doing: its model is well."""
    barred = set(seq.barred)
    if added is not None:
        barred.update(added[0][np.isneginf(added[1])].tolist())
    if not barred or (words is None and len(barred) < vocab_size):
        return False
    allowed = np.ones(vocab_size, np.bool_) if words is None else unpack_mask(words, vocab_size)
    allowed[list(barred)] = False
    return not allowed.any()


def _no_limits(n_rows: int, vocab_size: int) -> Bitmask:
    return np.full((n_rows, -(-vocab_size // 32)), -1, dtype=np.int32)


def _hold_back(words: np.ndarray, ends: Set[int], vocab_size: int) -> None:
    """Take the ends out of a mask, where something else is left."""
    allowed = unpack_mask(words, vocab_size)
    allowed[[token for token in ends if token < vocab_size]] = False
    if allowed.any():
        bits = words.view(np.uint32)
        for token in ends:
            bits[token // 32] &= np.uint32(0xFFFFFFFF ^ (1 << token % 32))


def _sum(one: _Added, other: _Added) -> _Added:
    """Both, a token once."""
    tokens, places = np.unique(np.concatenate([one[0], other[0]]), return_inverse=True)
    added = np.zeros(tokens.size, np.float32)
    np.add.at(added, places, np.concatenate([one[1], other[1]]))
    return tokens, added


def _constrain(planned: ScheduledStep, grammars: MatcherFactory | None, vocab_size: int) -> Constraints:
    constrained: _Constrained = [
        (i, seq, seq.matcher)
        for i, (seq, row) in enumerate(zip(planned.sequences, planned.plan.rows, strict=True))
        if row.logits_indices and seq.matcher is not None
    ]
    if not constrained or grammars is None:
        return Constraints(None, None, {})
    bitmask = _no_limits(len(planned.sequences), vocab_size)
    faults = _fill(bitmask, constrained, grammars)
    bias: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for i, seq, _ in constrained:
        if seq.prior is None or i in faults:
            continue
        try:
            allowed = allowed_tokens(bitmask[i], vocab_size)
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
    with np.errstate(over="ignore"):
        added = np.asarray(added).astype(np.float32)
    if added.shape != (n_allowed,) or not (added < np.inf).all():
        raise ValueError(f"weights {added.shape} for {n_allowed} tokens, all of them to be numbers or minus infinity")
    return added
