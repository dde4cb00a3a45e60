"""Turns of the model and calls of the gateway's own tools, until there is an answer or the client has to do something.

It owns the order of turns and calls and what ends them. It runs in a task of its own, which ends where nobody reads its events
any more. It knows no API: each makes of the events what it tells.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from portico_engine import Usage
from portico_gateway.agent.free import prompts
from portico_gateway.agent.free.call_batch import read_by_model
from portico_gateway.agent.free.limits import FreeLimits
from portico_gateway.agent.free.repeated_calls import RepeatedCalls
from portico_gateway.agent.free.turns import WrittenCall
from portico_gateway.agent.host_calls import CallOutcome
from portico_gateway.caller import Caller
from portico_gateway.errors import ConsentRequired
from portico_gateway.guidance.call_guide import CallGuide
from portico_gateway.http.errors import ApiError
from portico_gateway.http.generation.answer import ArgumentsPiece, CallPiece, GeneratedAnswer, Piece
from portico_gateway.http.generation.prepare import Look, prepare
from portico_gateway.http.generation.request import GenerationRequest, ToolCall, Turn
from portico_gateway.http.generation.stream import PieceStream, start_stream
from portico_gateway.http.server_tools.toolset import Listing, ServerTool, Toolset
from portico_servers.common.panics import is_order

if TYPE_CHECKING:
    from portico_engine import EngineClient

_HELD = 256  # events that wait for whoever reads them
_LIMITS = FreeLimits()


@dataclass(slots=True)
class ServerCall:
    """A call that is made here. Its outcome is there once it is over."""

    id: str
    tool: ServerTool
    arguments: str  # JSON
    output: str | None = None
    error: str | None = None
    approval: str | None = None  # the id of the consent that it needs, or had


@dataclass(frozen=True, slots=True)
class Decided:
    """A call that a person was asked about in an earlier answer, and that is to be made or refused now."""

    call_id: str
    tool: str  # by the gateway's name
    arguments: dict[str, Any]
    approval: str


@dataclass(frozen=True, slots=True)
class ToolsListed:
    listings: tuple[Listing, ...]


@dataclass(frozen=True, slots=True)
class TurnBegun:
    answer: GeneratedAnswer


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """Its calls of tools here are not among the answer's any more: those that are left are the client's."""

    answer: GeneratedAnswer


@dataclass(frozen=True, slots=True)
class CallBegun:
    call: ServerCall


@dataclass(frozen=True, slots=True)
class CallEnded:
    call: ServerCall


@dataclass(frozen=True, slots=True)
class ApprovalAsked:
    """The call was not made: a person has to approve it first."""

    call: ServerCall


LoopEvent: TypeAlias = ToolsListed | TurnBegun | Piece | TurnEnded | CallBegun | CallEnded | ApprovalAsked
LoopEvents: TypeAlias = AsyncGenerator[LoopEvent, None]
OpenToolset: TypeAlias = Callable[[], AbstractAsyncContextManager[Toolset]]


@dataclass(slots=True)
class ToolLoop:
    """One request's. What it came to is in its fields once its events are over."""

    generation: GenerationRequest
    engine: EngineClient
    open_toolset: OpenToolset
    caller: str
    guide: CallGuide | None = None
    look_for: Callable[[Caller], Look | None] = lambda _: None
    decided: Sequence[Decided] = ()
    most_calls: int | None = None  # that the client allows
    turns: list[Turn] = field(default_factory=list)  # what came to the conversation
    answers: list[GeneratedAnswer] = field(default_factory=list)
    calls: list[ServerCall] = field(default_factory=list)
    _repeated: RepeatedCalls = field(default_factory=RepeatedCalls)
    _last: bool = False  # no further calls
    _steps: int = 0

    @property
    def answer(self) -> GeneratedAnswer:
        """The last turn's."""
        return self.answers[-1]

    @property
    def usage(self) -> Usage:
        """Of all turns together."""
        every = [answer.usage for answer in self.answers]
        return Usage(
            sum(usage.prompt_tokens for usage in every),
            sum(usage.cached_tokens for usage in every),
            sum(usage.completion_tokens for usage in every),
            sum(usage.forced_tokens for usage in every),
            sum(usage.sampled_steps for usage in every),
            every[0].time_to_first_token if every else 0.0,
            sum(usage.decode_seconds for usage in every),
        )

    async def start(self) -> LoopEvents:
        """The events as they come, the first of which is there: what is wrong with the request is raised here (ApiError).
        Closing them ends the loop and what it has under way."""
        queue: asyncio.Queue[LoopEvent | BaseException | None] = asyncio.Queue(_HELD)
        task = asyncio.create_task(self._run_into(queue), name="server tools")
        try:
            first = await queue.get()
            if isinstance(first, BaseException):
                raise first
        except BaseException:
            await _ended(task)
            raise
        return _events(task, first, queue)

    async def _run_into(self, queue: asyncio.Queue[LoopEvent | BaseException | None]) -> None:
        """In one task: connections are made and ended in it."""
        try:
            async with self.open_toolset() as toolset, aclosing(self._run(toolset)) as events:
                async for event in events:
                    await queue.put(event)
        except BaseException as error:
            if is_order(error):
                raise
            await queue.put(error)
        else:
            await queue.put(None)

    async def _run(self, toolset: Toolset) -> LoopEvents:
        if self.decided:
            yield ToolsListed(toolset.listings)
            async for event in self._make_decided(toolset):
                yield event
            begun = await self._begin(toolset)
        else:
            begun = await self._begin(toolset)
            yield ToolsListed(toolset.listings)
        while True:
            answer, pieces = begun
            yield TurnBegun(answer)
            async with aclosing(pieces):
                async for piece in _clients_pieces(pieces, answer, toolset):
                    yield piece
            own = self._take(answer, toolset)
            yield TurnEnded(answer)
            waits = False
            async for event in self._make(own, toolset):
                waits = waits or isinstance(event, ApprovalAsked)
                yield event
            if not own or waits or answer.calls:
                return
            begun = await self._begin(toolset)

    async def _begin(self, toolset: Toolset) -> tuple[GeneratedAnswer, PieceStream]:
        """The next turn, with all that came to the conversation. After calls the model may answer, whatever was demanded."""
        asked = self.generation
        choice = asked.tool_choice if not self.calls else "none" if self._last else "auto"
        asked = replace(
            asked,
            tools=(*asked.tools, *toolset.tools),
            server_tools=False,
            turns=(*asked.turns, *self.turns, *([Turn("user", prompts.ANSWER_NOW)] if self._last else [])),
            tool_choice=choice,
        )
        look = self.look_for(toolset.caller)
        prepared = await prepare(asked, self.engine, caller=self.caller, guide=self.guide, look=look)
        answer, pieces = await start_stream(prepared)
        if self.answers:
            answer.id, answer.created = self.answers[0].id, self.answers[0].created
        self.answers.append(answer)
        return answer, pieces

    def _take(self, answer: GeneratedAnswer, toolset: Toolset) -> list[ServerCall]:
        """A finished turn, into the conversation; its calls that are made here."""
        calls = [replace(call, id=f"call_{call.id}") for call in answer.calls]
        if answer.text or calls:
            self.turns.append(Turn("assistant", answer.text, tool_calls=tuple(calls)))
        own: list[ServerCall] = []
        for call in calls:
            if (tool := toolset.get(call.name)) is not None:
                own.append(ServerCall(call.id, tool, call.arguments))
        answer.calls = [call for call in answer.calls if toolset.get(call.name) is None]
        if own and not answer.calls and answer.finish_reason == "tool_calls":
            answer.finish_reason = "stop"
        return own

    async def _make(self, calls: Sequence[ServerCall], toolset: Toolset) -> AsyncIterator[LoopEvent]:
        """One after the other, or beside each other where all of them only read."""
        if not calls:
            return
        self._steps += 1
        beside = all(toolset.runs_beside_others(call.tool) for call in calls)
        for group in [list(calls)] if beside else [[call] for call in calls]:
            begun = [call for call in group if not toolset.needs_consent(call.tool)]
            for call in begun:
                yield CallBegun(call)
            outcomes = await asyncio.gather(*(self._one(call, toolset) for call in group))
            for call, outcome in zip(group, outcomes, strict=True):
                told = self._took(call, outcome)
                if call not in begun and isinstance(told, CallEnded):
                    yield CallBegun(call)
                yield told
        over = self.most_calls is not None and len(self.calls) >= self.most_calls
        self._last = self._last or over or self._steps >= _LIMITS.steps

    async def _make_decided(self, toolset: Toolset) -> AsyncIterator[LoopEvent]:
        for each in self.decided:
            tool = toolset.get(each.tool)
            if tool is None:
                raise ApiError(
                    400, f"tools: {each.tool} was asked about, and no server of this request has it now", param="tools"
                )
            arguments = json.dumps(each.arguments, ensure_ascii=False)
            call = ServerCall(each.call_id, tool, arguments, approval=each.approval)
            self.turns.append(Turn("assistant", tool_calls=(ToolCall(call.id, tool.tool.name, arguments),)))
            async for event in self._make([call], toolset):
                yield event

    async def _one(self, call: ServerCall, toolset: Toolset) -> CallOutcome | None:
        """None where the client allows no further call."""
        if self.most_calls is not None and len(self.calls) >= self.most_calls:
            return None
        self.calls.append(call)
        return await toolset.call(call.tool, json.loads(call.arguments))

    def _took(self, call: ServerCall, outcome: CallOutcome | None) -> LoopEvent:
        """What a call came to, into the conversation."""
        if outcome is not None and isinstance(outcome.refusal, ConsentRequired) and outcome.refusal.approval is not None:
            call.approval = outcome.refusal.approval
            self.calls.remove(call)
            self._forget(call)
            return ApprovalAsked(call)
        if outcome is None:
            call.error = text = f"at most {self.most_calls} calls are made for this request"
        else:
            text = read_by_model(outcome, self.engine.info.context_length)
            call.error = None if outcome.finished.error is None else outcome.finished.error
            call.output = None if call.error else text
            written = WrittenCall(call.tool.tool.name, outcome.finished.arguments)
            if self._repeated.count(written, text) > _LIMITS.same_results:
                self._last = True
        self.turns.append(Turn("tool", text, name=call.tool.tool.name, tool_call_id=call.id))
        return CallEnded(call)

    def _forget(self, call: ServerCall) -> None:
        """A call that was not made is none of the conversation's: it comes to it when it is decided."""
        place = max(at for at, turn in enumerate(self.turns) if turn.role == "assistant")  # results may stand behind it
        turn = self.turns[place]
        kept = tuple(each for each in turn.tool_calls if each.id != call.id)
        self.turns[place : place + 1] = [replace(turn, tool_calls=kept)] if turn.content or kept else []


async def _clients_pieces(pieces: PieceStream, answer: GeneratedAnswer, toolset: Toolset) -> AsyncIterator[Piece]:
    """Without those of calls that are made here; the client's own calls are counted by themselves."""
    places: dict[int, int] = {}
    async for piece in pieces:
        if isinstance(piece, CallPiece):
            if toolset.get(piece.name) is not None:
                continue
            places[piece.index] = len(places)
            yield replace(piece, index=places[piece.index])
        elif isinstance(piece, ArgumentsPiece):
            if piece.index in places:
                yield replace(piece, index=places[piece.index])
        else:
            yield piece


async def _events(
    task: asyncio.Task[None], first: LoopEvent | None, queue: asyncio.Queue[LoopEvent | BaseException | None]
) -> LoopEvents:
    item: LoopEvent | BaseException | None = first
    try:
        while item is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
            item = await queue.get()
    finally:
        await _ended(task)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def new_call_id() -> str:
    return f"call_{uuid.uuid4().hex[:24]}"
