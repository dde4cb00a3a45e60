"""Where turns come from, as the loop sees it: a model of this machine's engine, or one behind another server."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from portico_engine import Tool
from portico_gateway.agent.events import Event
from portico_gateway.agent.free.limits import Budget, FreeLimits
from portico_gateway.agent.free.turns import ModelTurn, Turn
from portico_gateway.agent.question_run import QuestionRun


@dataclass(frozen=True, slots=True)
class WrittenTurn:
    """A turn, and whether the model `ended` it; else it was cut, by its length or by time."""

    turn: ModelTurn
    ended: bool


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """What the next turn is written for. `without`: tools that can't be called any more; `may_call`: may any?"""

    turns: Sequence[Turn]
    budget: Budget
    may_call: bool = True
    without: frozenset[str] = frozenset()
    tools: Sequence[Tool] | None = None  # that may be called; None: those that the writer was made with

    @property
    def max_tokens(self) -> int:
        return self.budget.turn_tokens(may_call=self.may_call)


# What happens while a turn is written, then the turns that it was written after (some may have been left out), then the turn.
Written: TypeAlias = Event | list[Turn] | WrittenTurn


class TurnWriter(Protocol):
    """One question's."""

    def write(self, run: QuestionRun, asked: TurnRequest) -> AsyncGenerator[Written]:
        """Write the next turn; of the run it counts what is used. Raises ContextOverflow, EngineError, GatewayError."""
        ...


class TurnModel(Protocol):
    """A model that is trusted with tools."""

    @property
    def context_length(self) -> int:
        """In tokens."""
        ...

    @property
    def calls_by_name(self) -> bool:
        """Can it call a tool that it was not told of from the beginning, once it has read of it?"""
        ...

    async def tool_tokens(self, tools: Sequence[Tool]) -> int:
        """About how many tokens of the context these tools' definitions are."""
        ...

    async def writer(self, tools: Sequence[Tool], limits: FreeLimits) -> TurnWriter:
        """For one question. Raises ChatTemplateError where the model has no template."""
        ...
