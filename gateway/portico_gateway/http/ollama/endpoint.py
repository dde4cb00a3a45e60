"""POST /api/chat, /api/generate and /api/show, GET /api/tags, /api/ps and /api/version: answers as one object, or as a line a
piece."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from importlib.metadata import version
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import Response

from portico_engine.errors import ChatTemplateError
from portico_gateway.http.api import Api
from portico_gateway.http.bodies.route import BodyRoute
from portico_gateway.http.errors import ApiError
from portico_gateway.http.generation.answer import GeneratedAnswer
from portico_gateway.http.generation.prepare import PreparedRequest
from portico_gateway.http.generation.service import GenerationService
from portico_gateway.http.generation.stream import PieceStream, collect, start_stream
from portico_gateway.http.json_text import StrictJsonResponse, json_text
from portico_gateway.http.ollama.body import OllamaChatRequest, OllamaGenerateRequest, OllamaShowRequest
from portico_gateway.http.ollama.objects import (
    Kind,
    calls_line,
    last_line,
    line_of,
    loaded_object,
    running_object,
    show_object,
    tag_object,
    whole_object,
)
from portico_gateway.http.sse import EventStream
from portico_gateway.http.wire import Json

if TYPE_CHECKING:
    from portico_engine import EngineClient

_PATH = "/api"
_LINES = "application/x-ndjson"


def ollama_error_body(error: ApiError) -> Json:
    return {"error": str(error)}


def _router(service: GenerationService) -> APIRouter:
    router = APIRouter(prefix=_PATH, route_class=BodyRoute)

    @router.post("/chat", response_model=None)
    async def chat(body: OllamaChatRequest, request: Request) -> Response:
        return await _answer(service, body, "chat", request)

    @router.post("/generate", response_model=None)
    async def generate(body: OllamaGenerateRequest, request: Request) -> Response:
        return await _answer(service, body, "generate", request)

    @router.get("/tags")
    async def tags() -> Json:
        return {"models": [tag_object(model) for model in service.models.hosts]}

    @router.get("/ps")
    async def running() -> Json:
        return {"models": [running_object(model) for model in service.models.hosts if model.loaded is not None]}

    @router.get("/version")
    async def running_version() -> Json:
        return {"version": version("portico-mcp")}

    @router.post("/show", response_model=None)
    async def show(body: OllamaShowRequest, request: Request) -> Response:
        model = service.only(_plain_name(body.model or body.name))

        async def work(engine: EngineClient) -> Response:
            try:
                template = engine.chat_template
            except ChatTemplateError:
                template = ""
            return StrictJsonResponse(show_object(engine.info, template))

        return await service.with_engine(model, request, work)

    return router


def _plain_name(name: str | None) -> str | None:
    """Without the tag that Ollama's clients put behind names that have none."""
    return None if name is None else name.removesuffix(":latest")


async def _answer(
    service: GenerationService, body: OllamaChatRequest | OllamaGenerateRequest, kind: Kind, request: Request
) -> Response:
    if body.only_loads:  # by the adapter's name too: it is loaded with its model
        name = _plain_name(body.model) or ""

        async def load(engine: EngineClient) -> Response:
            return StrictJsonResponse(loaded_object(name, kind))

        return await service.with_engine(service.named(name)[0], request, load)

    async def make(prepared: PreparedRequest) -> Response:
        if not body.stream:
            return StrictJsonResponse(whole_object(await collect(prepared), kind))
        answer, pieces = await start_stream(prepared)
        return EventStream(_lines(answer, kind, pieces), media_type=_LINES)

    return await service.respond(body.to_generation(), request, make)


async def _lines(answer: GeneratedAnswer, kind: Kind, pieces: PieceStream) -> AsyncGenerator[str, None]:
    """A stream's lines. An error after the first one is a line too: the status is sent by then."""
    told = 0  # log-probabilities that a line had
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                if (line := line_of(answer, kind, piece, told)) is not None:
                    told = len(answer.logprobs)
                    yield _line(line)
        if kind == "chat" and (calls := calls_line(answer)) is not None:
            yield _line(calls)
        yield _line(last_line(answer, kind))
    except ApiError as error:
        yield _line(ollama_error_body(error))


def _line(data: Json) -> str:
    return f"{json_text(data)}\n"


OLLAMA_API = Api(_PATH, _router, ollama_error_body)
