"""The step that samples where its logits are beside the host's, its oracle, with tensors on the CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from portico_engine import SamplingParams
from portico_engine.executors.host_step import HostStep
from portico_engine.executors.torch.cuda_step import CUDAStep
from portico_engine.plan import Row, StepPlan
from portico_engine.sampling import SamplingState

VOCAB = 100
STATE = SamplingState(SamplingParams(temperature=0.8, logprobs=2), 7, 3)
SAMPLED = Row(0, (1, 2, 3), 0, (0,), (0, 2), STATE)
SCORED = Row(1, (4, 5), 0, (1,), (0, 1), targets=(9, 40))
SILENT = Row(2, (6,), 0, (2,))
LAST = Row(3, (7,), 0, (3,), (0,), STATE)


@pytest.mark.parametrize(
    "rows", [(SAMPLED, SCORED, SILENT, LAST), (SCORED,), (SAMPLED, LAST), (SILENT,), ()],
    ids=["all kinds", "scored", "sampled", "silent", "none"],
)  # fmt: skip
@pytest.mark.parametrize("masked", [False, True])
def test_a_steps_result_is_the_hosts(rows: tuple[Row, ...], masked: bool) -> None:
    n = sum(len(row.logits_indices) for row in rows)
    logits = (3 * np.random.default_rng(2).standard_normal((n, VOCAB))).astype(np.float32)
    mask = np.random.default_rng(3).integers(-(2**31), 2**31, (len(rows), 4)).astype(np.int32) if masked else None
    if mask is not None:
        mask[-1:] = 0
    bias = {0: (np.array([11]), np.array([2.0], np.float32))} if rows else None
    expected = HostStep(StepPlan(rows), logits.copy()).finish(mask, bias)
    got = CUDAStep(StepPlan(rows), torch.from_numpy(logits.copy())).finish(mask, bias)
    assert (got.tokens, got.failed_rows) == (expected.tokens, expected.failed_rows)
    assert [len(of_row) for of_row in got.logprobs] == [len(of_row) for of_row in expected.logprobs]
    for mine, theirs in zip(got.logprobs, expected.logprobs, strict=True):
        assert mine == pytest.approx(theirs, abs=1e-4)
    assert [[[t for t, _ in top] for top in of_row] for of_row in got.top_logprobs] == [
        [[t for t, _ in top] for top in of_row] for of_row in expected.top_logprobs
    ]


def test_a_step_that_samples_leaves_each_rows_last_token_in_its_slot() -> None:
    logits = np.random.default_rng(4).standard_normal((5, VOCAB)).astype(np.float32)
    logits[4] = np.nan
    failed = Row(4, (8,), 0, (4,), (0,), STATE)
    rows = (SAMPLED, SCORED, SILENT, failed)
    slots = torch.full((6,), -1, dtype=torch.int32)
    step = CUDAStep(StepPlan(rows), torch.from_numpy(logits.copy()), slots)
    step.sample()
    kept = slots.tolist()
    found = step.finish()
    assert kept[0] == found.tokens[0][-1]
    assert (kept[1], kept[2], kept[3], kept[5]) == (-1, -1, -1, -1)
    assert found.failed_rows == (3,)
    assert 0 <= kept[4] < VOCAB, "a row that follows a failed one reads an embedding that there is"
