"""A step whose logits are on a GPU: sampling and scoring there, a batch at a time.

It owns neither the logits' making nor the order of rows, which is the plan's.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from portico_engine.executors.step_result import assemble_result
from portico_engine.executors.torch.batch import StatesUnderWay, target_tokens
from portico_engine.executors.torch.device_faults import named_faults
from portico_engine.executors.torch.sampler import BatchSample, SampleRequest
from portico_engine.executors.torch.transfer import to_device
from portico_engine.grammar.protocol import Bitmask
from portico_engine.plan import Bias, StepPlan, StepResult


class CUDAStep:
    """`executors.protocol.PendingStep`. `logits` has a row for each of the plan's `logits_indices`, in order."""

    def __init__(
        self, plan: StepPlan, logits: Tensor, sampled: Tensor | None = None, states: StatesUnderWay | None = None
    ) -> None:
        """`sampled` int32 [slots] on the logits' device gets each row's token: what the next step's rows may follow. `states`
        are those that the logits don't tell of.
        """
        self._plan = plan
        self._states = states
        self.logits = logits
        self._last = sampled
        self._sample: BatchSample | None = None

    @torch.inference_mode()
    def sample(self, bitmask: Bitmask | None = None, bias: Bias | None = None) -> None:
        """See `PendingStep.sample`. Where rows are scored nobody follows, and there is time for that in `finish`."""
        with named_faults(str(self.logits.device)):
            requests = self._requests(bitmask, bias)
            if not requests:
                return
            scored = any(row.targets for row in self._plan.rows)
            logits = self.logits[self._where(scored=False).to(self.logits.device)] if scored else self.logits
            self._sample = BatchSample(logits, requests)
            if self._last is not None:
                self._keep_last(self._last, self._sample.tokens)

    @torch.inference_mode()
    def finish(self, bitmask: Bitmask | None = None, bias: Bias | None = None) -> StepResult:
        """Wait, sample where it does not yet, and score. The logits are consumed."""
        if self._sample is None:
            self.sample(bitmask, bias)
        with named_faults(str(self.logits.device)):
            sampled = () if self._sample is None else self._sample.read()
            return assemble_result(self._plan.rows, self._scores(), sampled, self._damaged())

    def _damaged(self) -> Collection[int]:
        slots = set() if self._states is None else self._states.damaged_slots()
        return [i for i, row in enumerate(self._plan.rows) if row.slot in slots]

    def _scores(self) -> Sequence[float]:
        """Log-probabilities of all targets, in plan order."""
        targets = target_tokens(self._plan.rows)
        if targets is None:
            return ()
        where = self._where(scored=True)
        logits = self.logits[where.to(self.logits.device)]
        values: list[float] = logits.log_softmax(-1).gather(1, targets[where].to(logits.device)).squeeze(1).tolist()
        return values

    def _requests(self, bitmask: Bitmask | None, bias: Bias | None) -> list[SampleRequest]:
        """One for every row of the logits that isn't scored, in plan order."""
        requests: list[SampleRequest] = []
        for i, row in enumerate(self._plan.rows):
            if row.logits_indices and not row.targets:
                assert row.sampling is not None, "a row whose next token is sampled needs a sampling state"
                mask = None if bitmask is None else bitmask[i]
                requests.append(SampleRequest(row.sampling, mask, (bias or {}).get(i)))
                requests += [SampleRequest(row.sampling)] * (len(row.logits_indices) - 1)  # behind guesses
        return requests

    def _keep_last(self, sampled: Tensor, tokens: Tensor) -> None:
        """Each sampling row's last token into its slot."""
        sampling = [row for row in self._plan.rows if row.logits_indices and not row.targets]
        ends = accumulate(len(row.logits_indices) for row in sampling)
        at = to_device(np.array([[end - 1 for end in ends], [row.slot for row in sampling]], np.int64), tokens.device)
        sampled.index_copy_(0, at[1], tokens[at[0]].to(sampled.dtype))

    def _where(self, *, scored: bool) -> Tensor:
        """Rows of the logits that are scored, or else sampled from, int64."""
        flags = [bool(row.targets) == scored for row in self._plan.rows for _ in row.logits_indices]
        return torch.tensor(flags).nonzero().squeeze(1)
