"""POST /v1/rerank, in the shape that Jina's, Cohere's, vLLM's and llama.cpp's clients send.

A document's score is the query's likelihood behind it (Ponte and Croft 1998; Sachan et al. 2022, "Improving Passage Retrieval
with Zero-Shot Question Generation"): the geometric mean of its tokens' probabilities, between 0 and 1. It orders documents of
one query; scores of two queries can't be compared.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import Field

from portico_engine.errors import ContextOverflow, EngineError
from portico_gateway.http.api import Api
from portico_gateway.http.bodies.route import BodyRoute
from portico_gateway.http.errors import ApiError, to_api_error
from portico_gateway.http.generation.service import GenerationService, add_warnings
from portico_gateway.http.json_text import StrictJsonResponse
from portico_gateway.http.openai_shared.errors import openai_error_body
from portico_gateway.http.wire import ApiBody, Json, LenientBody

if TYPE_CHECKING:
    from portico_engine import EngineClient

_PATH = "/v1/rerank"
MAX_DOCUMENTS = 1000
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


def _router(service: GenerationService) -> APIRouter:
    router = APIRouter(route_class=BodyRoute)

    @router.post(_PATH, response_model=None)
    async def rerank(body: RerankRequest, request: Request) -> Response:
        model = service.only(body.model)

        async def work(engine: EngineClient) -> Response:
            response = StrictJsonResponse(await _ranking(body, model.name, engine))
            add_warnings(response, body.passed_over())
            return response

        return await service.with_engine(model, request, work)

    return router


async def _ranking(body: RerankRequest, model: str, engine: EngineClient) -> Json:
    texts = body.texts()
    query = await engine.tokenize(f" {body.query}")
    scores: list[float] = []
    tokens = 0
    for index, text in enumerate(texts):
        prompt = await engine.tokenize(f"{_BEFORE}{text}{_BEHIND}")
        tokens += len(prompt) + len(query)
        scores.append(await _score(engine, prompt, query, index))
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


async def _score(engine: EngineClient, prompt: Sequence[int], query: Sequence[int], index: int) -> float:
    """The geometric mean of the probabilities of the query's tokens behind the prompt."""
    try:
        ((*logprobs,),) = await engine.score(prompt, [query])
    except ContextOverflow as error:
        field = f"documents.{index}"
        raise ApiError(400, f"{field}: {error}; split it", param=field, code="context_length_exceeded") from error
    except EngineError as error:
        raise to_api_error(error, messages="documents", grammar=None, names={}) from error
    return math.exp(sum(logprobs) / len(logprobs))


RERANK_API = Api(_PATH, _router, openai_error_body)
