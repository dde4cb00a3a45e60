"""A step in the host's memory: of which tokens it asks an executor for logits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from portico_engine import SamplingParams
from portico_engine.executors.host_step import HostStep, Logits
from portico_engine.plan import Row, StepPlan
from portico_engine.sampling import SamplingState

VOCAB = 2000
STATE = SamplingState(SamplingParams(temperature=0.8, logprobs=3), 7, 3)
LOGITS = (3 * np.random.default_rng(1).standard_normal((3, VOCAB))).astype(np.float32)


def row(slot: int, logits_indices: tuple[int, ...] = (0,), targets: tuple[int, ...] = ()) -> Row:
    return Row(slot, (5, 6), 0, (slot,), logits_indices, None if targets else STATE, targets)


def mask(*allowed: Sequence[int]) -> npt.NDArray[np.int32]:
    bits = np.zeros((len(allowed), VOCAB // 32 * 32 + 32), np.uint8)
    for of_row, tokens in zip(bits, allowed, strict=True):
        of_row[list(tokens)] = 1
    return np.packbits(bits, axis=1, bitorder="little").view(np.int32)


class Head:
    """Computes what it is asked for, and minus infinity for all others."""

    def __init__(self, rows: int) -> None:
        self.logits = LOGITS[:rows]
        self.asked: list[npt.NDArray[np.int64] | None] = []

    def __call__(self, tokens: npt.NDArray[np.int64] | None) -> Logits:
        self.asked.append(tokens)
        if tokens is None:
            return self.logits.copy()
        out = np.full_like(self.logits, -np.inf)
        out[:, tokens] = self.logits[:, tokens]
        return out


FEW = mask([3, 70, 1999], [], [70, 900])
ROWS = (row(0), row(1, ()), row(2))


def test_where_masks_allow_few_tokens_theirs_alone_are_asked_for() -> None:
    head = Head(2)
    got = HostStep(StepPlan(ROWS), head).finish(FEW)
    assert [None if tokens is None else tokens.tolist() for tokens in head.asked] == [[3, 70, 900, 1999]]
    assert got == HostStep(StepPlan(ROWS), LOGITS[:2].copy()).finish(FEW)


@pytest.mark.parametrize("params", [
    SamplingParams(temperature=0, logprobs=2), SamplingParams(temperature=0.7, repetition_penalty=1.3, presence_penalty=0.5),
    SamplingParams(temperature=1, logit_bias=((70, 4.0), (1500, 9.0))),
])  # fmt: skip
def test_tokens_and_log_probabilities_are_those_of_all_logits(params: SamplingParams) -> None:
    state = SamplingState(params, 3, 1, {70: 2, 1200: 1}, {3, 70, 1300})
    rows = (row(0)._replace(sampling=state),)
    bias = {0: (np.array([70, 1700]), np.array([1.0, 50.0], np.float32))}
    allowed = mask([3, 70, 1999])
    got = HostStep(StepPlan(rows), Head(1)).finish(allowed, bias)
    assert got == HostStep(StepPlan(rows), LOGITS[:1].copy()).finish(allowed, bias)


@pytest.mark.parametrize(
    ("rows", "allowed"),
    [
        ((row(0),), None),
        ((row(0), row(1)), mask([1, 2], range(VOCAB))),
        ((row(0), row(1)), mask([1, 2], range(0, 1024, 2))),
        ((row(0), row(1, (0,), (9,))), mask([1, 2], [])),
        ((row(0, (0, 1)),), mask([1, 2])),
    ],
    ids=["no mask", "one row without a grammar", "many tokens", "a row that is scored", "guesses"],
)
def test_else_all_logits_are_asked_for(rows: tuple[Row, ...], allowed: npt.NDArray[np.int32] | None) -> None:
    head = Head(sum(len(row.logits_indices) for row in rows))
    HostStep(StepPlan(rows), head).finish(allowed)
    assert head.asked == [None]


def test_a_mask_that_allows_nothing_fails_its_row() -> None:
    assert HostStep(StepPlan((row(0),)), Head(1)).finish(mask([])).failed_rows == (0,)
