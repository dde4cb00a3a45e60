"""The training loop: cosine schedule, clipped AdamW, checkpoints to go on from, loss and speed as it goes.

It owns the loop's state and what ends a run: its plan, its time, a loss that goes astray, memory that is too small. What a
batch is and what its loss is, the methods say.
"""

from __future__ import annotations

import gc
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from portico_engine.errors import EngineError
from portico_engine.tune.training.low_rank import LowRankLinear

CHECKPOINT = "checkpoint.pt"
_STRAYED = 3.0  # times the first loss, and over it by one: whatever it was, it does not come back
_SILENCE = 10.0  # seconds of ten steps, from which on each ten are told of
_MAY_CHANGE = ("most_seconds", "checkpoint_seconds")  # of the settings, between a run and its going on

BatchT = TypeVar("BatchT", bound=Sequence[Any])


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


class TrainingStopped(EngineError):
    """A run that can't go on. The message says why, and what to do."""


class Diverged(TrainingStopped):
    """The loss is no number any more, or far over where it began; the last checkpoint is from before."""


class OutOfMemory(TrainingStopped):
    """A step doesn't fit; the message says which batch does."""


class OtherRun(TrainingStopped):
    """The folder's checkpoint is of a run with other settings or another start."""


@dataclass(slots=True)
class History:
    """What a report shows."""

    points: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    tokens: int = 0
    steps: int = 0


