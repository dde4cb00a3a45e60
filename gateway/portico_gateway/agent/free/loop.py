"""The free loop: the model calls what it wants, as often as it needs, and answers in its own words; all of it told as events.

It owns the order of the turns and what ends them. It knows tools through `ToolHost` and the model through `TurnModel`; it
prints nothing.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import NamedTuple

from portico_engine.errors import ContextOverflow
from portico_gateway.agent.conversation import Exchange, messages_of
from portico_gateway.agent.events import Event, Limit, RunFinished, ToolCallStarted
from portico_gateway.agent.free import prompts
from portico_gateway.agent.free.call_batch import BatchedCall, CallBatches
from portico_gateway.agent.free.limits import Budget, Clock, FreeLimits
from portico_gateway.agent.free.repeated_calls import RepeatedCalls
from portico_gateway.agent.free.searched_tools import SearchedTools
from portico_gateway.agent.free.turn_model import TurnModel, TurnRequest, TurnWriter, WrittenTurn
from portico_gateway.agent.free.turns import ModelTurn, ResultTurn, Turn, UserTurn, as_past, noted, past_turns
from portico_gateway.agent.free.verdict import judge
from portico_gateway.agent.host_calls import HostCalls
from portico_gateway.agent.question_run import CallTextListener, QuestionRun
from portico_gateway.agent.tool_host import ToolHost
from portico_gateway.agent.tool_search import CatalogSearches
from portico_gateway.agent.tool_signatures import TOOLS_SHARE

DEFAULT_LIMITS = FreeLimits()
NOTHING_WRITTEN = WrittenTurn(ModelTurn(), ended=False)


@dataclass(slots=True)
class _Conversation:
    """One question under way."""

    run: QuestionRun
    budget: Budget
    batches: CallBatches
    writer: TurnWriter
    turns: list[Turn]
    written: WrittenTurn = NOTHING_WRITTEN  # the last
    repeated: RepeatedCalls = field(default_factory=RepeatedCalls)
    denied_turns: int = 0
    searched: SearchedTools | None = None  # where the tools are too many to be told
    limit: Limit | None = None  # reached: no further calls


class _Kept(NamedTuple):
    """A conversation up to its last answer, as the model has it in its prompt; `exchanges` is how a caller knows it."""

    exchanges: tuple[tuple[str, str], ...]  # question and answer
    turns: list[Turn]
    searched: SearchedTools | None


class FreeAgent:
    """The loop for a model that needs no guidance. A conversation that goes on where it stopped is continued turn by turn, with
    calls and results, so that all of its prompt stays known; another one by its questions and answers."""

    def __init__(
        self,
        model: TurnModel,
        host: ToolHost,
        *,
        limits: FreeLimits = DEFAULT_LIMITS,
        clock: Clock = time.monotonic,
        searches: CatalogSearches | None = None,
        schema_tokens: int | None = None,
    ) -> None:
        """With `searches`, a catalog of more than `schema_tokens` (default: a third of the context) is told as two tools."""
        self._model = model
        self._searches = searches
        self._schema_tokens = schema_tokens
        self._host = host
        self._limits = limits
        self._clock = clock
        self._kept: _Kept | None = None

    async def ask(
        self,
        question: str,
        *,
        history: Sequence[Exchange] = (),
        max_steps: int | None = None,
        on_call_text: CallTextListener | None = None,
    ) -> AsyncIterator[Event]:
        """Run the loop; `max_steps` are turns that call. Raises ContextOverflow where the question alone does not fit, and
        ChatTemplateError where the model has no template; tool failures are events."""
        talk = await self._begin(question, history, max_steps)
        talk.run.on_call_text = on_call_text
        while True:
            try:
                async for event in self._write(talk):
                    yield event
            except ContextOverflow:
                if not talk.run.tool_calls:
                    raise
                talk.limit = "context"
                break
            talk.turns.append(talk.written.turn)
            calls = talk.written.turn.calls
            if not calls or talk.limit is not None:
                break
            if talk.searched is not None:
                calls = tuple(map(talk.searched.unwrapped, calls))
            for call in calls:
                yield ToolCallStarted(call.name, call.arguments)
            outcomes = await talk.batches.run(calls, talk.budget.seconds_for_calls)
            for outcome in outcomes:
                yield outcome.finished
            self._take(talk, outcomes)
        finished = await self._end(talk)
        if finished.judgement.answered:
            exchanges = (*_exchanges(history), (finished.question, finished.answer))
            self._kept = _Kept(exchanges, as_past(talk.turns), talk.searched)
        yield finished

    async def _begin(self, question: str, history: Sequence[Exchange], max_steps: int | None) -> _Conversation:
        run = QuestionRun(question)
        limits = self._limits.with_steps(max_steps)
        kept = self._kept if self._kept is not None and self._kept.exchanges == _exchanges(history) else None
        searched = await self._searched(kept.searched if kept is not None else None)
        told = self._host.tools() if searched is None else searched.told()
        return _Conversation(
            run=run,
            budget=Budget(limits, run, self._clock),
            batches=CallBatches(searched or self._host, self._model.context_length),
            writer=await self._model.writer(told, limits),
            turns=[*(past_turns(messages_of(history)) if kept is None else kept.turns), UserTurn(question)],
            searched=searched,
        )

    async def _searched(self, before: SearchedTools | None) -> SearchedTools | None:
        """The tools behind a search, where there are more than the model's prompt should hold; those of the conversation
        `before`, if they are still the same."""
        if self._searches is None:
            return None
        budget = self._schema_tokens or self._model.context_length // TOOLS_SHARE
        if await self._model.tool_tokens(self._host.tools()) <= budget:
            return None
        if before is not None and before.is_over(self._host.tools()):
            return before
        return SearchedTools(self._host, self._searches, by_name=self._model.calls_by_name)

    async def _write(self, talk: _Conversation) -> AsyncIterator[Event]:
        """One turn of the model, and before it what had to be left out."""
        tools = talk.searched.callable() if talk.searched is not None else None
        asked = TurnRequest(talk.turns, talk.budget, talk.limit is None, frozenset(talk.batches.denied_tools), tools)
        talk.written = NOTHING_WRITTEN
        async with aclosing(talk.writer.write(talk.run, asked)) as writing:
            async for written in writing:
                if isinstance(written, list):
                    talk.turns = written
                elif isinstance(written, WrittenTurn):
                    talk.written = written
                else:
                    yield written

    def _take(self, talk: _Conversation, outcomes: Sequence[BatchedCall]) -> None:
        """What the calls came to, into the conversation; and whether anything now ends it."""
        talk.budget.steps += 1
        limit = talk.budget.reached()
        for outcome in outcomes:
            talk.run.tool_calls.append(outcome.finished)
            times = talk.repeated.count(outcome.call, outcome.text)
            note = prompts.SAME_AGAIN.format(times=times) if times >= self._limits.same_results else ""
            talk.turns.append(ResultTurn(outcome.call, outcome.text, note))
            if times > self._limits.same_results:
                limit = limit or "repeats"
        talk.denied_turns += all(outcome.denied for outcome in outcomes)
        if talk.denied_turns >= self._limits.denied_turns:
            limit = limit or "denied"
        talk.limit = limit
        if limit is not None:
            talk.turns = noted(talk.turns, prompts.ANSWER_NOW)

    async def _end(self, talk: _Conversation) -> RunFinished:
        run, written = talk.run, talk.written
        answer = written.turn.text
        if talk.limit is None and not written.ended:
            talk.limit = "seconds" if talk.budget.seconds_left <= 0 else "tokens"
        judgement = judge(run, answer, talk.limit, whole=written.ended)
        citations = await HostCalls(self._host).confirmed(run.tool_calls)
        return RunFinished(
            run.question,
            answer if judgement.answered else "",
            run.found,
            tuple(run.tool_calls),
            tuple(citations),
            run.metrics(),
            judgement,
            talk.limit,
        )


def _exchanges(history: Sequence[Exchange]) -> tuple[tuple[str, str], ...]:
    return tuple((exchange.question, exchange.answer) for exchange in history)
