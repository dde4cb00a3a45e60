"""Decides questions about a state: it is rendered and computed once, and each question branches behind its blocks.

What branches are, and that only their own tokens are computed, is the engine's: it finds the state in its prefix index, copies
no more than the last, partly filled block, and scores all answers of a question in one step. It knows no API.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from portico_engine import Usage
from portico_engine.errors import ChatTemplateError, ContextOverflow, EngineError
from portico_gateway.http.decisions.calibration import UNCALIBRATED, calibration_of
from portico_gateway.http.decisions.question import INSTRUCTIONS, NO_TEXT, StateQuestion
from portico_gateway.http.errors import ApiError, to_api_error
from portico_gateway.http.generation.scores import CallerScores

if TYPE_CHECKING:
    from portico_engine import EngineClient

NOT_CALIBRATED = (
    "the probabilities are not calibrated for this model: compare them with each other, and don't take them at their word"
)
_AT_ONCE = 8  # questions of one request that are scored beside each other
_SHORT = 128  # tokens of a question that its score computes by itself
_KEPT = 4096  # questions whose answers' own likelihood is remembered, of all callers
_PROBES = ("A", "B")

Tokens: TypeAlias = tuple[int, ...]
_Key: TypeAlias = tuple[str, str, StateQuestion]  # model, caller, question


class AnswerLogprobs(NamedTuple):
    """Log-probabilities of a question's answers, each as a whole: behind the state, and behind one that says nothing."""

    behind_state: list[float]
    behind_nothing: list[float]
    tokens: int  # of the question itself


class Decided(NamedTuple):
    """The probabilities of each question's answers in order, and what it took in tokens."""

    probabilities: list[tuple[float, ...]]
    input_tokens: int
    cached_tokens: int
    is_calibrated: bool


@dataclass(frozen=True, slots=True)
class _Branching:
    """What stands before and behind any question about one state; `end` is what ends an answer, where the model has such."""

    before: Tokens
    behind: Tokens
    end: Tokens

    def prompt(self, question: Tokens) -> Tokens:
        return self.before + question + self.behind


@dataclass(slots=True)
class PriorCache:
    """What a model thinks of answers by themselves, of those asked about last."""

    _kept: OrderedDict[_Key, list[float]] = field(default_factory=OrderedDict)

    def get(self, key: _Key) -> list[float] | None:
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def put(self, key: _Key, value: list[float]) -> None:
        self._kept[key] = value
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)


class Decider:
    """Of one caller's questions. `state` and `questions` are what errors call the fields that these come from."""

    def __init__(self, engine: EngineClient, caller: str, priors: PriorCache, *, state: str, questions: Sequence[str]) -> None:
        self._engine = engine
        self._scores = CallerScores(engine, caller)
        self._priors = priors
        self._state, self._names = state, questions

    async def decide(self, state: str, questions: Sequence[StateQuestion]) -> Decided:
        """Raises ApiError where the state, or a question behind it, does not fit the context."""
        usage, found = await self.evidence(state, questions)
        fitted = calibration_of(self._engine.info.content_digest)
        by_kind = fitted or UNCALIBRATED
        probabilities = [
            by_kind[question.kind].probabilities(each.behind_state, each.behind_nothing)
            for question, each in zip(questions, found, strict=True)
        ]
        tokens = usage.prompt_tokens + sum(each.tokens for each in found)
        return Decided(probabilities, tokens, usage.cached_tokens, fitted is not None)

    async def evidence(self, state: str, questions: Sequence[StateQuestion]) -> tuple[Usage, list[AnswerLogprobs]]:
        """What the model says, before it is calibrated, and what computing the state took. Raises as `decide`."""
        try:
            seen, nothing = await self._branching(state), await self._branching(NO_TEXT)
            usage = await self._scores.compute(seen.before)
        except EngineError as error:
            raise to_api_error(error, messages=self._state, grammar=None, names={}) from error
        places = asyncio.Semaphore(_AT_ONCE)

        async def one(name: str, question: StateQuestion) -> AnswerLogprobs:
            async with places:
                return await self._asked(name, question, seen, nothing)

        tasks = [asyncio.create_task(one(*each)) for each in zip(self._names, questions, strict=True)]
        try:
            return usage, await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _asked(self, name: str, question: StateQuestion, seen: _Branching, nothing: _Branching) -> AnswerLogprobs:
        try:
            asked = await self._engine.tokenize(question.text)
            answers = [await self._engine.tokenize(option.text) + seen.end for option in question.options]
            behind_state = await self._logprobs(seen.prompt(asked), len(seen.before), answers)
            alone = await self._prior(question, nothing.prompt(asked), answers)
        except ContextOverflow as error:
            raise ApiError(400, f"{name}: {error}", param=name, code="context_length_exceeded") from error
        except EngineError as error:
            raise to_api_error(error, messages=name, grammar=None, names={}) from error
        return AnswerLogprobs(behind_state, alone, len(asked) + len(seen.behind))

    async def _prior(self, question: StateQuestion, prompt: Tokens, answers: Sequence[Tokens]) -> list[float]:
        key = (self._engine.info.fingerprint, self._scores.caller, question)
        found = self._priors.get(key)
        if found is None:
            found = await self._logprobs(prompt, 0, answers)
            self._priors.put(key, found)
        return found

    async def _logprobs(self, prompt: Tokens, known: int, answers: Sequence[Tokens]) -> list[float]:
        """Of each answer as a whole, behind a prompt of which `known` tokens are computed."""
        longest = max(map(len, answers))
        if len(prompt) - known > _SHORT:
            await self._scores.compute(prompt, longest)
        return [sum(logprobs) for logprobs in await self._scores.score(prompt, answers)]

    async def _branching(self, state: str) -> _Branching:
        """Rendered with two questions of a letter each: what the prompts have in common stands around any question."""
        try:
            first, second = [await self._rendered(f"{state}\n\n{probe}") for probe in _PROBES]
        except ChatTemplateError:  # a model that knows no turns
            before = await self._engine.tokenize(f"{INSTRUCTIONS}\n\n{state}\n\n")
            return _Branching(before, await self._engine.tokenize("\n\nAnswer: "), ())
        before = first[: _common(first, second)]
        room = min(len(first), len(second)) - len(before)
        size = min(_common(first[::-1], second[::-1]), room)
        behind = first[len(first) - size :] if size else ()
        end = behind[:1] if behind and behind[0] in self._engine.tokens.end_token_ids else ()
        return _Branching(before, behind, end)

    async def _rendered(self, text: str) -> Tokens:
        return await self._engine.render_chat([{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": text}])


def _common(one: Tokens, other: Tokens) -> int:
    """How many tokens they begin with alike."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
