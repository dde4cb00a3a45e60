"""POST /v1/rerank, in the shape that Jina's, Cohere's, vLLM's and llama.cpp's clients send, at the paths that they send it to.

A document's score is the query's likelihood behind it (Ponte and Croft 1998; Sachan et al. 2022, "Improving Passage Retrieval
with Zero-Shot Question Generation"): the geometric mean of its tokens' probabilities, between 0 and 1. It orders documents of
one query; scores of two queries can't be compared. Each document is first computed as a request of its caller, in its turn
among others' and found by that caller alone; its score then takes one short step.
"""

from __future__ import annotations

import asyncio
import math
import uuid
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import Field

from portico_engine.errors import ContextOverflow, EngineError
from portico_gateway.http.api import Api
from portico_gateway.http.bodies.route import BodyRoute
from portico_gateway.http.errors import ApiError, to_api_error
from portico_gateway.http.generation.scores import CallerScores
from portico_gateway.http.generation.service import GenerationService, add_warnings
from portico_gateway.http.identity import caller_name
from portico_gateway.http.json_text import StrictJsonResponse
from portico_gateway.http.openai_shared.errors import openai_error_body
from portico_gateway.http.wire import ApiBody, Json, LenientBody

if TYPE_CHECKING:
    from portico_engine import EngineClient

_PATHS = ("/v1/rerank", "/v2/rerank", "/rerank")
MAX_DOCUMENTS = 1000
_AT_ONCE = 16  # documents that are computed beside each other
_BEFORE, _BEHIND = "Passage: ", "\n\nA question that this passage answers:"


class RerankDocument(LenientBody):
    text: str


class RerankRequest(ApiBody):
    """Documents to order by a query."""

    model: str | None = None
    query: Annotated[str, Field(min_length=1)]
    documents: list[str | RerankDocument] = Field(min_length=1, max_length=MAX_DOCUMENTS)
    top_n: Annotated[int, Field(ge=1)] | None = None
    return_documents: bool = True

    def texts(self) -> list[str]:
        return [each if isinstance(each, str) else each.text for each in self.documents]


def _router(service: GenerationService, path: str) -> APIRouter:
    router = APIRouter(route_class=BodyRoute)

    @router.post(path, response_model=None)
    async def rerank(body: RerankRequest, request: Request) -> Response:
        model = service.only(body.model)

        async def work(engine: EngineClient) -> Response:
            response = StrictJsonResponse(await _ranking(body, model.name, CallerScores(engine, caller_name(request.scope))))
            add_warnings(response, body.passed_over())
            return response

        return await service.with_own_engine(model, request, work)

    return router


async def _ranking(body: RerankRequest, model: str, caller: CallerScores) -> Json:
    texts = body.texts()
    query = await caller.engine.tokenize(f" {body.query}")
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(index: int, text: str) -> tuple[float, int]:
        async with places:
            prompt = await caller.engine.tokenize(f"{_BEFORE}{text}{_BEHIND}")
            return await _score(caller, prompt, query, index), len(prompt) + len(query)

    firsts = {text: index for index, text in reversed([*enumerate(texts)])}  # equal ones are computed once
    tasks = {text: asyncio.create_task(one(index, text)) for text, index in firsts.items()}
    try:
        await asyncio.gather(*tasks.values())
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
    scores = [tasks[text].result()[0] for text in texts]
    tokens = sum(task.result()[1] for task in tasks.values())
    best = sorted(range(len(texts)), key=lambda index: -scores[index])[: body.top_n]
    results = [
        {
            "index": index,
            "relevance_score": scores[index],
            **({"document": {"text": texts[index]}} if body.return_documents else {}),
        }
        for index in best
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"id": f"rerank-{uuid.uuid4().hex}", "object": "list", "model": model, "results": results, "usage": usage}


async def _score(scores: CallerScores, prompt: tuple[int, ...], query: Sequence[int], index: int) -> float:
    """The geometric mean of the probabilities of the query's tokens behind the document's prompt."""
    try:
        await scores.compute(prompt, len(query))
        ((*logprobs,),) = await scores.score(prompt, [query])
    except ContextOverflow as error:
        field = f"documents.{index}"
        raise ApiError(400, f"{field}: {error}; split it", param=field, code="context_length_exceeded") from error
    except EngineError as error:
        raise to_api_error(error, messages="documents", grammar=None, names={}) from error
    return math.exp(sum(logprobs) / len(logprobs))


RERANK_APIS = tuple(Api(path, partial(_router, path=path), openai_error_body) for path in _PATHS)
