"""A generated answer as Anthropic's message, or as the events of a stream. It knows no sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from portico_engine import Usage
from portico_gateway.http.generation.answer import ArgumentsPiece, CallPiece, GeneratedAnswer, Piece, TextPiece, ThoughtPiece
from portico_gateway.http.wire import Json

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}


def message_object(answer: GeneratedAnswer) -> Json:
    """The message object of a finished answer."""
    content: list[Json] = []
    if answer.thoughts:
        content.append({"type": "thinking", "thinking": answer.thought, "signature": ""})
    if answer.content or not answer.calls:
        content.append({"type": "text", "text": answer.text})
    for call in answer.calls:
        content.append({**_tool_use(call.id, call.name), "input": json.loads(call.arguments)})
    ending = {**_ending(answer), "usage": anthropic_usage_object(answer.usage)}
    return {**_head(answer), "content": content, **ending, **_warnings(answer)}


def message_start(answer: GeneratedAnswer) -> Json:
    """A stream's first event."""
    usage = {**anthropic_usage_object(Usage()), "input_tokens": len(answer.prepared.request.prompt)}
    empty: Json = {"content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    return {"type": "message_start", "message": {**_head(answer), **empty}}


def message_end(answer: GeneratedAnswer) -> Iterator[Json]:
    """A stream's last events."""
    usage = anthropic_usage_object(answer.usage)
    yield {"type": "message_delta", "delta": _ending(answer), "usage": usage, **_warnings(answer)}
    yield {"type": "message_stop"}


@dataclass(slots=True)
class ContentBlocks:
    """The events of the content: its blocks, one after the other."""

    index: int = -1
    kind: str | None = None  # of the open block; a call's is its place among the calls

    def feed(self, piece: Piece) -> Iterator[Json]:
        """The events of one piece of an answer."""
        match piece:
            case TextPiece(text):
                yield from self._inside("text", {"type": "text", "text": ""})
                yield self._delta({"type": "text_delta", "text": text})
            case ThoughtPiece(text):
                yield from self._inside("thinking", {"type": "thinking", "thinking": "", "signature": ""})
                yield self._delta({"type": "thinking_delta", "thinking": text})
            case CallPiece(index, identity, name):
                yield from self._inside(f"call {index}", _tool_use(identity, name))
            case ArgumentsPiece(_, text):
                yield self._delta({"type": "input_json_delta", "partial_json": text})

    def end(self) -> Iterator[Json]:
        """The open block's end."""
        if self.kind is not None:
            self.kind = None
            yield {"type": "content_block_stop", "index": self.index}

    def _inside(self, kind: str, block: Json) -> Iterator[Json]:
        if kind != self.kind:
            yield from self.end()
            self.kind = kind
            self.index += 1
            yield {"type": "content_block_start", "index": self.index, "content_block": block}

    def _delta(self, delta: Json) -> Json:
        return {"type": "content_block_delta", "index": self.index, "delta": delta}


def anthropic_usage_object(usage: Usage) -> Json:
    return {
        "input_tokens": usage.prompt_tokens - usage.cached_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "cache_creation_input_tokens": 0,
        "output_tokens": usage.completion_tokens,
    }


def _head(answer: GeneratedAnswer) -> Json:
    return {"id": f"msg_{answer.id}", "type": "message", "role": "assistant", "model": answer.prepared.generation.model}


def _ending(answer: GeneratedAnswer) -> Json:
    reason = "stop_sequence" if answer.stop is not None else _STOP_REASONS[answer.finish_reason or "stop"]
    return {"stop_reason": reason, "stop_sequence": answer.stop}


def _warnings(answer: GeneratedAnswer) -> Json:
    """`warnings`, where there are any: a field of ours, which clients ignore."""
    return {"warnings": answer.warnings} if answer.warnings else {}


def _tool_use(identity: str, name: str) -> Json:
    return {"type": "tool_use", "id": f"toolu_{identity}", "name": name, "input": {}}
