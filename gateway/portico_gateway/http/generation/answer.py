"""From the engine's deltas to an answer: its text, thoughts, calls and log-probabilities, whole or as the pieces of a stream.

No API's objects are made here, and no API's ids: an id is bare hex, before which an API writes what it likes. A call is only
ever reported whole: its arguments are JSON and satisfy the tool's schema, or the answer is an error.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeAlias

from portico_engine import Delta, FinishReason, Usage
from portico_engine.grammar import (
    ArgumentsText,
    CallCut,
    CallFinished,
    CallStarted,
    ContentText,
    ThinkingText,
    ToolCallParser,
    check_arguments_isolated,
)
from portico_gateway.http.errors import ApiError
from portico_gateway.http.generation.prepare import PreparedRequest
from portico_gateway.http.generation.request import ToolCall
from portico_gateway.http.generation.unheeded import unheeded_grammar

UNFINISHED = (
    "the answer was cut at its length in the middle of what its grammar asks for, and is not valid: "
    "how to end in time is not known for this grammar; allow more tokens, or make its patterns simpler"
)
UNREPEATED_SEED = "on a GPU a seed may say something else when more or less of the prompt is known already; a CPU repeats it"


@dataclass(frozen=True, slots=True)
class TextPiece:
    """More of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class ThoughtPiece:
    """More of what the model thinks before it answers."""

    text: str


@dataclass(frozen=True, slots=True)
class CallPiece:
    """A call begins; `index` is its place among the answer's calls."""

    index: int
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class ArgumentsPiece:
    """More of a call's arguments."""

    index: int
    text: str


