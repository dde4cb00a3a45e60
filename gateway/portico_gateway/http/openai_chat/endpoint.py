"""POST /v1/chat/completions: an answer as OpenAI's completion, or as the chunks of one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from fastapi import APIRouter, Request
from fastapi.responses import Response

from portico_gateway.http.api import Api
from portico_gateway.http.bodies.route import BodyRoute
from portico_gateway.http.errors import ApiError
from portico_gateway.http.generation.answer import ArgumentsPiece, CallPiece, GeneratedAnswer, TextPiece, ThoughtPiece
from portico_gateway.http.generation.choices import ChoiceStream, choice_pieces, collect_choices, start_choices
from portico_gateway.http.generation.prepare import PreparedRequest
from portico_gateway.http.generation.service import GenerationService
from portico_gateway.http.json_text import StrictJsonResponse
from portico_gateway.http.openai_chat.body import ChatCompletionRequest
from portico_gateway.http.openai_chat.objects import CompletionChunks, completion_object, loop_completion_object, usage_chunk
from portico_gateway.http.openai_shared.errors import openai_error_body
from portico_gateway.http.server_tools.loop import CallEnded, LoopEvents, ToolLoop, TurnBegun
from portico_gateway.http.server_tools.respond import respond_with_tools
from portico_gateway.http.sse import DONE, EventStream, event

_PATH = "/v1/chat/completions"


def _router(service: GenerationService) -> APIRouter:
    router = APIRouter(route_class=BodyRoute)

    @router.post(_PATH, response_model=None)
    async def chat_completions(body: ChatCompletionRequest, request: Request) -> Response:
        usage = body.stream_options is not None and body.stream_options.include_usage

        async def make(prepared: PreparedRequest) -> Response:
            if not body.stream:
                return StrictJsonResponse(completion_object(await collect_choices([prepared], body.n or 1)))
            started = await start_choices([prepared], body.n or 1)
            return EventStream(_events([each.answer for each in started], choice_pieces(started), usage=usage))

        async def make_of_loop(loop: ToolLoop, events: LoopEvents) -> Response:
            if body.stream:
                return EventStream(_loop_events(loop, events, usage=usage))
            async for _ in events:
                pass
            return StrictJsonResponse(loop_completion_object(loop))

        if wanted := body.wanted_servers():
            return await respond_with_tools(service, body.to_generation(), wanted, request, make_of_loop, waits=True)
        return await service.respond(body.to_generation(), request, make)

    return router


async def _events(answers: Sequence[GeneratedAnswer], pieces: ChoiceStream, *, usage: bool) -> AsyncGenerator[str, None]:
    """A stream's events. An error after the first one is an event too: the status is sent by then."""
    choices = [CompletionChunks(answer, index, usage) for index, answer in enumerate(answers)]
    try:
        async with aclosing(pieces):
            for chunks in choices:
                yield event(chunks.first())
            async for index, piece in pieces:
                yield event(choices[index].last() if piece is None else choices[index].of(piece))
        if usage:
            yield event(usage_chunk(answers[0], [answer.usage for answer in answers]))
    except ApiError as error:
        yield event(openai_error_body(error))
    yield DONE


async def _loop_events(loop: ToolLoop, events: LoopEvents, *, usage: bool) -> AsyncGenerator[str, None]:
    """As `_events`, of an answer before which calls are made here: what the model says before them is sent too."""
    chunks: CompletionChunks | None = None
    try:
        async with aclosing(events):
            async for each in events:
                match each:
                    case TurnBegun(answer):
                        begins = chunks is None
                        chunks = CompletionChunks(answer, usage=usage)
                        if begins:
                            yield event(chunks.first())
                    case CallEnded(call) if chunks is not None:
                        yield event(chunks.of_call(call))
                    case TextPiece() | ThoughtPiece() | CallPiece() | ArgumentsPiece() if chunks is not None:
                        yield event(chunks.of(each))
        if chunks is not None:
            yield event(chunks.last())
        if usage:
            yield event(usage_chunk(loop.answer, [loop.usage]))
    except ApiError as error:
        yield event(openai_error_body(error))
    yield DONE


CHAT_COMPLETIONS_API = Api(_PATH, _router, openai_error_body)
