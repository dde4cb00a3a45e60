"""What a run is told, and what it refuses at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from portico_engine.errors import EngineError
from portico_engine.tune.training.loop import Settings

Say = Callable[[str], None]


class RefusedRun(EngineError):
    """A run that isn't begun, because it is known to come to nothing; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """`model` is the base, `base` what it is called; `start` the adapter to go on from. `prompts`: what the rows' prompts are
    called, which the adapter's file will say. `small`: few rows are meant. None of a number: the method's own.
    """

    data: Path
    out: Path
    model: Path
    base: str
    prompts: str
    start: Path | None = None
    device: str = "cpu"
    small: bool = False
    qlora: bool = False
    rank: int = 32
    alpha: float = 64.0
    epochs: float | None = None
    learning_rate: float | None = None
    batch_tokens: int = 8192
    longest: int = 1280
    minutes: float = math.inf
    checkpoint_seconds: float = 60.0
    seed: int = 1
    beta: float | None = None
    sft_weight: float | None = None
    say: Say = field(default=print)

    def settings(self, *, epochs: float, learning_rate: float) -> Settings:
        """The loop's, with a method's own where nothing is said. Raises RefusedRun for what makes no run."""
        chosen = Settings(
            rank=self.rank, alpha=self.alpha, learning_rate=self.learning_rate or learning_rate, epochs=self.epochs or epochs,
            batch_tokens=self.batch_tokens, seed=self.seed, most_seconds=60 * self.minutes,
            checkpoint_seconds=self.checkpoint_seconds,
        )  # fmt: skip
        for name, value in (("epochs", chosen.epochs), ("rate", chosen.learning_rate), ("minutes", chosen.most_seconds)):
            if not value > 0:
                raise RefusedRun(f"{name} is {value:g}; it must be over 0")
        return chosen

    def needs_start(self, method: str) -> Path:
        """Raises RefusedRun where there is no supervised adapter to go on from."""
        if self.start is None:
            raise RefusedRun(
                f"{method} makes a model that answers choose better among its answers, and can't teach it to call: train it on "
                "calls first (portico tune sft), then give that adapter with --start"
            )
        return self.start


def choose_device(wanted: str) -> str:
    """ "auto": the GPU where torch has one. Raises RefusedRun where one is wanted that isn't there."""
    import torch

    if wanted == "cuda" and not torch.cuda.is_available():
        raise RefusedRun("there is no NVIDIA GPU here that torch can use (--device cuda)")
    return wanted if wanted != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
