"""The tool-calling loop: one question, some calls, one answer, all of it told as events.

It owns the turns (prompt, call, result, answer), the limits on them, and what is done for a model too small to choose by
itself. It knows tools through `ToolHost` and the model through the engine's root API; it prints nothing.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import mcp_types as types

from portico_engine import Delta, EngineClient, FinishReason, Request, SamplingParams, TextPrior, Tool, ToolCallPrior, Usage
from portico_engine.grammar import check_arguments, compile_tool_calls
from portico_gateway.agent.citations import Source, confirm
from portico_gateway.agent.quotations import passage_weights, quotable, quote_grammar
from portico_gateway.agent.rendered_results import Place, Shown, show
from portico_gateway.agent.stable_prefix import OwnPrefix
from portico_gateway.agent.tool_signatures import CatalogText, catalog_text
from portico_gateway.errors import GatewayError
from portico_gateway.guidance.argument_priors import ArgumentPriors, LazyPriors
from portico_gateway.guidance.question import read_question
from portico_gateway.guidance.tool_retrieval import RankedTool, ToolRetriever
from portico_gateway.model.options import WAIT_SECONDS

CALL_TOKENS = 384
ANSWER_TOKENS = 256
TOOLS_SHARE = 3  # the tools' text may fill a third of the context
BEST = 5  # full signatures where it doesn't fit
TRIES = 2  # of one call, where the grammar was looser than the schema

SYSTEM = "You answer questions about the user's files and data. Call the tool that fits the question best.\n\nTools:\n"
CALL_FORM = '\n\nA call is JSON: {"name":"TOOL","arguments":{...}}'


class ToolHost(Protocol):
    """What the loop needs of the gateway's upstreams."""

    def tools(self) -> Sequence[Tool]: ...
    def server_of(self, tool: str) -> str: ...
    def profiles(self) -> Mapping[str, Sequence[str]]: ...
    def templates(self, server: str) -> Sequence[str]: ...
    async def call_tool(self, name: str, arguments: Mapping[str, Any]) -> types.CallToolResult: ...
    async def read_text(self, server: str, uri: str) -> str: ...


@dataclass(frozen=True, slots=True)
class CallStarted:
    """The model has written a whole, valid call, and it is being run."""

    tool: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CallFinished:
    """The call's result, as it is shown; `error` where the server failed or refused."""

    tool: str
    arguments: dict[str, Any]
    shown: Shown
    seconds: float
    error: str | None = None


