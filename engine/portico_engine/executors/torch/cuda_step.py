"""A step whose logits are on a GPU: sampling and scoring there, a batch at a time.

It owns neither the logits' making nor the order of rows, which is the plan's.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from portico_engine.executors.step_result import assemble_result
from portico_engine.executors.torch.batch import target_tokens
from portico_engine.executors.torch.device_faults import named_faults
from portico_engine.executors.torch.sampler import SampleRequest, sample_batch
from portico_engine.grammar.protocol import Bitmask
from portico_engine.plan import Bias, StepPlan, StepResult
from portico_engine.sampling import SampledToken


class CUDAStep:
    """`executors.protocol.PendingStep`. `logits` has a row for each of the plan's `logits_indices`, in order."""

    def __init__(self, plan: StepPlan, logits: Tensor) -> None:
        self._plan = plan
        self.logits = logits

    @torch.inference_mode()
    def finish(self, bitmask: Bitmask | None = None, bias: Bias | None = None) -> StepResult:
        """Wait, sample and score. The logits are consumed."""
        with named_faults(str(self.logits.device)):
            return assemble_result(self._plan.rows, self._scores(), self._sampled(bitmask, bias))

    def _scores(self) -> Sequence[float]:
        """Log-probabilities of all targets, in plan order."""
        targets = target_tokens(self._plan.rows)
        if targets is None:
            return ()
        where = self._where(scored=True)
        logits = self.logits[where.to(self.logits.device)]
        values: list[float] = logits.log_softmax(-1).gather(1, targets[where].to(logits.device)).squeeze(1).tolist()
        return values

    def _sampled(self, bitmask: Bitmask | None, bias: Bias | None) -> Sequence[SampledToken | None]:
        """A token for every row of the logits that isn't scored, in plan order."""
        requests: list[SampleRequest] = []
        for i, row in enumerate(self._plan.rows):
            if row.logits_indices and not row.targets:
                assert row.sampling is not None, "a row whose next token is sampled needs a sampling state"
                mask = None if bitmask is None else bitmask[i]
                requests.append(SampleRequest(row.sampling, mask, (bias or {}).get(i)))
                requests += [SampleRequest(row.sampling)] * (len(row.logits_indices) - 1)  # behind guesses
        if not requests:
            return ()
        if any(row.targets for row in self._plan.rows):
            return sample_batch(self.logits[self._where(scored=False).to(self.logits.device)], requests)
        return sample_batch(self.logits, requests)

    def _where(self, *, scored: bool) -> Tensor:
        """Rows of the logits that are scored, or else sampled from, int64."""
        flags = [bool(row.targets) == scored for row in self._plan.rows for _ in row.logits_indices]
        return torch.tensor(flags).nonzero().squeeze(1)
