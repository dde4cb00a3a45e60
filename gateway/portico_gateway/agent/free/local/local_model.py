"""A model of this machine's own engine: each turn is one request, a thought, then calls under the catalog's grammar or text."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from portico_engine import EngineClient, SamplingParams, Tool
from portico_gateway.agent.events import ConversationTrimmed
from portico_gateway.agent.free.limits import FreeLimits
from portico_gateway.agent.free.local.parsed_turn import ParsedTurn
from portico_gateway.agent.free.local.prompt_builder import PromptBuilder, told_tools
from portico_gateway.agent.free.local.tool_form import tool_form, usable_form
from portico_gateway.agent.free.local.turn_generation import TurnGenerator
from portico_gateway.agent.free.turn_model import TurnRequest, TurnWriter, Written, WrittenTurn
from portico_gateway.agent.question_run import QuestionRun
from portico_gateway.agent.tool_signatures import signature
from portico_gateway.caller import LOCAL


class LocalModel:
    """Implements `TurnModel`."""

    def __init__(self, engine: EngineClient, *, sampling: SamplingParams | None = None, caller: str = LOCAL) -> None:
        """The engine works for `caller`. Without `sampling` it is greedy, or as thinking models are made for."""
        self._engine = engine
        self._sampling = sampling
        self._caller = caller

    @property
    def context_length(self) -> int:
        return self._engine.info.context_length

    @property
    def calls_by_name(self) -> bool:
        """See `TurnModel`: the grammar of each turn is its own."""
        return True

    async def tool_tokens(self, tools: Sequence[Tool]) -> int:
        """See `TurnModel`."""
        return len(await self._engine.tokenize("\n".join(signature(tool) for tool in tools)))

    async def writer(self, tools: Sequence[Tool], limits: FreeLimits) -> TurnWriter:
        """See `TurnModel`."""
        told = await told_tools(self._engine, await usable_form(self._engine, tool_form(self._engine)), tools)
        builder = PromptBuilder(self._engine, told)
        return LocalWriter(
            TurnGenerator(self._engine, builder, tools, sampling=self._sampling, limits=limits, caller=self._caller)
        )


class LocalWriter:
    """Implements `TurnWriter`."""

    def __init__(self, generator: TurnGenerator) -> None:
        self._generator = generator

    async def write(self, run: QuestionRun, asked: TurnRequest) -> AsyncGenerator[Written]:
        """See `TurnWriter`."""
        prompt = await self._generator.builder.prompt(asked.turns)
        if (gone := prompt.trimmed) is not None:
            yield ConversationTrimmed(gone.results, gone.past, gone.cut, prompt.tokens_before, len(prompt.tokens))
        yield prompt.turns
        request = await self._generator.request(
            prompt, may_call=asked.may_call, without=asked.without, max_tokens=asked.max_tokens, tools=asked.tools
        )
        parsed = ParsedTurn(self._generator.form, request.max_tokens)
        async for delta in self._generator.deltas(run, request, asked.budget):
            for event in parsed.feed(delta, run.tell_call_text):
                yield event
        yield WrittenTurn(parsed.turn, parsed.ended)
