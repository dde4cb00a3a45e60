"""A tool call, as the model writes it: ranked tools, the grammar of their calls, guidance as a prior, one more try.

Retrieval over the catalog forms a prior over names; the catalog's own enum values and the question's words form one over
arguments. All of that only moves logits: what may be said is the grammar's alone. It runs no call.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from portico_engine import EngineClient, FinishReason, Tool, ToolCallPrior
from portico_engine.grammar import check_arguments_isolated, compile_tool_calls_isolated
from portico_gateway.agent.events import ToolCallFinished, ToolCallStarted
from portico_gateway.agent.prompts import Message, refused_call
from portico_gateway.agent.question_run import QuestionRun
from portico_gateway.agent.request_builder import RequestBuilder
from portico_gateway.agent.tool_host import ToolHost
from portico_gateway.guidance.argument_priors import ArgumentPriors, LazyPriors
from portico_gateway.guidance.call_guide import CallGuide
from portico_gateway.guidance.copying.text.spans import read_spans
from portico_gateway.guidance.guided_call import GuidedCall
from portico_gateway.guidance.question import read_question
from portico_gateway.guidance.read_calls import narrowed_to
from portico_gateway.guidance.tool_choice import change_weights, with_calls
from portico_gateway.guidance.tool_retrieval import RankedTool, ToolRetriever
from portico_gateway.model.options import WAIT_SECONDS

MAX_CALL_TOKENS = 384
MAX_ATTEMPTS = 2  # at one call, where the grammar was looser than the schema


class ToolCallGenerator:
    """Chooses a tool and writes its call. `raw`: the model under the grammar alone, for comparison."""

    def __init__(
        self, engine: EngineClient, host: ToolHost, retriever: ToolRetriever, requests: RequestBuilder, *, raw: bool
    ) -> None:
        self._engine = engine
        self._host = host
        self._retriever = retriever
        self._requests = requests
        self._raw = raw
        self._priors = ArgumentPriors(retriever.embed, retriever.weights)
        self._guide = CallGuide(retriever.embed, retriever.weights, information=retriever.information)
        self._strength = retriever.weights.strength.of(engine.info.parameters)

    def rank(self, question: str, exclude: frozenset[str] = frozenset()) -> list[RankedTool]:
        """The tools, best first, without the excluded."""
        if self._raw:
            return [RankedTool(tool, 0.0) for tool in self._host.tools() if tool.name not in exclude]
        return self._retriever.rank(question, exclude=exclude)

    def prior(self, question: str, tools: Sequence[Tool], ranked: Sequence[RankedTool]) -> ToolCallPrior:
        """What retrieval and the question's words say about names and arguments."""
        read = read_question(question)
        names = {r.tool.name: r.weight for r in ranked}
        return ToolCallPrior(names, LazyPriors(self._priors, tools, read), strength=self._strength)

    def guided(self, question: str, tools: Sequence[Tool], ranked: Sequence[RankedTool]) -> GuidedCall:
        """The tools as the question leaves them, the best ones narrowed to what it says, and the prior over their calls."""
        prior = self.prior(question, tools, ranked)
        if not self._guide.guides(self._engine.info.parameters):
            return GuidedCall(tuple(tools), prior)
        weights = self._retriever.weights
        changes = change_weights([r.tool for r in ranked], question, weights.retrieval)
        near = self._guide.near_definitions(self._without_questions(tools), question)
        names = {name: weight + changes[name] + near.get(name, 0.0) for name, weight in prior.names.items()}
        best = sorted((tool for tool in tools if tool.name in names), key=lambda tool: -names[tool.name])
        narrowed = self._guide.narrowed(best[: weights.copies.most_weighed], question, prior.calls)
        names = with_calls(names, narrowed, read_spans(question), weights.retrieval)
        calls = {tool.name: narrowed[tool.name].prior if tool.name in narrowed else prior.calls[tool.name] for tool in tools}
        kept = tuple(narrowed[tool.name].tool if tool.name in narrowed else tool for tool in tools)
        free = {name: of.free for name, of in narrowed.items() if of.free}
        return GuidedCall(kept, replace(prior, names=names, calls=calls), free)

    async def generate(
        self, run: QuestionRun, turns: Sequence[Message], ranked: Sequence[RankedTool]
    ) -> ToolCallStarted | ToolCallFinished | None:
        """A call that its tool's schema takes; None where every tool needs something that the question doesn't say. What the
        grammar can't enforce is checked here, and gets one more try."""
        retry: list[Message] = []
        violation = ""
        for _ in range(MAX_ATTEMPTS):
            call = await self._attempt(run, [*turns, *retry], ranked)
            if call is None or isinstance(call, ToolCallFinished):
                return call
            last = call
            schema = narrowed_to(self._tool(call.tool), run.question, run.readings.get(call.tool)).parameters
            violations = await check_arguments_isolated(schema, call.arguments)
            if not violations:
                return call
            violation = f"{violations[0].pointer or '/'}: {violations[0].message}"
            retry = refused_call(call.tool, call.arguments, violation, run.question)
        return run.refused(last, f"the call was not made, its arguments are not valid: {violation}")

    async def _attempt(
        self, run: QuestionRun, turns: Sequence[Message], ranked: Sequence[RankedTool]
    ) -> ToolCallStarted | ToolCallFinished | None:
        catalog = await self._requests.catalog(ranked)
        allowed = {r.tool.name for r in ranked}
        tools = [tool for tool in catalog.covered if tool.name in allowed]
        await self._read(run, tools)
        guided = GuidedCall(tuple(tools), None) if self._raw else self.guided(run.question, tools, ranked)
        guided = _tellable(self._guide.read(guided, run.question, run.readings))
        if not guided.tools:
            return None
        request = await self._requests.request(catalog, turns)
        request = replace(
            request,
            sampling=replace(request.sampling, logprobs=0),
            max_tokens=MAX_CALL_TOKENS,
            grammar=await compile_tool_calls_isolated(guided.tools, choice="required"),
            prior=guided.prior,
            pin=WAIT_SECONDS,
        )
        text, reason, logprob = "", None, 0.0
        async for delta in run.generate(self._engine, request):
            run.tell_call_text(delta.text)
            text, reason, logprob = text + delta.text, delta.finish_reason, logprob + sum(delta.logprobs)
        run.call_logprobs.append(logprob)
        if reason is not FinishReason.STOP:
            return run.refused(ToolCallStarted("", {}), f"no call was made: the model's call was cut ({reason})")
        call = json.loads(text)
        return ToolCallStarted(call["name"], call["arguments"], guided.free.get(call["name"], ()))

    async def _read(self, run: QuestionRun, tools: Sequence[Tool]) -> None:
        """Let the servers that can read the question for their tools."""
        for tool in tools if not self._raw else ():
            if tool.name not in run.readings:
                reading = await self._host.read_question(tool.name, run.question)
                if reading is not None:
                    run.readings[tool.name] = reading

    def _without_questions(self, tools: Sequence[Tool]) -> list[Tool]:
        """The tools of servers none of whose descriptions show a question that they answer."""
        shown = {self._host.server_of(tool.name) for tool in self._host.tools() if "?" in tool.description}
        return [tool for tool in tools if self._host.server_of(tool.name) not in shown]

    def _tool(self, name: str) -> Tool:
        return next(tool for tool in self._host.tools() if tool.name == name)


def _tellable(guided: GuidedCall) -> GuidedCall:
    """Without the tools that need a value which nothing said fits: what a small model writes there by itself is made up."""
    return replace(guided, tools=tuple(tool for tool in guided.tools if tool.name not in guided.free))