class Loop(Generic[BatchT]):
    """One run on one device. `loss` of a batch, `size` of it in tokens; `measures` are told beside the loss; `made_from` pins
    what the run begins with: a checkpoint of anything else is refused."""

    def __init__(
        self,
        adapter: Mapping[str, LowRankLinear],
        settings: Settings,
        *,
        loss: Callable[[BatchT], Tensor],
        size: Callable[[BatchT], int],
        parameters: Sequence[torch.nn.Parameter] = (),
        measures: Callable[[], Mapping[str, float]] = dict,
        folder: Path | None = None,
        made_from: str = "",
        paged: bool = False,
        say: Callable[[str], None] = print,
    ) -> None:
        self.adapter = adapter
        self.settings = settings
        self.history = History()
        self._loss, self._size, self._measures = loss, size, measures
        self._folder, self._made_from, self._say = folder, made_from, say
        self._more = list(parameters)
        self._parameters = [p for module in adapter.values() for p in (module.a, module.b)] + self._more
        self._optimizer = _optimizer(self._parameters, settings, paged=paged)

    def run(self, plan: Sequence[BatchT]) -> History:
        """From the folder's checkpoint where there is one. Raises TrainingStopped."""
        settings = self.settings
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
            window.append((self._step(plan[step]), self._size(plan[step])))
            self.history.steps, self.history.seconds = step + 1, time.monotonic() - began
            if step % 10 == 9 or step + 1 == len(plan):
                self._note(window, step + 1, len(plan), time.monotonic() - shown)
                window, shown = [], time.monotonic()
                if time.monotonic() - saved > settings.checkpoint_seconds:  # right behind a look at the losses
                    self.save()
                    saved = time.monotonic()
        self.history.seconds = time.monotonic() - began
        self.save()
        return self.history

    def _step(self, batch: BatchT) -> Tensor:
        try:
            loss = self._loss(batch)
            loss.backward()  # type: ignore[no-untyped-call]
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            short = True
        else:
            short = False
        if short:  # outside of the handler, whose error holds on to the tensors of the step
            raise OutOfMemory(self._what_fits(batch))
        torch.nn.utils.clip_grad_norm_(self._parameters, self.settings.clip)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    def _what_fits(self, batch: BatchT) -> str:
        """Half of the batch, a quarter, ..., until one is computed."""
        said = f"a batch of {self._size(batch):,} tokens does not fit into memory"
        count = len(batch)
        while count > 1:
            count //= 2
            self._optimizer.zero_grad(set_to_none=True)
            _free_memory()
            try:
                part = batch[:count]
                self._loss(part).backward()  # type: ignore[arg-type, no-untyped-call]
            except (torch.OutOfMemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
                    raise
                continue
            finally:
                self._optimizer.zero_grad(set_to_none=True)
            return f"{said}; {self._size(part):,} do: go on with --batch-tokens {self._size(part)}"  # type: ignore[arg-type]
        return f"{said}, nor does one row of it: leave out the longest rows (--longest), or train over an NF4 base (--qlora)"

    def _note(self, window: Sequence[tuple[Tensor, int]], step: int, steps: int, seconds: float) -> None:
        losses = torch.stack([loss for loss, _ in window]).float().cpu()
        kept = f"the last checkpoint{self._where()} is from before; a smaller learning rate is what helps (--rate)"
        if not bool(losses.isfinite().all()):
            raise Diverged(f"the loss is no number at step {step}; {kept}")
        middle = float(losses.median())
        if self.history.points and middle > max(_STRAYED * self.history.points[0]["loss"], self.history.points[0]["loss"] + 1):
            raise Diverged(f"the loss has risen from {self.history.points[0]['loss']:g} to {middle:g} at step {step}; {kept}")
        tokens = sum(tokens for _, tokens in window)
        self.history.tokens += tokens
        measures = {name: round(float(value), 4) for name, value in self._measures().items()}
        point = {"step": step, "loss": round(middle, 4), "seconds": round(self.history.seconds, 1)} | measures
        self.history.points.append(point)
        if step % 50 == 0 or step in (10, steps) or measures or seconds > _SILENCE:
            more = "".join(f"  {name} {value:.3f}" for name, value in measures.items())
            self._say(
                f"step {step}/{steps}  loss {point['loss']:.4f}{more}  {tokens / max(seconds, 1e-9):,.0f} tokens/s  "
                f"{self.history.seconds:.0f} s"
            )

    def _where(self) -> str:
        return f" in {self._folder}" if self._folder is not None else ""

    def save(self) -> None:
        """The checkpoint, in place of the last one."""
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        state = {
            "adapter": {name: (m.a.detach().cpu(), m.b.detach().cpu()) for name, m in self.adapter.items()},
            "more": [parameter.detach().cpu() for parameter in self._more],
            "optimizer": self._optimizer.state_dict(),
            "history": asdict(self.history),
            "settings": json.dumps(asdict(self.settings)),
            "made_from": self._made_from,
        }
        new = self._folder / f"{CHECKPOINT}.new"
        torch.save(state, new)
        new.replace(self._folder / CHECKPOINT)

    def _resume(self) -> int:
        path = self._folder / CHECKPOINT if self._folder else None
        if path is None or not path.exists():
            return 0
        state = torch.load(path, map_location="cpu", weights_only=True)
        self._check_same(path, json.loads(state["settings"]), state["made_from"])
        with torch.no_grad():
            for name, (a, b) in state["adapter"].items():
                self.adapter[name].a.copy_(a)
                self.adapter[name].b.copy_(b)
            for parameter, value in zip(self._more, state["more"], strict=True):
                parameter.copy_(value)
        self._optimizer.load_state_dict(state["optimizer"])
        self.history = History(**state["history"])
        self._say(f"going on from step {self.history.steps}")
        return self.history.steps

    def _check_same(self, path: Path, settings: Mapping[str, Any], made_from: str) -> None:
        own = json.loads(json.dumps(asdict(self.settings)))
        other = [name for name in own if name not in _MAY_CHANGE and settings.get(name) != own[name]]
        if other:
            what = ", ".join(f"{name} {settings.get(name)} (now {own[name]})" for name in other)
            raise OtherRun(f"{path} is of a run with {what}: give the same, or another folder")
        if made_from != self._made_from:
            raise OtherRun(
                f"{path} is of a run over other data, another base or another adapter to begin with: give another folder"
            )


def _optimizer(parameters: Sequence[torch.nn.Parameter], settings: Settings, *, paged: bool) -> torch.optim.Optimizer:
    """AdamW; `paged`: bitsandbytes', whose state leaves the GPU where memory runs out (Dettmers et al. 2023)."""
    options: dict[str, Any] = {
        "lr": settings.learning_rate,
        "betas": (0.9, 0.99),
        "weight_decay": settings.weight_decay,
    }
    if paged:
        import bitsandbytes

        made: torch.optim.Optimizer = bitsandbytes.optim.PagedAdamW32bit(parameters, **options)
        return made
    return torch.optim.AdamW(parameters, fused=parameters[0].device.type == "cuda", **options)


def _is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def schedule(progress: float, warmup: float) -> float:
    """Share of the learning rate: up in a line, then down a half cosine to nothing."""
    if progress < warmup:
        return (progress + 1e-4) / warmup
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))
