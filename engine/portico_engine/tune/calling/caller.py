"""What an engine answers to tasks: under their grammars, many at a time, with an adapter or without.

It owns the requests and the one adapter that is being trained, which it puts into the engine as it stands. What the answers are
worth, others say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor

from portico_engine.adapters.adapter import LowRank, StoredAdapter
from portico_engine.adapters.fit import fit
from portico_engine.engine import Engine
from portico_engine.errors import EngineError
from portico_engine.models.config import DecoderConfig
from portico_engine.request import Delta, FinishReason, Request, SamplingParams
from portico_engine.tune.calling.task import Task
from portico_engine.tune.data.said_calls import SaidCall, read_calls
from portico_engine.tune.training.base_model import stored_name

TRAINED = "trained"  # what the engine calls the adapter under way
_MOST_RANK = 512


class Answer(NamedTuple):
    """One answer. `sampled` marks the tokens that the grammar left a choice about."""

    text: str
    tokens: tuple[int, ...]
    sampled: tuple[bool, ...]
    whole: bool  # did it end by itself?

    @property
    def calls(self) -> list[SaidCall] | None:
        """Its calls; none where it says something else. None: what looks like a call is none."""
        if not self.text.startswith(("{", "[")):
            return []
        found = read_calls(self.text) if self.whole else "cut"
        return None if isinstance(found, str) else found


class ToolCaller:
    """For one engine, which was loaded with room for an adapter."""

    def __init__(self, engine: Engine, config: DecoderConfig, *, max_tokens: int = 256) -> None:
        self.engine = engine
        self._config = config
        self._max_tokens = max_tokens
        self._asked = 0

    def use(self, matrices: Mapping[str, tuple[Tensor, Tensor]], scale: float) -> None:
        """These matrices, by transformers' module names, are the adapter from now on; `scale` is alpha / r."""
        names = {stored_name(module): module for module in matrices}
        stored = StoredAdapter(
            Path(TRAINED), "", {name: _low_rank(*matrices[module], scale) for name, module in names.items()}, names,
            interleaves_rotary=False,
        )  # fmt: skip
        self.drop()
        self.engine.add_adapter(TRAINED, fit(stored, self._config, _MOST_RANK))

    def use_file(self, path: Path) -> None:
        """The adapter at a path is the one from now on. Raises AdapterError."""
        self.drop()
        self.engine.load_adapter(TRAINED, path)

    def drop(self) -> None:
        """The base answers from now on."""
        if self.adapter is not None:
            self.engine.unload_adapter(TRAINED)

    @property
    def adapter(self) -> str | None:
        return TRAINED if any(info.name == TRAINED for info in self.engine.adapters()) else None

    def ask(self, tasks: Sequence[Task], *, each: int = 1, temperature: float = 0.0, seed: int = 0) -> list[list[Answer]]:
        """So many answers to each task. Raises EngineError where the engine fails."""
        told: dict[str, list[Delta]] = {}
        places: dict[str, int] = {}
        for at, task in enumerate(tasks):
            for number in range(each):
                self._asked += 1
                name = f"{at}-{number}-{self._asked}"
                places[name], told[name] = at, []
                sampling = SamplingParams(temperature=temperature, seed=seed * 1_000_003 + at * each + number, logprobs=0)
                request = Request(name, task.prompt, sampling, max_tokens=self._max_tokens, grammar=task.grammar, whole=True)
                self.engine.submit(replace(request, adapter=self.adapter))
        left = len(places)
        while left:
            for delta in self.engine.step():
                if delta.finish_reason is FinishReason.ERROR:
                    question = tasks[places[delta.request_id]].question
                    raise EngineError(f"the engine could not answer {question[:80]!r}: {delta.error}")
                told[delta.request_id].append(delta)
                left -= delta.finish_reason is not None
        out: list[list[Answer]] = [[] for _ in tasks]
        for name, at in places.items():
            out[at].append(_answer(told[name]))
        return out


def _answer(deltas: Sequence[Delta]) -> Answer:
    last = deltas[-1]
    return Answer(
        "".join(delta.text for delta in deltas),
        tuple(token for delta in deltas for token in delta.tokens),
        tuple(value != 0.0 for delta in deltas for value in delta.logprobs),
        last.finish_reason is FinishReason.STOP and not last.unfinished,
    )


def _low_rank(a: Tensor, b: Tensor, scale: float) -> LowRank:
    return LowRank(_numpy(a), _numpy(b) * np.float32(scale))


def _numpy(values: Tensor) -> np.ndarray:
    return values.detach().float().cpu().numpy().copy()
