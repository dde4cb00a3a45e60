"""GRPO (Shao et al. 2024): a group of answers to a question, each moved towards or away from by how much better it is than its
group. Answers are sampled by the engine, under the grammar, with the adapter as it stands.

Each group of answers is used for one step, so that the policy that is trained is the one that was sampled, and no ratio has to
be clipped. Tokens count alike over the batch (Yu et al. 2025); what the grammar forced carries no loss, and a token's
probability is among those that it allowed. The distance from where the run began is held small by the k3
estimator (Schulman 2020).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from portico_engine.adapters.adapter import StoredAdapter
from portico_engine.grammar.compiled import CompiledGrammar
from portico_engine.tune.calling.caller import Answer, ToolCaller
from portico_engine.tune.calling.scoring import is_right, verified_reward
from portico_engine.tune.calling.task import Task
from portico_engine.tune.reinforcement.masks import allowed_tokens
from portico_engine.tune.rendering import TokenRow
from portico_engine.tune.training.batches import collate, grouped, planned
from portico_engine.tune.training.likelihood import learned_logits
from portico_engine.tune.training.loop import Diverged, History, Loop, Settings
from portico_engine.tune.training.low_rank import with_adapter
from portico_engine.tune.training.start import begin_at, digest

_ANSWER = 64  # tokens that an answer is taken to have when batches are planned


class RewardFunction(Protocol):
    """What says how good answers are: a reward model."""

    def scores(self, rows: Sequence[TokenRow]) -> Tensor: ...


class GRPOTrainer:
    """One run on one device, over an engine whose adapter it sets. `reward_weight` weighs the scorer's beside the reward that
    is checked, which counts once.
    """

    def __init__(
        self,
        model: Any,
        tasks: Sequence[Task],
        settings: Settings,
        *,
        start: StoredAdapter,
        caller: ToolCaller,
        scorer: RewardFunction | None = None,
        reward_weight: float = 0.3,
        group: int = 8,
        temperature: float = 1.0,
        nearness: float = 0.02,
        folder: Path | None = None,
        made_from: str = "",
        say: Callable[[str], None] = print,
    ) -> None:
        self.model = model
        self.settings = settings
        self.adapter = with_adapter(model, settings.rank, settings.alpha, settings.seed)
        begin_at(self.adapter, start)
        self._start = {name: (m.a.detach().clone(), m.b.detach().clone()) for name, m in self.adapter.items()}
        self._tasks, self._caller, self._scorer = tasks, caller, scorer
        self._reward_weight, self._group, self._temperature, self._nearness = reward_weight, group, temperature, nearness
        self._device = next(model.parameters()).device
        self._told: list[dict[str, float]] = []
        self.loop: Loop[list[Task]] = Loop(
            self.adapter, settings, loss=self._loss, size=self._size, measures=self._measures, folder=folder,
            made_from=digest(made_from, "grpo", f"{group} {temperature} {nearness} {reward_weight}"), say=say,
        )  # fmt: skip

    def run(self) -> History:
        """From the folder's checkpoint where there is one. Raises TrainingStopped."""
        settings = self.settings
        return self.loop.run(
            planned(
                settings.epochs,
                settings.seed,
                lambda seed: grouped(self._tasks, settings.batch_tokens, random.Random(seed), self._length),
            )
        )

    def matrices(self) -> Mapping[str, tuple[Tensor, Tensor]]:
        """The adapter as it stands."""
        return {name: (module.a, module.b) for name, module in self.adapter.items()}

    def _length(self, task: Task) -> int:
        return self._group * (len(task.prompt) + _ANSWER)

    def _size(self, tasks: Sequence[Task]) -> int:
        return sum(map(self._length, tasks))

    def _loss(self, tasks: Sequence[Task]) -> Tensor:
        scale = next(iter(self.adapter.values())).scale
        self._caller.use(self.matrices(), scale)
        seed = self.settings.seed * 100_003 + self.loop.history.steps
        answers = self._caller.ask(tasks, each=self._group, temperature=self._temperature, seed=seed)
        rows = [
            [TokenRow((*task.prompt, *answer.tokens), len(task.prompt)) for answer in of]
            for task, of in zip(tasks, answers, strict=True)
        ]
        rewards = self._rewards(tasks, answers, rows)
        spread = rewards.std(1, keepdim=True)
        advantages = ((rewards - rewards.mean(1, keepdim=True)) / (spread + 1e-4)).flatten()
        flat = [(task, answer) for task, of in zip(tasks, answers, strict=True) for answer in of]
        loss = self._policy_loss([row for of in rows for row in of], flat, advantages)
        if not bool(loss.isfinite()):  # the next rollouts would be by an adapter of numbers that are none
            raise Diverged(f"the loss is no number at step {self.loop.history.steps + 1}; the last checkpoint is from before")
        return loss

    def _rewards(
        self, tasks: Sequence[Task], answers: Sequence[Sequence[Answer]], rows: Sequence[Sequence[TokenRow]]
    ) -> Tensor:
        """float32 [tasks, group]."""
        checked = torch.tensor([[verified_reward(task, one) for one in of] for task, of in zip(tasks, answers, strict=True)])
        right = torch.tensor([[is_right(task, one) for one in of] for task, of in zip(tasks, answers, strict=True)])
        told = {"reward": float(checked.mean()), "right": float(right.float().mean())}
        total = checked
        if self._scorer is not None:
            scored = self._scorer.scores([row for of in rows for row in of]).view_as(checked)
            told["scored"] = float(scored.mean())
            total = checked + self._reward_weight * scored
        self._told.append(told)
        return total

    def _policy_loss(self, rows: Sequence[TokenRow], answered: Sequence[tuple[Task, Answer]], advantages: Tensor) -> Tensor:
        batch = collate(rows)
        ids, learned = batch.ids.to(self._device), batch.learned.to(self._device)
        targets = ids.roll(-1, 1)[learned]
        allowed, counted = self._allowed(answered)
        with torch.no_grad(), self._as_it_began():
            began = self._masked_log_p(ids, learned, targets, allowed)
        log_p = self._masked_log_p(ids, learned, targets, allowed)
        of_row = learned.nonzero()[:, 0]
        apart = (began - log_p).clamp(max=10)
        distance = apart.exp() - apart - 1
        per_token = -advantages.to(self._device)[of_row] * (log_p - log_p.detach()).exp() + self._nearness * distance
        return (per_token * counted).sum() / counted.sum().clamp(min=1)

    def _allowed(self, answered: Sequence[tuple[Task, Answer]]) -> tuple[Tensor, Tensor]:
        """bool [tokens, vocab] of what the grammars allowed, float32 [tokens] of what counts: the tokens that were sampled."""
        vocab = self.model.config.vocab_size
        engine = self._caller.engine
        masks = [allowed_tokens(_grammar(task), answer.tokens, engine.grammars, vocab) for task, answer in answered]
        counted = torch.tensor([float(one) for _, answer in answered for one in answer.sampled])
        return torch.cat(masks).to(self._device), counted.to(self._device)

    def _masked_log_p(self, ids: Tensor, learned: Tensor, targets: Tensor, allowed: Tensor) -> Tensor:
        """float32 [tokens]."""
        logits = learned_logits(self.model, ids, learned).masked_fill(~allowed, -torch.inf) / self._temperature
        return torch.gather(logits, 1, targets[:, None])[:, 0] - logits.logsumexp(-1)

    @contextmanager
    def _as_it_began(self) -> Iterator[None]:
        now = {name: (module.a.data, module.b.data) for name, module in self.adapter.items()}
        for name, module in self.adapter.items():
            module.a.data, module.b.data = self._start[name]
        try:
            yield
        finally:
            for name, module in self.adapter.items():
                module.a.data, module.b.data = now[name]

    def _measures(self) -> dict[str, float]:
        if not self._told:
            return {}
        told, self._told = self._told, []
        return {name: sum(one[name] for one in told) / len(told) for name in told[0]}


def _grammar(task: Task) -> CompiledGrammar:
    assert task.grammar is not None, "a task of `tasks_of` has one"
    return task.grammar
