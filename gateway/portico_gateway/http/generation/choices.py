"""Several answers, to one prompt or to several, whole or piece by piece.

A prompt's other answers begin when the first has begun, so that they find it in the prefix index. It knows no API.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import NamedTuple, TypeAlias

from portico_gateway.http.generation.answer import GeneratedAnswer, Piece
from portico_gateway.http.generation.prepare import PreparedRequest
from portico_gateway.http.generation.stream import PieceStream, collect, start_stream
from portico_servers.common.panics import is_order

_HELD = 256  # pieces that wait for whoever reads them


class StartedAnswer(NamedTuple):
    """An answer in the making and the pieces that it gets."""

    answer: GeneratedAnswer
    pieces: PieceStream


class ChoicePiece(NamedTuple):
    """More of the answer at place `choice`; None where that one is finished."""

    choice: int
    piece: Piece | None


ChoiceStream: TypeAlias = AsyncGenerator[ChoicePiece, None]


async def collect_choices(prepared: Sequence[PreparedRequest], n: int) -> list[GeneratedAnswer]:
    """`n` finished answers to each, in order. Raises ApiError where one is not as it was asked for."""
    if len(prepared) * n == 1:
        return [await collect(prepared[0])]
    started = await start_choices(prepared, n)
    async with aclosing(choice_pieces(started)) as pieces:
        async for _ in pieces:
            pass
    return [each.answer for each in started]


async def start_choices(prepared: Sequence[PreparedRequest], n: int) -> list[StartedAnswer]:
    """`n` answers in the making to each, in order. What is wrong with a request is raised here (ApiError)."""
    started: list[StartedAnswer] = []
    try:
        for each in prepared:
            for choice in range(n):
                started.append(StartedAnswer(*await start_stream(_other(each, choice) if choice else each)))
    except BaseException:
        for begun in started:
            await begun.pieces.aclose()
        raise
    return started


async def choice_pieces(started: Sequence[StartedAnswer]) -> ChoiceStream:
    """The pieces of all, as they come. Raises what one of them raises; closing it ends them all."""
    queue: asyncio.Queue[ChoicePiece | BaseException] = asyncio.Queue(_HELD)
    tasks = [asyncio.create_task(_drain(choice, each.pieces, queue)) for choice, each in enumerate(started)]
    try:
        left = len(tasks)
        while left:
            item = await queue.get()
            if isinstance(item, BaseException):
                try:
                    raise item
                finally:
                    del item  # it holds this frame
            left -= item.piece is None
            yield item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in started:
            with suppress(RuntimeError):  # one that was never read
                await each.pieces.aclose()


async def _drain(choice: int, pieces: PieceStream, queue: asyncio.Queue[ChoicePiece | BaseException]) -> None:
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                await queue.put(ChoicePiece(choice, piece))
    except BaseException as error:
        if is_order(error):
            raise
        await queue.put(error)
    else:
        await queue.put(ChoicePiece(choice, None))


def _other(prepared: PreparedRequest, choice: int) -> PreparedRequest:
    """The same request once more: under an id and a seed of its own."""
    request = prepared.request
    sampling = request.sampling
    if sampling.seed is not None and sampling.is_seeded:
        sampling = replace(sampling, seed=(sampling.seed + choice) % (1 << 64))
    return replace(prepared, request=replace(request, id=f"{request.id}-choice-{choice}", sampling=sampling))
