"""POST /v1/chat/completions: waits for the model, prepares, generates, and answers whole or as a stream.

A client that hangs up ends its generation, wherever it is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from starlette.requests import ClientDisconnect

from portico_engine import Delta
from portico_engine.errors import EngineError, ModelError
from portico_gateway.http.completion import Answer
from portico_gateway.http.errors import ApiError, from_engine
from portico_gateway.http.model_host import ModelHost
from portico_gateway.http.prepare import Prepared, grammar_field, prepare
from portico_gateway.http.schemas import ChatRequest
from portico_gateway.http.sse import DONE, event, event_stream, until_hung_up

if TYPE_CHECKING:
    from portico_engine import AsyncEngine

log = logging.getLogger(__name__)

_HUNG_UP = 499  # as nginx logs it; nobody is there to read it


class ChatEndpoint:
    """The endpoint over one model."""

    def __init__(self, model: ModelHost | None, *, load_timeout: float) -> None:
        self._model = model
        self._load_timeout = load_timeout

    async def __call__(self, body: ChatRequest, request: Request) -> Response:
        model = self._named(body.model)
        try:
            return await until_hung_up(request, self._answer(model, body))
        except ClientDisconnect:
            return Response(status_code=_HUNG_UP)

    def _named(self, name: str) -> ModelHost:
        if self._model is None or name != self._model.name:
            raise model_not_found(name, self._model)
        return self._model

    async def _answer(self, model: ModelHost, body: ChatRequest) -> Response:
        engine = await self._engine(model)
        prepared = await asyncio.to_thread(prepare, body, engine.engine)
        field = grammar_field(body)
        if body.stream:
            return await self._streamed(model, engine, prepared, body, field)
        answer = await self._whole(model, engine, prepared, field)
        if answer.violation() is not None:
            answer = await self._whole(model, engine, _again(prepared), field)
        if (wrong := answer.violation()) is not None:
            raise _invalid(wrong)
        return JSONResponse(answer.whole())

    async def _whole(self, model: ModelHost, engine: AsyncEngine, prepared: Prepared, field: str | None) -> Answer:
        answer = Answer(prepared, model.name, engine.engine.tokenizer)
        async with aclosing(generate(engine, prepared, field)) as deltas:
            async for delta in deltas:
                answer.feed(delta)
        return answer

    async def _streamed(
        self, model: ModelHost, engine: AsyncEngine, prepared: Prepared, body: ChatRequest, field: str | None
    ) -> Response:
        deltas = generate(engine, prepared, field)
        try:
            first = await anext(deltas)  # so that what is wrong with the request is a status and not an event
        except BaseException:
            await deltas.aclose()
            raise
        answer = Answer(prepared, model.name, engine.engine.tokenizer)
        usage = body.stream_options is not None and body.stream_options.include_usage
        return event_stream(_events(answer, first, deltas, usage=usage))

    async def _engine(self, model: ModelHost) -> AsyncEngine:
        try:
            engine = await model.engine(self._load_timeout)
        except ModelError as error:
            raise ApiError(503, str(error), kind="server_error", code="model_unavailable") from error
        if engine is None:
            status = model.status
            raise ApiError(
                503,
                f"the model {model.name} is still loading ({status.stage} {status.fraction:.0%}); try again soon",
                kind="server_error",
                code="model_loading",
                headers={"Retry-After": "5"},
            )
        return engine


def model_not_found(name: str, model: ModelHost | None) -> ApiError:
    there = f"this server has {model.name!r}" if model else "this server runs without a model"
    return ApiError(404, f"the model {name!r} does not exist; {there}", param="model", code="model_not_found")


async def generate(engine: AsyncEngine, prepared: Prepared, field: str | None) -> AsyncGenerator[Delta, None]:
    """The engine's deltas, its errors as ApiError. Closing it aborts the request."""
    deltas = engine.generate(prepared.request)
    try:
        async for delta in deltas:
            yield delta
    except EngineError as error:
        raise from_engine(error, param=field) from error
    finally:
        if isinstance(deltas, AsyncGenerator):
            await deltas.aclose()


async def _events(
    answer: Answer, first: Delta, deltas: AsyncGenerator[Delta, None], *, usage: bool
) -> AsyncGenerator[str, None]:
    """A stream's events. An error after the first one is an event too: the status is sent by then."""
    try:
        async with aclosing(deltas):
            yield event(answer.chunk({"role": "assistant", "content": ""}))
            async for delta in _with_first(first, deltas):
                for piece in answer.feed(delta):
                    yield event(answer.chunk(piece))
            if wrong := answer.violation():
                raise _invalid(wrong)
        yield event(answer.chunk({}, finish_reason=answer.finish_reason))
        if usage:
            yield event(answer.usage_chunk())
    except ApiError as error:
        yield event(error.body)
    yield DONE


async def _with_first(first: Delta, rest: AsyncIterator[Delta]) -> AsyncIterator[Delta]:
    yield first
    async for delta in rest:
        yield delta


def _again(prepared: Prepared) -> Prepared:
    """The same request for another try: under another seed, and away from the most probable text if that was asked for."""
    sampling: Any = prepared.request.sampling
    seed = None if sampling.seed is None else sampling.seed + 1
    sampling = replace(sampling, seed=seed, temperature=sampling.temperature or 0.7)
    return replace(prepared, request=replace(prepared.request, id=f"{prepared.request.id}-2", sampling=sampling))


def _invalid(wrong: str) -> ApiError:
    return ApiError(500, f"the model's answer is not valid: {wrong}", kind="server_error", code="invalid_answer")
