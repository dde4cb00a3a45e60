"""POST /v1/completions: texts that go on, as OpenAI's text completion or as the chunks of one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from fastapi import APIRouter, Request
from fastapi.responses import Response

from portico_gateway.http.api import Api
from portico_gateway.http.bodies.route import BodyRoute
from portico_gateway.http.errors import ApiError
from portico_gateway.http.generation.answer import TextPiece
from portico_gateway.http.generation.choices import StartedAnswer, choice_pieces, collect_choices, start_choices
from portico_gateway.http.generation.prepare import PreparedRequest
from portico_gateway.http.generation.service import GenerationService
from portico_gateway.http.json_text import StrictJsonResponse
from portico_gateway.http.openai_completions.body import CompletionRequest
from portico_gateway.http.openai_completions.objects import (
    TextChunks,
    by_prompt,
    text_completion_object,
    text_usage_chunk,
)
from portico_gateway.http.openai_shared.errors import openai_error_body
from portico_gateway.http.sse import DONE, EventStream, event

_PATH = "/v1/completions"


def _router(service: GenerationService) -> APIRouter:
    router = APIRouter(route_class=BodyRoute)

    @router.post(_PATH, response_model=None)
    async def completions(body: CompletionRequest, request: Request) -> Response:
        requests = [body.to_generation(prompt) for prompt in body.prompts()]

        async def make(prepared: Sequence[PreparedRequest]) -> Response:
            n = body.n or 1
            echoes = [_echo(body, each) for each in prepared]
            if not body.stream:
                return StrictJsonResponse(text_completion_object(by_prompt(await collect_choices(prepared, n), echoes)))
            return EventStream(_events(body, await start_choices(prepared, n), echoes))

        return await service.respond_to_all(requests, request, make)

    return router


def _echo(body: CompletionRequest, prepared: PreparedRequest) -> str:
    """The prompt's text, where it is wanted before the answer."""
    prompt = prepared.generation.prompt
    if not body.echo or isinstance(prompt, str):
        return prompt if body.echo and isinstance(prompt, str) else ""
    text = prepared.engine.tokens.token_bytes
    return b"".join(text[token] for token in prepared.request.prompt).decode("utf-8", "replace")


async def _events(
    body: CompletionRequest, started: Sequence[StartedAnswer], echoes: Sequence[str]
) -> AsyncGenerator[str, None]:
    """A stream's events. An error after the first one is an event too: the status is sent by then."""
    usage = body.stream_options is not None and body.stream_options.include_usage
    choices = [TextChunks(each.answer, index, usage) for index, each in enumerate(started)]
    try:
        async with aclosing(choice_pieces(started)) as pieces:
            for index, chunks in enumerate(choices):
                if echo := echoes[index * len(echoes) // len(choices)]:
                    yield event(chunks.of(echo))
            async for index, piece in pieces:
                if piece is None:
                    yield event(choices[index].last())
                elif isinstance(piece, TextPiece):
                    yield event(choices[index].of(piece.text))
        if usage:
            yield event(text_usage_chunk(by_prompt([each.answer for each in started], echoes)))
    except ApiError as error:
        yield event(openai_error_body(error))
    yield DONE


COMPLETIONS_API = Api(_PATH, _router, openai_error_body)
