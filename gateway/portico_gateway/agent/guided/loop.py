"""The tool-calling loop: one question, some calls, one answer, all of it told as events.

It owns the order of the turns (call, result, answer, the next part) and the limit on them. It knows tools through `ToolHost`
and the model through the engine's root API; whether an answer is given is `verdict.py`'s; it prints nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import partial

from portico_engine import EngineClient, SamplingParams, Tool
from portico_gateway.agent.conversation import Exchange
from portico_gateway.agent.events import AnswerText, Event, QuestionUnderstood, RunFinished, ToolCallFinished, ToolCallStarted
from portico_gateway.agent.guided.answers.answer_generation import AnswerGenerator, QuotedAnswer
from portico_gateway.agent.guided.answers.constant_values import defined_value
from portico_gateway.agent.guided.calls.constant_lookup import constant_lookup
from portico_gateway.agent.guided.calls.follow_up import follow_up
from portico_gateway.agent.guided.calls.other_searches import in_whole, narrower_search, other_searches, search_instead
from portico_gateway.agent.guided.calls.reused_call import of_same_tool, reused_call
from portico_gateway.agent.guided.calls.things import found_thing
from portico_gateway.agent.guided.calls.tool_call_generation import ToolCallGenerator
from portico_gateway.agent.guided.judging.verdict import combined, judge, judge_free, too_long, unspoken
from portico_gateway.agent.guided.part_run import PartRun
from portico_gateway.agent.guided.questions.elliptical_question import CompletedQuestion, completed_question
from portico_gateway.agent.guided.questions.plan import MAX_CALLS, Part, asks_to_know, head_noun, parts, resolved
from portico_gateway.agent.host_calls import HostCalls
from portico_gateway.agent.judgement import Judgement, Verdict
from portico_gateway.agent.prompts import Message, finished_call
from portico_gateway.agent.question_run import CallTextListener, QuestionRun
from portico_gateway.agent.request_builder import RequestBuilder
from portico_gateway.agent.tool_host import ToolHost
from portico_gateway.caller import LOCAL
from portico_gateway.guidance.languages.in_english import in_english
from portico_gateway.guidance.languages.question_language import question_language
from portico_gateway.guidance.tool_retrieval import RankedTool, ToolRetriever, uninformed

MAX_WORDS = 400  # of a question: what a small model reads of a longer one is chance
MAX_UNSURE = 2  # results of one part that are looked at and don't answer it


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
        self._calls = HostCalls(host)
        self.requests = RequestBuilder(engine, host, sampling, caller=caller)
        self.tool_calls = ToolCallGenerator(engine, host, retriever, self.requests, raw=raw)
        self.answers = AnswerGenerator(engine, host, retriever, self.requests, sampling=sampling, raw=raw)

    async def ask(
        self,
        question: str,
        *,
        history: Sequence[Exchange] = (),
        max_steps: int | None = None,
        on_call_text: CallTextListener | None = None,
    ) -> AsyncIterator[Event]:
        """Run the loop; of the history it takes what completes the question, and no more. Raises ContextOverflow where the
        question alone does not fit; tool failures are events, not errors."""
        completed = completed_question(question, history)
        understood = (completed.question if completed is not None else in_english(question)) or question
        if understood != question:
            yield QuestionUnderstood(question, understood)
        run = QuestionRun(understood, asked=question, on_call_text=on_call_text)
        turns = self._quoted if self.answers.quotes else self._written
        async for event in turns(run, completed, max_steps or MAX_CALLS):
            yield event

    # -- a model that chooses among quotations

    async def _quoted(self, run: QuestionRun, completed: CompletedQuestion | None, max_steps: int) -> AsyncIterator[Event]:
        """The question's parts one after the other, or all at once where one finds nothing for the next."""
        if (words := len(run.question.split())) > MAX_WORDS:
            yield await self._end(run, "", too_long(words, MAX_WORDS), ())
            return
        planned, done = parts(run.question), list[PartRun]()
        while planned:
            next_part = planned.pop(0)
            text = self._text(next_part, done)
            if text is None:
                planned, done = [], []
                text = run.question
            part = PartRun(text, completed if text == run.question else None)
            part.run.asked, part.run.on_call_text = run.asked, run.on_call_text
            part.run.said = next_part.text if next_part.refers and text != run.question else text
            done.append(part)
            async for event in self._part(part, max_steps - len(run.tool_calls)):
                yield event
            run.take(part.run)
            if part.judgement.verdict is Verdict.DENIED:
                break
        answer, judgement = combined(run.question, done)
        if answer:
            yield AnswerText(answer)
        yield await self._end(run, answer, judgement, [call for part in done for call in part.calls])

    def _text(self, part: Part, done: Sequence[PartRun]) -> str | None:
        """What is asked for a part; None where it refers to what was not found."""
        if not part.refers:
            return part.text
        before = done[-1]
        if before.answer is None or not before.judgement.answered:
            return None
        thing = found_thing(before.answer, before.run.question)
        return None if thing is None else resolved(part, thing, head_noun(before.run.question))

    async def _part(self, part: PartRun, steps: int) -> AsyncIterator[Event]:
        """Calls until one of them answers the part. What was refused is not done in another way."""
        turns: list[Message] = [{"role": "user", "content": part.run.question}]
        again = reused_call(part.completed, self._host.tools())
        chain: list[ToolCallFinished] = []
        while len(part.run.tool_calls) < steps:
            reading = self._reading_on(part, chain) if chain else None
            call = reading or again or self._searching_instead(part) or await self._new_call(part, turns)
            if call is None:
                break
            yield call
            if isinstance(call, ToolCallFinished):
                break
            finished = await self._calls.call(part.run, call)
            yield finished
            if finished.denied:
                break
            if call is again and finished.result.found:
                part.tried.add(call.tool)  # where it found nothing, the same tool may have to be called otherwise
            again = None
            if not finished.result.found and (none := self.answers.none_of(part.run, finished)) is not None:
                part.consider(none, partial(self._judge, part.run))
                break
            if not finished.result.found and (again := self._with_fewer_words(part, finished)) is not None:
                chain = []
                continue
            chain = [*(chain if reading else ()), finished] if finished.result.found else []
            if chain:
                await self._answers(part, chain, turns)
            async for event in self._asking_others(part, finished, turns, steps):
                yield event
            if part.judgement.answered:
                break
        async for event in self._following(part, steps):
            yield event
        if part.answer is None:
            part.judgement = self._judge(part.run, None)

    async def _new_call(self, part: PartRun, turns: Sequence[Message]) -> ToolCallStarted | ToolCallFinished | None:
        """The model's call of a tool that is still to be tried; None where there is none that could be told what it needs, or
        enough was looked at."""
        ranked = self._open_tools(part)
        if not ranked or part.unsure >= MAX_UNSURE:
            return None
        call = await self.tool_calls.generate(part.run, turns, ranked)
        if call is None:
            return None
        part.tried.add(call.tool)
        if isinstance(call, ToolCallStarted):
            return in_whole(part.run.question, call, [r.tool for r in ranked])
        return call

    def _searching_instead(self, part: PartRun) -> ToolCallStarted | None:
        """After a call that found nothing by a name, the search for that name."""
        if not part.run.tool_calls or (last := part.run.tool_calls[-1]).result.found or last.denied:
            return None
        open_tools = [r.tool for r in self.tool_calls.rank(part.run.question, frozenset(part.tried - {last.tool}))]
        tools = [tool for tool in open_tools if self._host.is_read_only(tool.name)]
        call = search_instead(last, tools, self._host.server_of)
        if call is not None:
            part.tried.add(call.tool)
        return call

    def _with_fewer_words(self, part: PartRun, last: ToolCallFinished) -> ToolCallStarted | None:
        """The search that found nothing, once more."""
        tool = next((tool for tool in self._host.tools() if tool.name == last.tool), None)
        return narrower_search(last, tool, part.run.tool_calls) if tool is not None else None

    def _open_tools(self, part: PartRun) -> list[RankedTool]:
        """The tools that are still to be tried. Whoever asks to know something needs none that writes; a second tool is none
        either, nor one that can be told nothing: a listing of all that there is answers no question that another could not."""
        ranked = self.tool_calls.rank(part.run.question, frozenset(part.tried))
        reading = [r for r in ranked if self._host.is_read_only(r.tool.name)]
        if part.tried:
            return [r for r in reading if r.tool.parameters.get("required")]
        return of_same_tool(reading if reading and asks_to_know(part.run.question) else ranked, part.completed)

    def _reading_on(self, part: PartRun, chain: Sequence[ToolCallFinished]) -> ToolCallStarted | None:
        """The call that reads what the last one of a chain has named."""
        there = {tool.name for tool in self._host.tools() if self._host.is_read_only(tool.name)}
        if chain[-1].tool not in there:
            return None
        server = self._host.server_of(chain[-1].tool)
        ranked = [r.tool for r in self.tool_calls.rank(part.run.question) if r.tool.name in there]
        tools = [tool for tool in ranked if self._host.server_of(tool.name) == server]
        return follow_up(part.run.question, chain[-1], tools, part.run.tool_calls, self._retriever.embed)

    async def _asking_others(
        self, part: PartRun, done: ToolCallFinished, turns: Sequence[Message], steps: int
    ) -> AsyncIterator[Event]:
        """Where a call leads to no sure answer, searches are asked the whole question, too: the surest answer is kept. What a
        search of code or of documents has found is never sure before the other was asked."""
        found = part.answer is not None and bool(part.answer.parts)
        if not found and (part.judgement.confidence or 0.0) >= self._retriever.weights.confidence.sure:
            return
        tools = [r.tool for r in self.tool_calls.rank(part.run.question) if self._host.is_read_only(r.tool.name)]
        for call in other_searches(part.run.question, done, tools, self._host.server_of):
            made = any((one.tool, one.arguments) == (call.tool, call.arguments) for one in part.run.tool_calls)
            if made or len(part.run.tool_calls) >= steps:
                continue
            part.tried.add(call.tool)
            yield call
            finished = await self._calls.call(part.run, call)
            yield finished
            if finished.denied:
                return
            if finished.result.found:
                await self._answers(part, [finished], turns)

    async def _answers(self, part: PartRun, chain: Sequence[ToolCallFinished], turns: Sequence[Message]) -> None:
        """Let the model choose among what the chain's last call found, and keep that where it is the surest answer so far."""
        question = part.run.question
        judge = partial(self._judge, part.run)
        if (records := self.answers.together(question, chain)) is not None:
            part.consider(records, judge)
            return
        told = [*turns, *finished_call(chain[-1], question)]
        part.consider(await self.answers.quote(part.run, told, self.tool_calls.rank(question), chain), judge)
        named = _is_named(question, chain[-1])
        if not part.judgement.answered and (len(chain) > 1 or named):
            part.consider(self.answers.whole(chain, named=named), judge)

    async def _following(self, part: PartRun, steps: int) -> AsyncIterator[Event]:
        """What a value of the answer is, where its place names a constant of another file; one constant after the other."""
        while part.answer is not None and len(part.run.tool_calls) < steps:
            call = constant_lookup(part.answer, self._host, part.run.tool_calls, self._retriever.embed)
            if call is None:
                return
            yield call
            finished = await self._calls.call(part.run, call)
            yield finished
            if finished.denied:
                return
            if (told := defined_value(part.answer, finished)) is not None:
                part.follow(told, finished, partial(self._judge, part.run))

    def _judge(self, run: QuestionRun, answer: QuotedAnswer | None, others: Sequence[QuotedAnswer] = ()) -> Judgement:
        by = self._retriever
        english = question_language(run.asked or run.question) is None  # what words of another language say is not known
        information = by.information if english else uninformed
        return judge(run, answer, by.embed, self._called(run), by.weights, others, information)

    def _called(self, run: QuestionRun) -> dict[str, Tool]:
        """The tools that the run has called, by name."""
        names = {call.tool for call in run.tool_calls}
        return {tool.name: tool for tool in self._host.tools() if tool.name in names}

    # -- a model that writes

    async def _written(self, run: QuestionRun, completed: CompletedQuestion | None, max_steps: int) -> AsyncIterator[Event]:
        """Calls until one finds something, then the answer in the model's own words."""
        turns: list[Message] = [{"role": "user", "content": run.question}]
        tried: set[str] = set()
        for _ in range(max_steps):
            ranked = self.tool_calls.rank(run.question, frozenset(tried))
            if not ranked:
                break
            call = await self.tool_calls.generate(run, turns, of_same_tool(ranked, completed))
            if call is None:
                break
            yield call
            if isinstance(call, ToolCallFinished):
                break
            finished = await self._calls.call(run, call)
            yield finished
            turns += finished_call(finished, run.question)
            if finished.result.found or finished.denied:
                break
            tried.add(call.tool)
        text = ""
        if run.found:
            async for piece in self.answers.write(run, turns, self.tool_calls.rank(run.question)):
                text += piece
                yield AnswerText(piece)
        retriever = self._retriever
        judgement = judge_free(run, text, retriever.embed, self._called(run), retriever.weights)
        yield await self._end(run, text.strip(), judgement, run.tool_calls)

    async def _end(self, run: QuestionRun, text: str, judgement: Judgement, calls: Sequence[ToolCallFinished]) -> RunFinished:
        """`calls` are those that the answer rests on: their citations are opened again."""
        sources = await self._calls.confirmed(calls or run.tool_calls)
        made = tuple(run.tool_calls)
        if not judgement.answered and (language := question_language(run.asked or run.question)) is not None:
            judgement = unspoken(judgement, language)
        return RunFinished(run.question, text, run.found, made, tuple(sources), run.metrics(), judgement, asked=run.asked)


def _is_named(question: str, call: ToolCallFinished) -> bool:
    """Does the question spell out the file or the like that was read?"""
    given = [value for value in call.arguments.values() if isinstance(value, str) and len(value) > 3]
    return any(value.lower() in question.lower() and not value.isalpha() for value in given)
