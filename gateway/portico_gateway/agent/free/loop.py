"""The free loop: the model calls what it wants, as often as it needs, and answers in its own words; all of it told as events.

It owns the order of the turns and what ends them. Each turn is one request: thought, then calls under the catalog's grammar or
free text. It knows tools through `ToolHost` and the model through the engine's root API; it prints nothing.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from portico_engine import EngineClient, SamplingParams
from portico_engine.errors import ContextOverflow
from portico_gateway.agent.conversation import Exchange, messages_of
from portico_gateway.agent.events import (
    ConversationTrimmed,
    Event,
    Limit,
    RunFinished,
    ToolCallStarted,
)
from portico_gateway.agent.free import prompts
from portico_gateway.agent.free.call_batch import BatchedCall, CallBatches
from portico_gateway.agent.free.limits import Budget, Clock, FreeLimits
from portico_gateway.agent.free.prompt_builder import PromptBuilder, told_tools
from portico_gateway.agent.free.repeated_calls import RepeatedCalls
from portico_gateway.agent.free.tool_form import tool_form, usable_form
from portico_gateway.agent.free.turn_generation import TurnGenerator
from portico_gateway.agent.free.turns import ResultTurn, Turn, UserTurn, noted, past_turns
from portico_gateway.agent.free.verdict import judge
from portico_gateway.agent.free.written_turn import WrittenTurn
from portico_gateway.agent.host_calls import HostCalls
from portico_gateway.agent.question_run import QuestionRun
from portico_gateway.agent.tool_host import ToolHost
from portico_gateway.caller import LOCAL

DEFAULT_LIMITS = FreeLimits()


@dataclass(slots=True)
class _Conversation:
    """One question under way."""

    run: QuestionRun
    budget: Budget
    batches: CallBatches
    generator: TurnGenerator
    turns: list[Turn]
    repeated: RepeatedCalls = field(default_factory=RepeatedCalls)
    denied_turns: int = 0
    limit: Limit | None = None  # reached: no further calls


class FreeAgent:
    """The loop for a model that needs no guidance."""

    def __init__(
        self,
        engine: EngineClient,
        host: ToolHost,
        *,
        sampling: SamplingParams | None = None,
        limits: FreeLimits = DEFAULT_LIMITS,
        caller: str = LOCAL,
        clock: Clock = time.monotonic,
    ) -> None:
        """The engine works for `caller`. Without `sampling` it is greedy, or as thinking models are made for."""
        self._engine = engine
        self._host = host
        self._sampling = sampling
        self._limits = limits
        self._caller = caller
        self._clock = clock

    async def ask(
        self, question: str, *, history: Sequence[Exchange] = (), max_steps: int | None = None
    ) -> AsyncIterator[Event]:
        """Run the loop; `max_steps` are turns that call. Raises ContextOverflow where the question alone does not fit, and
        ChatTemplateError where the model has no template; tool failures are events."""
        talk = await self._begin(question, history, max_steps)
        while True:
            written = WrittenTurn(talk.generator.form)
            try:
                async for event in self._write(talk, written):
                    yield event
            except ContextOverflow:
                if not talk.run.tool_calls:
                    raise
                talk.limit = "context"
                break
            talk.turns.append(written.turn)
            if not written.calls or talk.limit is not None:
                break
            for call in written.calls:
                yield ToolCallStarted(call.name, call.arguments)
            outcomes = await talk.batches.run(written.calls, talk.budget.seconds_for_calls)
            for outcome in outcomes:
                yield outcome.finished
            self._take(talk, outcomes)
        yield await self._end(talk, written)

    async def _begin(self, question: str, history: Sequence[Exchange], max_steps: int | None) -> _Conversation:
        run = QuestionRun(question)
        told = await told_tools(self._engine, await usable_form(self._engine, tool_form(self._engine)), self._host.tools())
        builder = PromptBuilder(self._engine, told)
        limits = self._limits.with_steps(max_steps)
        return _Conversation(
            run=run,
            budget=Budget(limits, run, self._clock),
            batches=CallBatches(self._host, self._engine.info.context_length),
            generator=TurnGenerator(
                self._engine, builder, self._host.tools(), sampling=self._sampling, limits=limits, caller=self._caller
            ),
            turns=[*past_turns(messages_of(history)), UserTurn(question)],
        )

    async def _write(self, talk: _Conversation, written: WrittenTurn) -> AsyncIterator[Event]:
        """One turn of the model, and before it what had to be left out."""
        prompt = await talk.generator.builder.prompt(talk.turns)
        talk.turns = prompt.turns
        if (gone := prompt.trimmed) is not None:
            yield ConversationTrimmed(gone.results, gone.past, gone.cut, prompt.tokens_before, len(prompt.tokens))
        may_call = talk.limit is None
        request = await talk.generator.request(
            prompt,
            may_call=may_call,
            without=frozenset(talk.batches.denied_tools),
            max_tokens=talk.budget.turn_tokens(may_call=may_call),
        )
        written.most_tokens = request.max_tokens
        async for delta in talk.generator.deltas(talk.run, request, talk.budget):
            for event in written.feed(delta):
                yield event

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

    async def _end(self, talk: _Conversation, written: WrittenTurn) -> RunFinished:
        run, answer = talk.run, written.turn.text
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
