"""From a request in the gateway's own form to the model's answer, whole or piece by piece. Which API asked is not known here.

A client that hangs up ends its generation, wherever it is. An answer that breaks its schema, where the grammar could not be
exact, is made once more before it is an error.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.responses import Response
from starlette.requests import ClientDisconnect

from portico_engine import Delta
from portico_engine.errors import EngineError, ModelError
from portico_gateway.http.errors import ApiError, from_engine
from portico_gateway.http.generation.prepare import Prepared, grammar_field, prepare
from portico_gateway.http.openai_chat.body import ChatRequest
from portico_gateway.http.openai_chat.objects import Answer
from portico_gateway.http.sse import until_hung_up
from portico_gateway.model.host import ModelHost

if TYPE_CHECKING:
    from portico_engine import EngineClient

_HUNG_UP = 499  # as nginx logs it; nobody is there to read it
Pieces = AsyncGenerator[dict[str, Any], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """A prepared request and the engine that will answer it. `field` is where its grammar came from, for errors."""

    model: str
    engine: EngineClient
    prepared: Prepared
    field: str | None

    def answer(self) -> Answer:
        return Answer(self.prepared, self.model, self.engine.tokens)


class Answering:
    """One model, or none, behind every API."""

    def __init__(self, model: ModelHost | None, *, load_timeout: float) -> None:
        self._model = model
        self._load_timeout = load_timeout

    async def respond(self, body: ChatRequest, request: Request, make: Callable[[Asked], Awaitable[Response]]) -> Response:
        """What `make` makes of the prepared request; it is cancelled where the client hangs up. Raises ApiError."""
        model = self._named(body.model)

        async def work() -> Response:
            return await make(await self._asked(model, body))

        try:
            return await until_hung_up(request, work())
        except ClientDisconnect:
            return Response(status_code=_HUNG_UP)

    def _named(self, name: str) -> ModelHost:
        if self._model is None or name != self._model.name:
            raise model_not_found(name, self._model)
        return self._model

    async def _asked(self, model: ModelHost, body: ChatRequest) -> Asked:
        engine = await self._engine(model)
        prepared = await prepare(body, engine)
        return Asked(model.name, engine, prepared, grammar_field(body))

    async def _engine(self, model: ModelHost) -> EngineClient:
        try:
            engine = await model.engine(self._load_timeout)
        except ModelError as error:
            raise ApiError(503, str(error), kind="server_error", code="model_unavailable") from error
        if engine is None:
            status = model.status
            doing = "being started again" if status.state == "restarting" else "still loading"
            raise ApiError(
                503,
                f"the model {model.name} is {doing} ({status.stage} {status.fraction:.0%}); try again soon",
                kind="server_error",
                code="model_loading",
                headers={"Retry-After": "5"},
            )
        return engine


def model_not_found(name: str, model: ModelHost | None) -> ApiError:
    there = f"this server has {model.name!r}" if model else "this server runs without a model"
    return ApiError(404, f"the model {name!r} does not exist; {there}", param="model", code="model_not_found")


async def whole(asked: Asked) -> Answer:
    """The finished answer. Raises ApiError where it is not as it was asked for, twice."""
    answer = await _once(asked)
    if answer.violation() is not None:
        answer = await _once(_again(asked))
    if (wrong := answer.violation()) is not None:
        raise _invalid(wrong)
    return answer


async def _once(asked: Asked) -> Answer:
    answer = asked.answer()
    async with aclosing(_deltas(asked)) as deltas:
        async for delta in deltas:
            answer.feed(delta)
    return answer


async def begun(asked: Asked) -> tuple[Answer, Pieces]:
    """An answer in the making and the pieces that it gets. What is wrong with the request is raised here, before the first;
    what goes wrong later is raised by the pieces (ApiError). Closing them ends the generation."""
    deltas = _deltas(asked)
    try:
        first = await anext(deltas)
    except BaseException:
        await deltas.aclose()
        raise
    answer = asked.answer()
    return answer, _pieces(answer, first, deltas)


async def _pieces(answer: Answer, first: Delta, deltas: AsyncGenerator[Delta, None]) -> Pieces:
    async with aclosing(deltas):
        async for delta in _with_first(first, deltas):
            for piece in answer.feed(delta):
                yield piece
        if wrong := answer.violation():
            raise _invalid(wrong)


async def _with_first(first: Delta, rest: AsyncIterator[Delta]) -> AsyncIterator[Delta]:
    yield first
    async for delta in rest:
        yield delta


async def _deltas(asked: Asked) -> AsyncGenerator[Delta, None]:
    """The engine's deltas, its errors as ApiError. Closing it aborts the request."""
    deltas = asked.engine.generate(asked.prepared.request)
    try:
        async for delta in deltas:
            yield delta
    except EngineError as error:
        raise from_engine(error, param=asked.field) from error
    finally:
        await deltas.aclose()


def _again(asked: Asked) -> Asked:
    """The same request for another try: under another seed, and away from the most probable text if that was asked for."""
    request = asked.prepared.request
    sampling: Any = request.sampling
    seed = None if sampling.seed is None else sampling.seed + 1
    sampling = replace(sampling, seed=seed, temperature=sampling.temperature or 0.7)
    return replace(asked, prepared=replace(asked.prepared, request=replace(request, id=f"{request.id}-2", sampling=sampling)))


def _invalid(wrong: str) -> ApiError:
    return ApiError(500, f"the model's answer is not valid: {wrong}", kind="server_error", code="invalid_answer")
