"""POST /tokenize and /detokenize: a text's tokens, and tokens' text. Nothing is generated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import Response

from portico_gateway.http.api import Api
from portico_gateway.http.bodies.route import BodyRoute
from portico_gateway.http.errors import ApiError
from portico_gateway.http.generation.prepare import PreparedRequest, prepare
from portico_gateway.http.generation.service import GenerationService
from portico_gateway.http.identity import caller_name
from portico_gateway.http.json_text import StrictJsonResponse
from portico_gateway.http.openai_shared.errors import openai_error_body
from portico_gateway.http.tokens.body import DetokenizeRequest, TokenizeRequest
from portico_gateway.http.wire import Json

if TYPE_CHECKING:
    from portico_engine import EngineClient

_CONTROL = b"\xff"  # begins the bytes of a control token, whose text follows


def _tokenize_router(service: GenerationService) -> APIRouter:
    router = APIRouter(route_class=BodyRoute)

    @router.post("/tokenize", response_model=None)
    async def tokenize(body: TokenizeRequest, request: Request) -> Response:
        model = service.only(body.model)

        async def of_text(engine: EngineClient) -> Response:
            return StrictJsonResponse(_tokens_object(await engine.tokenize(body.text), engine, body))

        async def of_turns(prepared: PreparedRequest) -> Response:
            return StrictJsonResponse(_tokens_object(prepared.request.prompt, prepared.engine, body))

        async def of_conversation(engine: EngineClient) -> Response:
            return await of_turns(await prepare(body.to_generation(model.name), engine, caller=caller_name(request.scope)))

        if body.messages is not None:
            return await service.with_own_engine(model, request, of_conversation)
        return await service.with_own_engine(model, request, of_text)

    return router


def _detokenize_router(service: GenerationService) -> APIRouter:
    router = APIRouter(route_class=BodyRoute)

    @router.post("/detokenize", response_model=None)
    async def detokenize(body: DetokenizeRequest, request: Request) -> Response:
        async def work(engine: EngineClient) -> Response:
            vocab_size = len(engine.tokens.token_bytes)
            for index, token in enumerate(body.tokens):
                if not 0 <= token < vocab_size:
                    raise ApiError(
                        400, f"tokens.{index}: there is no token {token}; they go from 0 to {vocab_size - 1}", param="tokens"
                    )
            text = b"".join(_bytes(engine, token) for token in body.tokens).decode("utf-8", "replace")
            return StrictJsonResponse({"prompt": text, "content": text})

        return await service.with_own_engine(service.only(body.model), request, work)

    return router


def _tokens_object(tokens: Sequence[int], engine: EngineClient, body: TokenizeRequest) -> Json:
    found: Json = {"count": len(tokens), "max_model_len": engine.info.context_length, "tokens": list(tokens)}
    texts = [_bytes(engine, token).decode("utf-8", "replace") for token in tokens]
    if body.with_pieces:
        found["tokens"] = [{"id": token, "piece": text} for token, text in zip(tokens, texts, strict=True)]
    if body.return_token_strs:
        found["token_strs"] = texts
    return found


def _bytes(engine: EngineClient, token: int) -> bytes:
    text = engine.tokens.token_bytes[token]
    return text.removeprefix(_CONTROL) if engine.tokens.is_control(token) else text


TOKENIZE_API = Api("/tokenize", _tokenize_router, openai_error_body)
DETOKENIZE_API = Api("/detokenize", _detokenize_router, openai_error_body)