@dataclass(frozen=True, slots=True)
class AnswerText:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Figures:
    """One line about speed. Times are seconds from the question."""

    time_to_first_token: float
    tokens_per_second: float
    forced_share: float
    tool_seconds: float
    total_seconds: float
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    sampled_steps: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of a question: everything that `--json` prints."""

    question: str
    answer: str
    found: bool
    calls: tuple[CallFinished, ...]
    sources: tuple[Source, ...]
    figures: Figures


Event = CallStarted | CallFinished | AnswerText | Finished
Message = Mapping[str, str]


@dataclass(slots=True)
class _Run:
    """What one question has used and found so far."""

    question: str
    started: float = field(default_factory=time.perf_counter)
    first_token: float | None = None
    usage: list[Usage] = field(default_factory=list)
    calls: list[CallFinished] = field(default_factory=list)
    places: list[tuple[str, Place]] = field(default_factory=list)
    tool_seconds: float = 0.0

    def failed(self, call: CallStarted, error: str) -> CallFinished:
        """A call that was never run."""
        finished = CallFinished(call.tool, call.arguments, Shown("", False), 0.0, error)
        self.calls.append(finished)
        return finished

    def figures(self) -> Figures:
        total = time.perf_counter() - self.started
        completion = sum(u.completion_tokens for u in self.usage)
        decode = sum(u.decode_seconds for u in self.usage)
        return Figures(
            time_to_first_token=(self.first_token or time.perf_counter()) - self.started,
            tokens_per_second=completion / decode if decode else 0.0,
            forced_share=sum(u.forced_tokens for u in self.usage) / completion if completion else 0.0,
            tool_seconds=self.tool_seconds,
            total_seconds=total,
            prompt_tokens=sum(u.prompt_tokens for u in self.usage),
            cached_tokens=sum(u.cached_tokens for u in self.usage),
            completion_tokens=completion,
            sampled_steps=sum(u.sampled_steps for u in self.usage),
        )


class Agent:
    """The loop for a model that must be guided: calls under the catalog's grammar, then an answer from what they found.

    Retrieval over the catalog and the calibrated model form a prior over names; the catalog's own enum values and the
    question's words form one over arguments. All of that only moves logits: what may be said is the grammar's alone.
    """

    def __init__(
        self,
        engine: EngineClient,
        host: ToolHost,
        retriever: ToolRetriever,
        *,
        sampling: SamplingParams | None = None,
        raw: bool = False,
    ) -> None:
        """The retriever's weights are used throughout. `raw` switches all help off: the grammar alone, for comparison."""
        self._engine = engine
        self._host = host
        self._retriever = retriever
        self._sampling = sampling or SamplingParams(temperature=0.0)
        self._raw = raw
        self._weights = retriever.weights
        self._strength = self._weights.strength.of(engine.info.parameters)
        self._quotes = self._weights.strength.is_small(engine.info.parameters) and not raw
        self._priors = ArgumentPriors(retriever.embed, self._weights)
        self._own = OwnPrefix(engine.render_chat)

    async def ask(self, question: str, *, history: Sequence[Message] = (), max_steps: int = 3) -> AsyncIterator[Event]:
        """Run the loop. Raises ContextOverflow where the question alone does not fit; tool failures are events, not errors."""
        run = _Run(question)
        tried: set[str] = set()
        turns: list[Message] = [*history, {"role": "user", "content": question}]
        for _ in range(max_steps):
            ranked = await self._rank(question, frozenset(tried))
            if not ranked:
                break
            call = await self._valid_call(run, turns, ranked)
            if isinstance(call, CallFinished):
                yield call
                break
            yield call
            finished = await self._dispatch(run, call)
            yield finished
            turns += [
                {"role": "assistant", "content": _call_text(call.tool, call.arguments)},
                {"role": "user", "content": _result_text(finished, question)},
            ]
            if finished.shown.found:
                break
            tried.add(call.tool)
        found = any(c.shown.found for c in run.calls)
        answer = ""
        if found:
            async for piece in self._answer(run, turns):
                answer += piece
                yield AnswerText(piece)
        sources = await self._sources(run)
        yield Finished(question, answer.strip(), found, tuple(run.calls), tuple(sources), run.figures())

    # --- choosing -------------------------------------------------------------------------------------------------------------

    async def _rank(self, question: str, exclude: frozenset[str]) -> list[RankedTool]:
        if self._raw:
            return [RankedTool(tool, 0.0) for tool in self._host.tools() if tool.name not in exclude]
        return self._retriever.rank(question, exclude=exclude)

    async def catalog(self, ranked: Sequence[RankedTool]) -> CatalogText:
        budget = self._engine.info.context_length // TOOLS_SHARE

        async def fits(text: str) -> bool:
            return len(await self._engine.tokenize(text)) <= budget

        return await catalog_text(self._host.tools(), fits=fits, best=[r.tool for r in ranked[:BEST]])

    def messages(self, catalog: CatalogText, turns: Sequence[Message]) -> list[Message]:
        return [{"role": "system", "content": SYSTEM + catalog.text + CALL_FORM}, *turns]

    async def _valid_call(
        self, run: _Run, turns: Sequence[Message], ranked: Sequence[RankedTool]
    ) -> CallStarted | CallFinished:
        """A call that its tool's schema takes. What the grammar can't enforce is checked here, and gets one more try."""
        said: list[Message] = []
        wrong = ""
        for _ in range(TRIES):
            call = await self._call(run, [*turns, *said], ranked)
            if isinstance(call, CallFinished):
                return call
            last = call
            violations = check_arguments(self._tool(call.tool).parameters, call.arguments)
            if not violations:
                return call
            wrong = f"{violations[0].pointer or '/'}: {violations[0].message}"
            said = [
                {"role": "assistant", "content": _call_text(call.tool, call.arguments)},
                {"role": "user", "content": f"That call is not valid, {wrong}. Call again: {run.question}"},
            ]
        return run.failed(last, f"the call was not made, its arguments are not valid: {wrong}")

    async def _call(self, run: _Run, turns: Sequence[Message], ranked: Sequence[RankedTool]) -> CallStarted | CallFinished:
        catalog = await self.catalog(ranked)
        allowed = {r.tool.name for r in ranked}
        tools = [tool for tool in catalog.covered if tool.name in allowed]
        request = replace(
            await self._request(catalog, turns),
            max_tokens=CALL_TOKENS,
            grammar=compile_tool_calls(tools, choice="required"),
            prior=None if self._raw else self.prior(run.question, tools, ranked),
            pin=WAIT_SECONDS,
        )
        text, reason = "", None
        async for delta in self._generate(run, request):
            text, reason = text + delta.text, delta.finish_reason
        if reason is not FinishReason.STOP:
            return run.failed(CallStarted("", {}), f"no call was made: the model's call was cut ({reason})")
        call = json.loads(text)
        return CallStarted(call["name"], call["arguments"])

    async def _request(self, catalog: CatalogText, turns: Sequence[Message]) -> Request:
        """The conversation so far. Instructions and tools survive the process, so that the next one reads them for nothing."""
        prompt = await self._engine.render_chat(self.messages(catalog, turns))
        stable = SYSTEM + catalog.stable + ("" if catalog.abridged else CALL_FORM)
        return Request(uuid.uuid4().hex, prompt, self._sampling, keep=await self._own.length(stable, prompt))

    def _tool(self, name: str) -> Tool:
        return next(tool for tool in self._host.tools() if tool.name == name)

    def prior(self, question: str, tools: Sequence[Tool], ranked: Sequence[RankedTool]) -> ToolCallPrior:
        """What retrieval and the question's words say about names and arguments."""
        read = read_question(question)
        names = {r.tool.name: r.weight + self._priors.unspelled_cost(r.tool, read) for r in ranked}
        return ToolCallPrior(names, LazyPriors(self._priors, tools, read), strength=self._strength)

    # --- calling --------------------------------------------------------------------------------------------------------------

    async def _dispatch(self, run: _Run, call: CallStarted) -> CallFinished:
        started = time.perf_counter()
        shown, error = Shown("", False), None
        try:
            result = await self._host.call_tool(call.tool, call.arguments)
            shown = show(call.arguments, result)
            if result.is_error:
                error, shown = shown.text or "the tool failed without saying why", replace(shown, found=False)
        except GatewayError as failure:
            error = str(failure)
        finished = CallFinished(call.tool, call.arguments, shown, time.perf_counter() - started, error)
        run.calls.append(finished)
        run.tool_seconds += finished.seconds
        if shown.found:
            server = self._host.server_of(call.tool)
            run.places.extend((server, place) for place in shown.places)
        return finished

    async def _sources(self, run: _Run) -> list[Source]:
        found: list[Source] = []
        for server in dict.fromkeys(server for server, _ in run.places):
            places = [place for s, place in run.places if s == server]

            async def read(uri: str, server: str = server) -> str:
                return await self._host.read_text(server, uri)

            found += await confirm(server, places, self._host.templates(server), read)
        return found

    # --- generating -----------------------------------------------------------------------------------------------------------

    async def _answer(self, run: _Run, turns: Sequence[Message]) -> AsyncIterator[str]:
        ranked = await self._rank(run.question, frozenset())
        request = replace(
            await self._request(await self.catalog(ranked), turns),
            sampling=replace(self._sampling, repetition_penalty=1.1),
            max_tokens=ANSWER_TOKENS,
        )
        passages = quotable([call.shown for call in run.calls if call.shown.found]) if self._quotes else []
        if passages:
            prior = TextPrior(
                passage_weights(passages, run.question, self._retriever.embed, self._weights.quotations),
                strength=self._strength,
            )
            request = replace(request, sampling=self._sampling, grammar=quote_grammar(passages), prior=prior)
        async for delta in self._generate(run, request):
            if delta.text:
                yield delta.text

    async def _generate(self, run: _Run, request: Request) -> AsyncIterator[Delta]:
        async for delta in self._engine.generate(request):
            if run.first_token is None and delta.tokens:
                run.first_token = time.perf_counter()
            if delta.usage:
                run.usage.append(delta.usage)
            if delta.finish_reason is FinishReason.ERROR:
                raise GatewayError(f"the model engine failed: {delta.error or 'no reason given'}")
            yield delta


def _call_text(name: str, arguments: Mapping[str, Any]) -> str:
    return json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False, separators=(",", ":"))


def _result_text(call: CallFinished, question: str) -> str:
    if call.error is not None:
        return f"{call.tool} failed: {call.error}\n\nTry another tool for: {question}"
    if not call.shown.found:
        return f"{call.tool} found nothing.\n\nTry another tool for: {question}"
    return f"Result of {call.tool}:\n{call.shown.text}\n\nAnswer in one or two sentences, from this result alone: {question}"
