"""The tool-calling loop: one question, some calls, one answer, all of it told as events.

It owns the order of the turns (call, result, answer) and the limit on them. It knows tools through `ToolHost` and the model
through the engine's root API; it prints nothing.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from portico_engine import EngineClient, SamplingParams
from portico_gateway.agent.citations import ConfirmedCitation, confirm
from portico_gateway.agent.conversation import Exchange, messages_of
from portico_gateway.agent.events import AnswerText, Event, QuestionUnderstood, RunFinished, ToolCallFinished, ToolCallStarted
from portico_gateway.agent.guided.answer_generation import AnswerGenerator
from portico_gateway.agent.guided.follow_up import follow_up_of
from portico_gateway.agent.guided.reused_call import of_same_tool, reused_call
from portico_gateway.agent.guided.tool_call_generation import ToolCallGenerator
from portico_gateway.agent.guided.verdict import judge, judge_free
from portico_gateway.agent.prompts import Message, finished_call
from portico_gateway.agent.question_run import QuestionRun
from portico_gateway.agent.rendered_results import RenderedResult, render
from portico_gateway.agent.request_builder import RequestBuilder
from portico_gateway.agent.tool_host import ToolHost
from portico_gateway.caller import LOCAL
from portico_gateway.errors import GatewayError, PolicyError
from portico_gateway.guidance.tool_retrieval import ToolRetriever

MAX_STEPS = 3  # calls


class Agent:
    """The loop for a model that must be guided: calls under the catalog's grammar, then an answer from what they found."""

    def __init__(
        self,
        engine: EngineClient,
        host: ToolHost,
        retriever: ToolRetriever,
        *,
        sampling: SamplingParams | None = None,
        raw: bool = False,
        caller: str = LOCAL,
    ) -> None:
        """The retriever's weights are everybody's; the engine works for `caller`.

        `raw` switches all help off: the grammar alone, for comparison."""
        sampling = sampling or SamplingParams(temperature=0.0)
        self._host = host
        self._retriever = retriever
        self.requests = RequestBuilder(engine, host, sampling, caller=caller)
        self.tool_calls = ToolCallGenerator(engine, host, retriever, self.requests, raw=raw)
        self.answers = AnswerGenerator(engine, retriever, self.requests, sampling=sampling, raw=raw)

    async def ask(
        self, question: str, *, history: Sequence[Exchange] = (), max_steps: int | None = None
    ) -> AsyncIterator[Event]:
        """Run the loop, on a follow-up as the whole question that it means. Raises ContextOverflow where the question alone
        does not fit; tool failures are events, not errors."""
        asked, follow_up = question, follow_up_of(question, history)
        if follow_up is not None:
            question = follow_up.question
            yield QuestionUnderstood(asked, question)
        run = QuestionRun(question, asked=asked)
        tried: set[str] = set()
        turns: list[Message] = [*messages_of(history), {"role": "user", "content": question}]
        again = reused_call(follow_up, self._host.tools())
        for _ in range(max_steps or MAX_STEPS):
            ranked = of_same_tool(self.tool_calls.rank(question, frozenset(tried)), follow_up)
            if not ranked:
                break
            call = again or await self.tool_calls.generate(run, turns, ranked)
            yield call
            if isinstance(call, ToolCallFinished):
                break
            finished = await self._call(run, call)
            yield finished
            turns += finished_call(finished, question)
            if finished.result.found or finished.denied:
                break  # what was refused is not done in another way
            if again is None:
                tried.add(call.tool)
            again = None  # what was right before found nothing: the same tool may have to be called otherwise
        async for event in self._answer(run, turns):
            yield event

    async def _answer(self, run: QuestionRun, turns: Sequence[Message]) -> AsyncIterator[Event]:
        """The answer, judged before it is given where it is a quotation, and the run's end."""
        text, embed, ranked = "", self._retriever.embed, self.tool_calls.rank(run.question)
        if run.found and not self.answers.quotes:
            async for piece in self.answers.write(run, turns, ranked):
                text += piece
                yield AnswerText(piece)
            judgement = judge_free(run, text, embed)
        else:
            quoted = await self.answers.quote(run, turns, ranked) if run.found else None
            judgement = judge(run, quoted, embed)
            if quoted is not None and judgement.answered:
                text = quoted.text
                yield AnswerText(text)
        citations = await self._confirmed(run)
        yield RunFinished(
            run.question,
            text.strip(),
            run.found,
            tuple(run.tool_calls),
            tuple(citations),
            run.metrics(),
            judgement,
            asked=run.asked,
        )

    async def _call(self, run: QuestionRun, call: ToolCallStarted) -> ToolCallFinished:
        started = time.perf_counter()
        rendered, error, denied = RenderedResult("", False), None, False
        try:
            result = await self._host.call_tool(call.tool, call.arguments)
            rendered = render(call.arguments, result)
            if result.is_error:
                error, rendered = rendered.text or "the tool failed without saying why", replace(rendered, found=False)
        except GatewayError as failure:
            error, denied = str(failure), isinstance(failure, PolicyError)
        finished = ToolCallFinished(call.tool, call.arguments, rendered, time.perf_counter() - started, error, denied)
        run.tool_calls.append(finished)
        if rendered.found:
            server = self._host.server_of(call.tool)
            run.citations.extend((server, citation) for citation in rendered.citations)
        return finished

    async def _confirmed(self, run: QuestionRun) -> list[ConfirmedCitation]:
        found: list[ConfirmedCitation] = []
        for server in dict.fromkeys(server for server, _ in run.citations):
            citations = [citation for s, citation in run.citations if s == server]

            async def read(uri: str, server: str = server) -> str:
                return await self._host.read_text(server, uri)

            found += await confirm(server, citations, self._host.templates(server), read)
        return found
