"""One turn of the model as a request: under the grammar of thought, text and calls, within what is left of time and tokens."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import anyio

from portico_engine import Delta, EngineClient, Request, SamplingParams, Tool
from portico_engine.grammar import CompiledGrammar, call_mark, compile_tool_calls_isolated
from portico_gateway.agent.free.limits import Budget, FreeLimits
from portico_gateway.agent.free.local.prompt_builder import Prompt, PromptBuilder
from portico_gateway.agent.free.local.tool_form import ToolForm
from portico_gateway.agent.question_run import QuestionRun
from portico_gateway.caller import salt_of
from portico_gateway.model.options import WAIT_SECONDS

GREEDY = SamplingParams(temperature=0.0)
THINKING = SamplingParams(temperature=0.6, top_p=0.95, top_k=20, seed=0)  # greedy, a thought goes round in circles


class TurnGenerator:
    """Makes the requests of one question, and reads what comes of them."""

    def __init__(
        self,
        engine: EngineClient,
        builder: PromptBuilder,
        tools: Sequence[Tool],
        *,
        sampling: SamplingParams | None,
        limits: FreeLimits,
        caller: str,
    ) -> None:
        """The engine knows the requests as `caller`'s."""
        self.builder = builder
        self._engine = engine
        self._tools = tools
        self._sampling = sampling or (THINKING if self.form.thinks else GREEDY)
        self._limits = limits
        self._caller = caller

    @property
    def form(self) -> ToolForm:
        return self.builder.told.form

    async def request(
        self,
        prompt: Prompt,
        *,
        may_call: bool,
        without: frozenset[str],
        max_tokens: int,
        tools: Sequence[Tool] | None = None,
    ) -> Request:
        """The next turn. `tools`: others than those that the model was told of from the beginning; `without`: tools that are
        still told of, so that the prompt stays, and can't be called."""
        callable_tools = self._tools if tools is None else tools
        tools = [tool for tool in callable_tools if tool.name not in without] if may_call else []
        room = self._engine.info.context_length - len(prompt.tokens)
        control = frozenset(self.form.control.values()) if tools else frozenset()
        return Request(
            uuid.uuid4().hex,
            prompt.tokens,
            self._sampling,
            max_tokens=min(max_tokens, room),
            grammar=await self._grammar(tools),
            caller=self._caller,
            salt=salt_of(self._caller),
            shared_prefix_tokens=prompt.kept,  # instructions and tools are nobody's
            keep=prompt.kept,
            pin=WAIT_SECONDS if tools else 0.0,
            pin_where=call_mark(self.form.format),
            shown_tokens=control,
        )

    async def deltas(self, run: QuestionRun, request: Request, budget: Budget) -> AsyncIterator[Delta]:
        """The answer as it comes; it is given up where the question's time is over."""
        async with aclosing(run.generate(self._engine, request)) as deltas:
            while True:
                with anyio.move_on_after(budget.seconds_left) as waiting:
                    delta = await anext(deltas, None)
                if waiting.cancelled_caught or delta is None:
                    return
                yield delta

    async def _grammar(self, tools: Sequence[Tool]) -> CompiledGrammar:
        form = self.form
        return await compile_tool_calls_isolated(
            tools,
            choice="auto" if tools else "none",
            format=form.format,
            parallel=(1, self._limits.calls_a_turn if form.several else 1),
            thinking=self._limits.thought_characters if form.thinks else None,
            special_tokens=form.control,
        )
