"""POST /v1/messages and /v1/messages/count_tokens: an answer as Anthropic's message, or as the events of one.

It knows the shapes of that API; what is asked and answered is the same as for the others.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from portico_gateway.http.anthropic.body import CountTokensRequest, MessagesRequest
from portico_gateway.http.anthropic.errors import anthropic_error_body
from portico_gateway.http.anthropic.objects import ContentBlocks, message_end, message_object, message_start
from portico_gateway.http.api import Api
from portico_gateway.http.bodies.route import BodyRoute
from portico_gateway.http.errors import ApiError
from portico_gateway.http.generation.answer import GeneratedAnswer
from portico_gateway.http.generation.prepare import PreparedRequest
from portico_gateway.http.generation.service import GenerationService
from portico_gateway.http.generation.stream import PieceStream, collect, start_stream
from portico_gateway.http.json_text import StrictJsonResponse
from portico_gateway.http.sse import EventStream, event

_PATH = "/v1/messages"
_COUNT_PATH = f"{_PATH}/count_tokens"


def _router(service: GenerationService) -> APIRouter:
    router = APIRouter(route_class=BodyRoute)

    @router.post(_PATH, response_model=None)
    async def messages(body: MessagesRequest, request: Request) -> Response:
        async def make(prepared: PreparedRequest) -> Response:
            if not body.stream:
                return StrictJsonResponse(message_object(await collect(prepared)))
            return EventStream(_events(*await start_stream(prepared)))

        return await service.respond(body.to_generation(), request, make)

    @router.post(_COUNT_PATH, response_model=None)
    async def count_tokens(body: CountTokensRequest, request: Request) -> Response:
        async def make(prepared: PreparedRequest) -> Response:
            return StrictJsonResponse({"input_tokens": len(prepared.request.prompt)})

        return await service.respond(body.to_generation(), request, make)

    return router


async def _events(answer: GeneratedAnswer, pieces: PieceStream) -> AsyncGenerator[str, None]:
    """A stream's events. An error after the first one is an event too: the status is sent by then."""
    try:
        async with aclosing(pieces):
            yield _event(message_start(answer))
            blocks = ContentBlocks()
            async for piece in pieces:
                for each in blocks.feed(piece):
                    yield _event(each)
            for each in blocks.end():
                yield _event(each)
        for each in message_end(answer):
            yield _event(each)
    except ApiError as error:
        yield _event(anthropic_error_body(error))


def _event(data: dict[str, Any]) -> str:
    return event(data, name=data["type"])


MESSAGES_API = Api(
    _PATH,
    _router,
    anthropic_error_body,
    key_header=b"x-api-key",
)