Piece: TypeAlias = TextPiece | ThoughtPiece | CallPiece | ArgumentsPiece


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token of the answer, its log-probability, and the likeliest tokens in its place with theirs, best first."""

    token: bytes
    logprob: float
    top: tuple[tuple[bytes, float], ...]


@dataclass(slots=True)
class GeneratedAnswer:
    """One answer in the making. Feed it the deltas; each gives the pieces that a stream sends."""

    prepared: PreparedRequest
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))
    content: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)  # empty where none were asked for
    usage: Usage = field(default_factory=Usage)
    finish_reason: Literal["stop", "length", "tool_calls"] | None = None
    stop: str | None = None  # the stop string that ended it
    notes: list[str] = field(default_factory=list)  # on the answer as a whole
    raw: list[str] = field(default_factory=list)  # all text as it came, where another server's model wrote it
    cut: CallCut | None = None  # a call that the length or a stop string cut off; it is not among `calls`
    _parser: ToolCallParser | None = None

    def __post_init__(self) -> None:
        if self.prepared.tools:
            structured = self.prepared.generation.calls_or_json
            enforced = not self.prepared.is_remote
            self._parser = ToolCallParser(self.prepared.call_format, constrained=enforced, structured=structured)

    @property
    def text(self) -> str:
        return "".join(self.content)

    @property
    def thought(self) -> str:
        return "".join(self.thoughts)

    def takes_text(self, name: str) -> bool:
        """Is it one of the tools that take one text?"""
        return any(tool.name == name and tool.text_input is not None for tool in self.prepared.tools)

    @property
    def warnings(self) -> list[str]:
        """What a client should know of the answer, and of the calls: values that a small model wrote by itself, since nothing
        said fits them."""
        free = self.prepared.guided.free if self.prepared.guided else {}
        return [*self.prepared.warnings, *self.notes] + [
            f"{call.name}: nothing in the conversation says what {path} is; the model wrote it by itself"
            for call in self.calls
            for path in free.get(call.name, ())
        ]

    @property
    def is_exact(self) -> bool:
        """Is whatever comes of it as it was asked for, since its grammar enforces all of it? Another server's word is none."""
        grammar = self.prepared.request.grammar
        return grammar is None or (grammar.report.exact and not self.prepared.is_remote)

    def begin_again(self, prepared: PreparedRequest) -> None:
        """Forget what came so far: another request gives the answer."""
        fresh = GeneratedAnswer(prepared, id=self.id, created=self.created)
        for each in fields(self):
            setattr(self, each.name, getattr(fresh, each.name))

    def feed(self, delta: Delta) -> list[Piece]:
        """The pieces that this adds. Raises ApiError where the engine failed."""
        pieces = list(self._pieces(delta))
        self.logprobs += self._logprobs(delta)
        if delta.finish_reason is not None:
            self._finish(delta)
        return pieces

    def _pieces(self, delta: Delta) -> Iterator[Piece]:
        if self.prepared.is_remote:
            self.raw.append(delta.text)
        if self._parser is None:
            if delta.text:
                self.content.append(delta.text)
                yield TextPiece(delta.text)
            return
        events = self._parser.feed(delta.text) if delta.text else []
        if delta.finish_reason is not None:
            events = [*events, *self._parser.finish()]
        for event in events:
            match event:
                case ContentText(text):
                    self.content.append(text)
                    yield TextPiece(text)
                case ThinkingText(text):
                    self.thoughts.append(text)
                    yield ThoughtPiece(text)
                case CallStarted(index, name):
                    call = ToolCall(uuid.uuid4().hex[:24], name, "")
                    self.calls.append(call)
                    yield CallPiece(index, call.id, name)
                case ArgumentsText(index, text):
                    self.calls[index] = replace(self.calls[index], arguments=self.calls[index].arguments + text)
                    yield ArgumentsPiece(index, text)
                case CallFinished(index, _, arguments):
                    self.calls[index] = replace(self.calls[index], arguments=arguments)
                case CallCut():
                    self.cut = event

    def _finish(self, delta: Delta) -> None:
        self.usage = delta.usage or Usage()
        sampling = self.prepared.request.sampling
        if sampling.is_seeded and not sampling.is_greedy and not self.prepared.engine.info.repeats_seeds:
            self.notes.append(UNREPEATED_SEED)
        if delta.unfinished:
            self.notes.append(UNFINISHED)
        self.stop = delta.stop
        if self.cut is not None:
            self.calls = self.calls[: self.cut.index]
        match delta.finish_reason:
            case FinishReason.ERROR | FinishReason.CANCELLED:
                raise ApiError(500, f"the model's answer failed: {delta.error or delta.finish_reason}", kind="server_error")
            case FinishReason.LENGTH:
                self.finish_reason = "length"
            case _:  # who reads a stream has seen the beginning of a call that was cut, and must not take it for one to make
                self.finish_reason = "tool_calls" if self.calls and self.cut is None else "stop"

    async def violation(self) -> str | None:
        """What is wrong with the answer, where its grammar was not exact. None of an answer that is as it was asked for."""
        if self.is_exact or self.finish_reason == "length" or self.stop is not None:
            return None  # what was cut off can't be whole
        if self.prepared.is_remote and (unheeded := unheeded_grammar(self)) is not None:
            return unheeded
        schema = self.prepared.schema
        if schema is not None and not self.calls:
            return await _first_violation(schema, self.text, "the answer")
        schemas: Mapping[str, Any] = {tool.name: tool.parameters for tool in self.prepared.tools}
        for call in self.calls:
            if wrong := await _first_violation(schemas[call.name], call.arguments, f"the call of {call.name}"):
                return wrong
        return None

    def _logprobs(self, delta: Delta) -> list[TokenLogprob]:
        """Those of a delta's tokens, the end token left out."""
        if self.prepared.request.sampling.logprobs is None:
            return []
        tokens = self.prepared.engine.tokens
        text = tokens.token_bytes
        tops = delta.top_logprobs or ((),) * len(delta.tokens)
        return [
            TokenLogprob(text[token], logprob, tuple((text[each], value) for each, value in top))
            for token, logprob, top in zip(delta.tokens, delta.logprobs, tops, strict=True)
            if token not in tokens.end_token_ids
        ]


async def _first_violation(schema: Any, text: str, what: str) -> str | None:
    try:
        value = json.loads(text)
    except ValueError as error:
        return f"{what} is not JSON: {error}"
    violations = await check_arguments_isolated(schema, value)
    return f"{what} breaks its schema at {violations[0].pointer or '/'}: {violations[0].message}" if violations else None
