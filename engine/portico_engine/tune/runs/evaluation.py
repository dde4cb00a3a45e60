"""Before and after: held-out rows through the engine's own path of tool calls, and what an adapter made the model forget.

The capability check is perplexity of plain text, and how near the answers to ordinary turns have stayed. It owns the limits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from portico_engine.adapters.adapter import StoredAdapter
from portico_engine.errors import EngineError
from portico_engine.loading.load_engine import load_engine
from portico_engine.request import Request, SamplingParams
from portico_engine.tune.calling.caller import ToolCaller
from portico_engine.tune.calling.figures import Figure, figures
from portico_engine.tune.calling.task import tasks_of
from portico_engine.tune.data.rows import Row
from portico_engine.tune.rendering import TokenRow
from portico_engine.tune.training.base_model import decoder_config, load_base
from portico_engine.tune.training.likelihood import likelihoods
from portico_engine.tune.training.low_rank import with_adapter
from portico_engine.tune.training.start import begin_at, rank_of, read_start

MOST_PERPLEXITY = 1.10  # times the base's, of plain text
LEAST_SAME = 0.70  # of the conversation prompts: the answer begins with the same words
_ANSWER, _FIRST_TOKENS = 256, 8
_TEXT, _TEXT_BATCH = 512, 4096  # tokens of a text, and of a batch of them
_ROWS = {"cuda": 128, "cpu": 16}


class ForgetsTooMuch(EngineError):
    """An adapter that lost more than the limit; the message says what."""


@dataclass(frozen=True, slots=True)
class Capability:
    """What a model says without tools. `begun`: the first tokens of its answer to each conversation prompt."""

    perplexity: float
    begun: tuple[tuple[int, ...], ...]

    def same(self, other: Capability) -> float:
        """The share of the prompts that both answer with the same first words."""
        pairs = list(zip(self.begun, other.begun, strict=True))
        return sum(one == another for one, another in pairs) / max(len(pairs), 1)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The base (or another adapter) and an adapter, on the same questions."""

    before: Mapping[str, Figure]
    after: Mapping[str, Figure]
    capability: tuple[Capability, Capability]

    @property
    def losses(self) -> list[str]:
        """What the adapter lost more of than it may."""
        base, adapted = self.capability
        found = []
        if adapted.perplexity > MOST_PERPLEXITY * base.perplexity:
            found.append(
                f"perplexity of plain text rose from {base.perplexity:.1f} to {adapted.perplexity:.1f} "
                f"(at most {MOST_PERPLEXITY:g} times)"
            )
        same = base.same(adapted)
        if same < LEAST_SAME:
            found.append(f"{same:.0%} of conversations are answered as before (at least {LEAST_SAME:.0%})")
        if "all" in self.before and self.after["all"].high < self.before["all"].low:
            found.append(f"right calls fell from {self.before['all'].call:.1f}% to {self.after['all'].call:.1f}%")
        return found

    def as_json(self) -> dict[str, Any]:
        """For a report."""
        one, other = self.capability
        return {
            "before": {kind: figure._asdict() for kind, figure in self.before.items()},
            "after": {kind: figure._asdict() for kind, figure in self.after.items()},
            "perplexity": [one.perplexity, other.perplexity], "same_conversations": one.same(other), "losses": self.losses,
        }  # fmt: skip


class Evaluator:
    """Over one model, loaded twice: as it serves, for calls and conversations, and as it is trained, for plain text."""

    def __init__(
        self, model: Path, *, device: str, texts: Sequence[str], conversations: Sequence[str], longest: int = 2048
    ) -> None:
        self._config = decoder_config(model)
        self._engine = load_engine(
            model, executor="torch-cuda" if device == "cuda" else "torch-cpu",
            context=min(self._config.context_length, longest + _ANSWER), max_rows=_ROWS[device], adapters=1, adapter_rank=512,
        )  # fmt: skip
        self._caller = ToolCaller(self._engine, self._config, max_tokens=_ANSWER)
        self._model, self._device, self._longest = model, device, longest
        encode = self._engine.tokenizer.encode
        self._texts = [TokenRow(tuple(encode(text)[:_TEXT]), 1) for text in texts]
        self._conversations = conversations

    def close(self) -> None:
        self._engine.close()

    def compare(self, rows: Sequence[Row], adapter: Path, before: Path | None = None) -> Comparison:
        """The rows' questions by `before` (None: the base), then by the adapter. Raises AdapterError."""
        tasks = list(tasks_of(rows, self._engine, longest=self._longest))
        if not tasks:
            raise EngineError(f"none of the {len(rows)} rows can be asked: their prompts have more than {self._longest} tokens")
        for place in (before, adapter):  # what is none is told before anything is asked
            self._stored(place)
        found = []
        for place in (before, adapter):
            self._use(place)
            right = figures(tasks, [one[0] for one in self._caller.ask(tasks)])
            found.append((right, self.capability(place)))
        return Comparison(found[0][0], found[1][0], (found[0][1], found[1][1]))

    def capability(self, adapter: Path | None) -> Capability:
        """What it says without tools; of None, what the base says. Raises AdapterError."""
        stored = self._stored(adapter)
        self._use(adapter)
        return Capability(self._perplexity(stored), self._begun())

    def _use(self, adapter: Path | None) -> None:
        self._caller.drop() if adapter is None else self._caller.use_file(adapter)

    def _stored(self, adapter: Path | None) -> StoredAdapter | None:
        return None if adapter is None else read_start(adapter, self._config)

    def _perplexity(self, stored: StoredAdapter | None) -> float:
        model = load_base(self._model, self._device, torch.float32)
        if stored is not None:
            rank = rank_of(stored)
            begin_at(with_adapter(model, rank, float(rank), 0), stored)
        said = likelihoods(model, self._texts, torch.device(self._device), _TEXT_BATCH)
        return math.exp(-float(said.log_p.sum() / said.tokens.sum()))

    def _begun(self) -> tuple[tuple[int, ...], ...]:
        found = []
        for at, said in enumerate(self._conversations):
            prompt = self._engine.render_chat([{"role": "user", "content": said}])
            sampling = SamplingParams(temperature=0.0)
            request = Request(f"conversation {at}", prompt, sampling, max_tokens=_FIRST_TOKENS, adapter=self._caller.adapter)
            found.append(tuple(token for delta in self._engine.generate(request) for token in delta.tokens))
        return tuple(found)
