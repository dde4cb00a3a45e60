"""POST /v1/messages and /v1/messages/count_tokens: an answer as Anthropic's message, or as the events of one.

It knows the shapes of that API; what is asked and answered is the same as for the others.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response

from portico_engine import Usage
from portico_gateway.http.anthropic.body import CountRequest, MessagesRequest
from portico_gateway.http.errors import ApiError, anthropic_body, explained
from portico_gateway.http.generation.stream import Answering, Asked, Pieces, begun, whole
from portico_gateway.http.openai_chat.body import ChatRequest
from portico_gateway.http.openai_chat.objects import Answer
from portico_gateway.http.sse import event, event_stream

Json = dict[str, Any]
_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}


class MessagesEndpoint:
    """The endpoints over one model."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering

    async def create(self, body: MessagesRequest, request: Request) -> Response:
        async def make(asked: Asked) -> Response:
            if not body.stream:
                return JSONResponse(message(await whole(asked)))
            answer, pieces = await begun(asked)
            return event_stream(_events(answer, pieces))

        return await self._answering.respond(_chat(body), request, make)

    async def count(self, body: CountRequest, request: Request) -> Response:
        async def make(asked: Asked) -> Response:
            return JSONResponse({"input_tokens": len(asked.prepared.request.prompt)})

        return await self._answering.respond(_chat(body), request, make)


def _chat(body: CountRequest) -> ChatRequest:
    with explained(body):
        return body.chat()


def message(answer: Answer) -> Json:
    """The message object of a finished answer."""
    content: list[Json] = []
    if answer.reasoning:
        content.append({"type": "thinking", "thinking": "".join(answer.reasoning), "signature": ""})
    if answer.content or not answer.calls:
        content.append({"type": "text", "text": "".join(answer.content)})
    for call in answer.calls:
        function = call["function"]
        content.append({**_tool_use(call["id"], function["name"]), "input": json.loads(function["arguments"])})
    return {**_head(answer), "content": content, **_ending(answer), "usage": _usage(answer.usage)}


def _head(answer: Answer) -> Json:
    return {"id": answer.id.replace("chatcmpl-", "msg_"), "type": "message", "role": "assistant", "model": answer.model}


def _ending(answer: Answer) -> Json:
    reason = "stop_sequence" if answer.stop is not None else _STOP_REASONS[answer.finish_reason or "stop"]
    return {"stop_reason": reason, "stop_sequence": answer.stop}


def _tool_use(call_id: str, name: str) -> Json:
    return {"type": "tool_use", "id": call_id.replace("call_", "toolu_"), "name": name, "input": {}}


def _usage(usage: Usage | None) -> Json:
    usage = usage or Usage()
    return {
        "input_tokens": usage.prompt_tokens - usage.cached_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "cache_creation_input_tokens": 0,
        "output_tokens": usage.completion_tokens,
    }


@dataclass(slots=True)
class _Blocks:
    """The events of the content: its blocks, one after the other."""

    index: int = -1
    kind: str | None = None  # of the open block; a call's is its place among the calls

    def feed(self, piece: Json) -> Iterator[Json]:
        """The events of one piece of an answer."""
        if text := piece.get("content"):
            yield from self._inside("text", {"type": "text", "text": ""})
            yield self._delta({"type": "text_delta", "text": text})
        if thought := piece.get("reasoning_content"):
            yield from self._inside("thinking", {"type": "thinking", "thinking": "", "signature": ""})
            yield self._delta({"type": "thinking_delta", "thinking": thought})
        for call in piece.get("tool_calls", ()):
            if "id" in call:
                yield from self._inside(f"call {call['index']}", _tool_use(call["id"], call["function"]["name"]))
            if arguments := call["function"]["arguments"]:
                yield self._delta({"type": "input_json_delta", "partial_json": arguments})

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


async def _events(answer: Answer, pieces: Pieces) -> AsyncGenerator[str, None]:
    """A stream's events. An error after the first one is an event too: the status is sent by then."""
    try:
        async with aclosing(pieces):
            begun = {**_usage(None), "input_tokens": len(answer.prepared.request.prompt)}
            empty: Json = {"content": [], "stop_reason": None, "stop_sequence": None, "usage": begun}
            yield _event({"type": "message_start", "message": {**_head(answer), **empty}})
            blocks = _Blocks()
            async for piece in pieces:
                for each in blocks.feed(piece):
                    yield _event(each)
            for each in blocks.end():
                yield _event(each)
        yield _event({"type": "message_delta", "delta": _ending(answer), "usage": _usage(answer.usage)})
        yield _event({"type": "message_stop"})
    except ApiError as error:
        yield _event(anthropic_body(error))


def _event(data: Json) -> str:
    return event(data, name=data["type"])
