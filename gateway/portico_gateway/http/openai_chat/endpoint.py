"""POST /v1/chat/completions: an answer as OpenAI's completion, or as the chunks of one."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi import Request
from fastapi.responses import JSONResponse, Response

from portico_gateway.http.errors import ApiError
from portico_gateway.http.generation.stream import Answering, Asked, Pieces, begun, whole
from portico_gateway.http.openai_chat.body import ChatRequest
from portico_gateway.http.openai_chat.objects import Answer
from portico_gateway.http.sse import DONE, event, event_stream


class ChatEndpoint:
    """The endpoint over one model."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering

    async def __call__(self, body: ChatRequest, request: Request) -> Response:
        async def make(asked: Asked) -> Response:
            if not body.stream:
                return JSONResponse((await whole(asked)).whole())
            answer, pieces = await begun(asked)
            usage = body.stream_options is not None and body.stream_options.include_usage
            return event_stream(_events(answer, pieces, usage=usage))

        return await self._answering.respond(body, request, make)


async def _events(answer: Answer, pieces: Pieces, *, usage: bool) -> AsyncGenerator[str, None]:
    """A stream's events. An error after the first one is an event too: the status is sent by then."""
    try:
        async with aclosing(pieces):
            yield event(answer.chunk({"role": "assistant", "content": ""}))
            async for piece in pieces:
                yield event(answer.chunk(piece))
        yield event(answer.chunk({}, finish_reason=answer.finish_reason))
        if usage:
            yield event(answer.usage_chunk())
    except ApiError as error:
        yield event(error.body)
    yield DONE
