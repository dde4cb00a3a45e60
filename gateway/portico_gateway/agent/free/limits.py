"""What one question may use before the loop ends it, and what it has used. It ends nothing itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from portico_gateway.agent.events import Limit
from portico_gateway.agent.question_run import QuestionRun

Clock = Callable[[], float]  # seconds, of any beginning


@dataclass(frozen=True, slots=True)
class FreeLimits:
    """Generous for work, and an end for a model that finds none."""

    steps: int = 12  # turns that call tools
    seconds: float = 600.0  # from the question to the end, tools and all
    answer_seconds: float = 60.0  # of those, kept for a last answer without calls
    tokens: int = 16_384  # written in all turns together, thoughts among them
    answer_tokens: int = 1024  # of those, kept for a last answer without calls
    turn_tokens: int = 4096  # written in one turn
    call_tokens: int = 64  # that a turn must have left to be worth a call
    thought_characters: int = 8000  # of one thought
    calls_a_turn: int = 8
    denied_turns: int = 2  # turns of calls that were all denied; then it answers
    same_results: int = 3  # times that a call may give the same result; then it is said, and one more ends the question

    def with_steps(self, steps: int | None) -> FreeLimits:
        """These, with another limit on steps where one is given."""
        return self if steps is None else replace(self, steps=steps)


@dataclass(slots=True)
class Budget:
    """One question's use of its limits."""

    limits: FreeLimits
    run: QuestionRun
    clock: Clock = time.monotonic
    steps: int = 0
    _began: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self.clock()

    @property
    def seconds_left(self) -> float:
        return max(0.0, self.limits.seconds - (self.clock() - self._began))

    @property
    def seconds_for_calls(self) -> float:
        return max(0.0, self.seconds_left - self.limits.answer_seconds)

    @property
    def tokens_left(self) -> int:
        return max(0, self.limits.tokens - sum(usage.completion_tokens for usage in self.run.usage))

    def turn_tokens(self, *, may_call: bool) -> int:
        """How many tokens the next turn may write: one that may call leaves enough for the answer."""
        kept = self.limits.answer_tokens if may_call else 0
        return min(self.limits.turn_tokens, max(1, self.tokens_left - kept))

    def reached(self) -> Limit | None:
        """The limit that allows no further turn with calls."""
        if self.seconds_for_calls <= 0:
            return "seconds"
        if self.tokens_left < self.limits.answer_tokens + self.limits.call_tokens:
            return "tokens"
        return "steps" if self.steps >= self.limits.steps else None
