"""From the engine's deltas to OpenAI's objects: one completion, or the chunks of a stream. It knows no sockets.

A call is only ever reported whole: its arguments are JSON and satisfy the tool's schema, or the answer is an error.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from portico_engine import Delta, FinishReason, Usage
from portico_engine.grammar import (
    ArgumentsText,
    CallCut,
    CallFinished,
    CallStarted,
    ContentText,
    ThinkingText,
    ToolCallParser,
    check_arguments,
)
from portico_gateway.http.errors import ApiError
from portico_gateway.http.generation.prepare import Prepared

if TYPE_CHECKING:
    from portico_engine import VocabularyView

Json = dict[str, Any]


@dataclass(slots=True)
class Answer:
    """One answer in the making. Feed it the deltas; each gives the pieces that a stream sends."""

    prepared: Prepared
    model: str
    tokens: VocabularyView
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))
    content: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: list[Json] = field(default_factory=list)
    logprobs: list[Json] = field(default_factory=list)
    usage: Usage | None = None
    finish_reason: str | None = None
    stop: str | None = None  # the stop string that ended it
    cut: CallCut | None = None
    _parser: ToolCallParser | None = None
    _sent_logprobs: int = 0

    def __post_init__(self) -> None:
        if self.prepared.tools:
            self._parser = ToolCallParser(self.prepared.format, constrained=True)

    def feed(self, delta: Delta) -> list[Json]:
        """The `delta` objects of the chunks that this adds. Raises ApiError where the engine failed."""
        pieces = list(self._pieces(delta))
        fresh = self._logprobs(delta)
        self.logprobs += fresh
        if delta.finish_reason is not None:
            self._finish(delta)
        return pieces

    def _pieces(self, delta: Delta) -> Iterator[Json]:
        if self._parser is None:
            if delta.text:
                self.content.append(delta.text)
                yield {"content": delta.text}
            return
        events = self._parser.feed(delta.text) if delta.text else []
        if delta.finish_reason is not None:
            events = [*events, *self._parser.finish()]
        for event in events:
            match event:
                case ContentText(text):
                    self.content.append(text)
                    yield {"content": text}
                case ThinkingText(text):
                    self.reasoning.append(text)
                    yield {"reasoning_content": text}
                case CallStarted(index, name):
                    head: Json = {"id": f"call_{uuid.uuid4().hex[:24]}", "type": "function"}
                    self.calls.append({**head, "function": {"name": name, "arguments": ""}})
                    yield {"tool_calls": [{"index": index, **head, "function": {"name": name, "arguments": ""}}]}
                case ArgumentsText(index, text):
                    self.calls[index]["function"]["arguments"] += text
                    yield {"tool_calls": [{"index": index, "function": {"arguments": text}}]}
                case CallFinished(index, _, arguments):
                    self.calls[index]["function"]["arguments"] = arguments
                case CallCut():
                    self.cut = event

    def _finish(self, delta: Delta) -> None:
        self.usage = delta.usage
        self.stop = delta.stop
        match delta.finish_reason:
            case FinishReason.ERROR | FinishReason.CANCELLED:
                raise ApiError(500, f"the model's answer failed: {delta.error or delta.finish_reason}", kind="server_error")
            case FinishReason.LENGTH:
                self.finish_reason = "length"
            case _:
                self.finish_reason = "tool_calls" if self.calls else "stop"
        if self.cut is not None:
            self.calls = self.calls[: self.cut.index]

    def violation(self) -> str | None:
        """What is wrong with the answer, where its grammar was not exact. None of an answer that is as it was asked for."""
        grammar = self.prepared.request.grammar
        if grammar is None or grammar.report.exact or self.finish_reason == "length":
            return None
        if self.prepared.schema is not None:
            return _first(self.prepared.schema, "".join(self.content), "the answer")
        schemas: Mapping[str, Any] = {tool.name: tool.parameters for tool in self.prepared.tools}
        for call in self.calls:
            function = call["function"]
            if wrong := _first(schemas[function["name"]], function["arguments"], f"the call of {function['name']}"):
                return wrong
        return None

    # -- OpenAI's objects

    def chunk(self, delta: Json, *, finish_reason: str | None = None) -> Json:
        """The next chunk of the stream, with the log-probabilities that no chunk before it had."""
        fresh = self.logprobs[self._sent_logprobs :]
        self._sent_logprobs += len(fresh)
        logprobs = {"content": fresh} if fresh else None
        choice: Json = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": logprobs}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def usage_chunk(self) -> Json:
        return {**self._head("chat.completion.chunk"), "choices": [], "usage": usage_object(self.usage)}

    def whole(self) -> Json:
        """The chat.completion object of a finished answer."""
        content = "".join(self.content)
        message: Json = {"role": "assistant", "content": content if content or not self.calls else None, "refusal": None}
        if self.calls:
            message["tool_calls"] = self.calls
        if self.reasoning:
            message["reasoning_content"] = "".join(self.reasoning)
        wanted = self.prepared.request.sampling.logprobs is not None
        choice = {
            "index": 0,
            "message": message,
            "finish_reason": self.finish_reason,
            "logprobs": {"content": self.logprobs, "refusal": None} if wanted else None,
        }
        return {**self._head("chat.completion"), "choices": [choice], "usage": usage_object(self.usage)}

    def _head(self, kind: str) -> Json:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _logprobs(self, delta: Delta) -> list[Json]:
        """OpenAI's entries for a delta's tokens, the end token left out."""
        if self.prepared.request.sampling.logprobs is None:
            return []
        tops = delta.top_logprobs or ((),) * len(delta.tokens)
        return [
            {**self._token(token, logprob), "top_logprobs": [self._token(*each) for each in top]}
            for token, logprob, top in zip(delta.tokens, delta.logprobs, tops, strict=True)
            if token not in self.tokens.end_token_ids
        ]

    def _token(self, token: int, logprob: float) -> Json:
        data = self.tokens.token_bytes[token]
        return {"token": data.decode("utf-8", "replace"), "logprob": logprob, "bytes": list(data)}


def usage_object(usage: Usage | None) -> Json:
    """OpenAI's usage; `forced_tokens` are those that the grammar left no choice about."""
    usage = usage or Usage()
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"forced_tokens": usage.forced_tokens},
    }


def _first(schema: Any, text: str, what: str) -> str | None:
    try:
        value = json.loads(text)
    except ValueError as error:
        return f"{what} is not JSON: {error}"
    violations = check_arguments(schema, value)
    return f"{what} breaks its schema at {violations[0].pointer or '/'}: {violations[0].message}" if violations else None
