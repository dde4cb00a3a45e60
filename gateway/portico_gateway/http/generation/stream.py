"""From a prepared request to the model's answer, whole or piece by piece.

Closing a stream ends its generation. An answer that breaks its schema, where the grammar could not be exact, is made once more
before it is an error; a stream of such a one begins when it is checked. It knows no HTTP.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import TypeAlias

from portico_engine import Delta, Usage
from portico_engine.errors import EngineError
from portico_gateway.http.errors import ApiError
from portico_gateway.http.generation.answer import GeneratedAnswer, Piece
from portico_gateway.http.generation.prepare import PreparedRequest, prepare
from portico_gateway.http.generation.request import Turn
from portico_gateway.tracing import GenerationSpan

PieceStream: TypeAlias = AsyncGenerator[Piece, None]


async def collect(prepared: PreparedRequest) -> GeneratedAnswer:
    """The finished answer. Raises ApiError where it is not as it was asked for, twice."""
    prepared = replace(prepared, request=replace(prepared.request, whole=True))
    answer = await _once(prepared)
    if (wrong := await answer.violation()) is not None:
        answer = await _once(await _again(prepared, answer, wrong))
    if (wrong := await answer.violation()) is not None:
        raise _invalid(wrong, prepared)
    return answer


async def _once(prepared: PreparedRequest) -> GeneratedAnswer:
    answer = _new_answer(prepared)
    async with aclosing(_deltas(prepared)) as deltas:
        async for delta in deltas:
            answer.feed(delta)
    return answer


async def start_stream(prepared: PreparedRequest) -> tuple[GeneratedAnswer, PieceStream]:
    """An answer in the making and the pieces that it gets. What is wrong with the request is raised here, before the first;
    what goes wrong later is raised by the pieces (ApiError). Closing them ends the generation."""
    deltas = _deltas(prepared)
    try:
        first = await anext(deltas)
    except BaseException:
        await deltas.aclose()
        raise
    answer = _new_answer(prepared)
    return answer, _pieces(answer, first, deltas)


def _new_answer(prepared: PreparedRequest) -> GeneratedAnswer:
    answer = GeneratedAnswer(prepared)
    prepared.generation.terms.answered(answer.id)
    return answer


async def _pieces(answer: GeneratedAnswer, first: Delta, deltas: AsyncGenerator[Delta, None]) -> PieceStream:
    async with aclosing(deltas):
        if not answer.is_exact:
            for piece in await _checked_pieces(answer, _with_first(first, deltas)):
                yield piece
            return
        async for delta in _with_first(first, deltas):
            for piece in answer.feed(delta):
                yield piece


async def _checked_pieces(answer: GeneratedAnswer, deltas: AsyncIterator[Delta]) -> list[Piece]:
    """All pieces of an answer that is valid, made once more where it was not: what was sent could not be taken back."""
    pieces = [piece async for delta in deltas for piece in answer.feed(delta)]
    if (wrong := await answer.violation()) is not None:
        answer.begin_again(await _again(answer.prepared, answer, wrong))
        async with aclosing(_deltas(answer.prepared)) as others:
            pieces = [piece async for delta in others for piece in answer.feed(delta)]
        if (wrong := await answer.violation()) is not None:
            raise _invalid(wrong, answer.prepared)
    return pieces


async def _with_first(first: Delta, rest: AsyncIterator[Delta]) -> AsyncIterator[Delta]:
    yield first
    async for delta in rest:
        yield delta


async def _deltas(prepared: PreparedRequest) -> AsyncGenerator[Delta, None]:
    """The engine's deltas, within its caller's terms, its errors as ApiError. Closing it aborts the request."""
    generation = prepared.generation
    span = GenerationSpan(generation.model, {"portico.constrained": prepared.request.grammar is not None})
    failure: type[BaseException] | None = None
    deltas = generation.terms.kept(prepared.engine.generate(prepared.request))
    try:
        async for delta in deltas:
            if (usage := delta.usage) is not None:
                span.steps(usage.time_to_first_token, usage.decode_seconds, _told(usage))
            yield delta
    except EngineError as error:
        failure = type(error)
        raise generation.api_error(error) from error
    except BaseException as error:
        failure = type(error)
        raise
    finally:
        await deltas.aclose()
        span.end(failure)


def _told(usage: Usage) -> dict[str, int]:
    return {
        "gen_ai.usage.input_tokens": usage.prompt_tokens,
        "gen_ai.usage.output_tokens": usage.completion_tokens,
        "portico.cached_tokens": usage.cached_tokens,
        "portico.forced_tokens": usage.forced_tokens,
        "portico.sampled_steps": usage.sampled_steps,
    }


async def _again(prepared: PreparedRequest, refused: GeneratedAnswer, wrong: str) -> PreparedRequest:
    """The same request for another try: the model is shown what it wrote and told what is wrong with it, as far as the context
    has room; under another seed, and away from the most probable text if that was asked for."""
    sampling = prepared.request.sampling
    seed = (sampling.seed + 1) % (1 << 64) if sampling.seed is not None and sampling.is_seeded else None
    sampling = replace(sampling, seed=seed, temperature=sampling.temperature or 0.7)
    said = "\n".join([refused.text, *(call.arguments for call in refused.calls)]).strip()
    correction = (
        Turn("assistant", said),
        Turn("user", f"That is not valid: {wrong}. Answer again, so that it is valid."),
    )
    prompt = prepared.request.prompt
    with suppress(ApiError):
        told = await prepare(replace(prepared.generation, turns=(*prepared.generation.turns, *correction)), prepared.engine)
        prompt = told.request.prompt if told.request.max_tokens >= prepared.request.max_tokens // 2 else prompt
    room = prepared.engine.info.context_length - len(prompt)
    request = replace(
        prepared.request,
        id=f"{prepared.request.id}-2",
        prompt=prompt,
        max_tokens=min(prepared.request.max_tokens, room),
        sampling=sampling,
    )
    return replace(prepared, request=request)


def _invalid(wrong: str, prepared: PreparedRequest) -> ApiError:
    if prepared.is_remote:
        message = (
            f"the model server did not keep to the grammar, twice: {wrong}; if it takes grammars in another form than it says, "
            "set grammar_as under [engine]"
        )
        return ApiError(502, message, kind="server_error", code="grammar_not_enforced")
    return ApiError(500, f"the model's answer is not valid: {wrong}", kind="server_error", code="invalid_answer")
