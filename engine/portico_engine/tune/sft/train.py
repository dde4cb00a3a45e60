"""The training loop: cosine schedule, clipped AdamW, checkpoints to go on from, loss and speed as it goes.

It owns the loop's state. What is trained on comes as token rows; what comes out is written by `export`.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from portico_engine.tune.rendering import TokenRow
from portico_engine.tune.sft.batches import Batch, batches, collate
from portico_engine.tune.sft.low_rank import LowRankLinear, base_alone, with_adapter

_MOST_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run is made of. `most_seconds`: the schedule ends then, wherever it is."""

    rank: int = 32
    alpha: float = 64.0
    learning_rate: float = 1e-3
    epochs: float = 3.0
    batch_tokens: int = 32_768
    warmup: float = 0.03
    clip: float = 1.0
    weight_decay: float = 0.0
    keep_weight: float = 1.0
    seed: int = 1
    most_seconds: float = math.inf
    checkpoint_seconds: float = 60.0


class Diverged(Exception):
    """The loss is no number any more; the last checkpoint is from before."""


@dataclass(slots=True)
class History:
    """What a report shows."""

    points: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    tokens: int = 0
    steps: int = 0


class Trainer:
    """One run on one device. `say` is given a line of progress now and then."""

    def __init__(
        self,
        model: Any,
        rows: Sequence[TokenRow],
        settings: Settings,
        *,
        held_out: Sequence[TokenRow] = (),
        folder: Path | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        self.model = model
        self.settings = settings
        self.adapter: dict[str, LowRankLinear] = with_adapter(model, settings.rank, settings.alpha, settings.seed)
        self.history = History()
        self._rows = rows
        self._held_out = held_out
        self._folder = folder
        self._say = say
        self._device = next(model.parameters()).device
        parameters = [p for module in self.adapter.values() for p in (module.a, module.b)]
        fused = self._device.type == "cuda"
        self._parameters = parameters
        self._optimizer = torch.optim.AdamW(
            parameters, lr=settings.learning_rate, betas=(0.9, 0.99), weight_decay=settings.weight_decay, fused=fused
        )

    def run(self) -> History:
        """From the folder's checkpoint where there is one. Raises Diverged."""
        settings = self.settings
        plan = self._plan()
        first = self._resume()
        began = time.monotonic() - self.history.seconds
        saved = shown = time.monotonic()
        window: list[tuple[Tensor, int]] = []
        for step in range(first, len(plan)):
            elapsed = time.monotonic() - began
            progress = max(step / len(plan), elapsed / settings.most_seconds)
            if progress >= 1:
                self._say(f"the time is up at step {step} of {len(plan)}")
                break
            for group in self._optimizer.param_groups:
                group["lr"] = settings.learning_rate * schedule(progress, settings.warmup)
            batch = collate(plan[step])
            loss = self._step(batch)
            window.append((loss, batch.ids.numel()))
            self.history.steps, self.history.seconds = step + 1, time.monotonic() - began
            if step % 10 == 9 or step + 1 == len(plan):
                self._note(window, step + 1, len(plan), time.monotonic() - shown)
                window, shown = [], time.monotonic()
                if (
                    time.monotonic() - saved > settings.checkpoint_seconds
                ):  # right behind a look at the losses: they are numbers
                    self.save()
                    saved = time.monotonic()
        self.history.seconds = time.monotonic() - began
        self.save()
        return self.history

    def _plan(self) -> list[list[TokenRow]]:
        settings = self.settings
        plan: list[list[TokenRow]] = []
        for epoch in range(math.ceil(settings.epochs)):
            plan += batches(self._rows, settings.batch_tokens, settings.seed * 1000 + epoch)
        return plan[: round(len(plan) * settings.epochs / math.ceil(settings.epochs))]

    def _step(self, batch: Batch) -> Tensor:
        loss = self._loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._parameters, self.settings.clip)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    def _loss(self, batch: Batch) -> Tensor:
        ids, learned = batch.ids.to(self._device, non_blocking=True), batch.learned.to(self._device, non_blocking=True)
        if batch.kept:
            learned = _some(learned)
        logits = self._logits(ids, learned)
        if not batch.kept:
            targets = ids.roll(-1, 1)[learned]
            return torch.nn.functional.cross_entropy(logits, targets)
        with torch.no_grad(), base_alone(self.adapter):
            base = self._logits(ids, learned)
        log_p, log_q = logits.log_softmax(-1), base.log_softmax(-1)
        return self.settings.keep_weight * torch.nn.functional.kl_div(log_p, log_q, log_target=True, reduction="batchmean")

    @torch.no_grad()
    def held_out_loss(self) -> float:
        """Mean over the learned tokens of the rows that are not trained on."""
        total, count = 0.0, 0
        for rows in batches(self._held_out, self.settings.batch_tokens, 0):
            batch = collate(rows)
            tokens = int(batch.learned.sum())
            total += float(self._loss(batch)) * tokens
            count += tokens
        return total / max(count, 1)

    @torch.no_grad()
    def kept_agreement(self, rows: Sequence[TokenRow]) -> dict[str, float]:
        """How near the model has stayed to its base on rows that it shall answer as before: mean KL (base, tuned) in nats and
        the share of positions with the same top token."""
        divergence, same, count = 0.0, 0, 0
        for group in batches(rows, self.settings.batch_tokens, 0):
            batch = collate(group)
            ids, learned = batch.ids.to(self._device), _some(batch.learned.to(self._device))
            tuned = self._logits(ids, learned).log_softmax(-1)
            with base_alone(self.adapter):
                base = self._logits(ids, learned).log_softmax(-1)
            divergence += float(torch.nn.functional.kl_div(tuned, base, log_target=True, reduction="sum"))
            same += int((tuned.argmax(-1) == base.argmax(-1)).sum())
            count += len(base)
        return {"kl": divergence / max(count, 1), "same_top_token": same / max(count, 1), "positions": count}

    def _logits(self, ids: Tensor, learned: Tensor) -> Tensor:
        """Of the learned positions alone; the head sees no others."""
        logits: Tensor = self.model.lm_head(self.model.model(input_ids=ids, use_cache=False).last_hidden_state[learned]).float()
        return logits

    def _note(self, window: Sequence[tuple[Tensor, int]], step: int, steps: int, seconds: float) -> None:
        losses = torch.stack([loss for loss, _ in window]).float().cpu()
        if not bool(losses.isfinite().all()):
            raise Diverged(f"the loss is no number at step {step}; the last checkpoint is kept")
        tokens = sum(tokens for _, tokens in window)
        self.history.tokens += tokens
        point = {"step": step, "loss": round(float(losses.median()), 4), "seconds": round(self.history.seconds, 1)}
        self.history.points.append(point)
        if step % 50 == 0 or step in (10, steps):
            self._say(
                f"step {step}/{steps}  loss {point['loss']:.4f}  {tokens / max(seconds, 1e-9):,.0f} tokens/s  "
                f"{self.history.seconds:.0f} s"
            )

    def save(self) -> None:
        """The checkpoint, in place of the last one."""
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        state = {
            "adapter": {name: (m.a.detach().cpu(), m.b.detach().cpu()) for name, m in self.adapter.items()},
            "optimizer": self._optimizer.state_dict(),
            "history": asdict(self.history),
            "settings": json.dumps(asdict(self.settings)),
        }
        new = self._folder / "checkpoint.new"
        torch.save(state, new)
        new.replace(self._folder / "checkpoint.pt")

    def _resume(self) -> int:
        path = self._folder / "checkpoint.pt" if self._folder else None
        if path is None or not path.exists():
            return 0
        state = torch.load(path, map_location="cpu", weights_only=True)
        for name, (a, b) in state["adapter"].items():
            self.adapter[name].a.data.copy_(a)
            self.adapter[name].b.data.copy_(b)
        self._optimizer.load_state_dict(state["optimizer"])
        self.history = History(**state["history"])
        self._say(f"going on from step {self.history.steps}")
        return self.history.steps


def _some(positions: Tensor) -> Tensor:
    """At most `_MOST_KEPT` of the marked positions, evenly: a row of logits over the vocabulary is large."""
    every = -(-int(positions.sum()) // _MOST_KEPT)
    return positions & (positions.flatten().cumsum(0).view_as(positions) % max(every, 1) == 0)


def schedule(progress: float, warmup: float) -> float:
    """Share of the learning rate: up in a line, then down a half cosine to nothing."""
    if progress < warmup:
        return (progress + 1e-4) / warmup
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))
