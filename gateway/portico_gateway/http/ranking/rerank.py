"""POST /v1/rerank, in the shape that Jina's, Cohere's, vLLM's and llama.cpp's clients send.

A document's score is the query's likelihood behind it (Ponte and Croft 1998; Sachan et al. 2022, "Improving Passage Retrieval
with Zero-Shot Question Generation"): the geometric mean of its tokens' probabilities, between 0 and 1. It orders documents of
one query; scores of two queries can't be compared. Each document is first computed as a request of its caller, in its turn
among others' and found by that caller alone; its score then takes one short step.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import Field

from portico_engine import FinishReason
from portico_engine import Request as EngineRequest
from portico_engine.errors import ContextOverflow, EngineError
from portico_gateway.caller import salt_of
from portico_gateway.http.api import Api
from portico_gateway.http.bodies.route import BodyRoute
from portico_gateway.http.errors import ApiError, to_api_error
from portico_gateway.http.generation.service import GenerationService, add_warnings
from portico_gateway.http.identity import caller_name
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
            response = StrictJsonResponse(await _ranking(body, model.name, _Scores(engine, caller_name(request.scope))))
            add_warnings(response, body.passed_over())
            return response

        return await service.with_engine(model, request, work)

    return router


async def _ranking(body: RerankRequest, model: str, found: _Scores) -> Json:
    texts = body.texts()
    query = await found.engine.tokenize(f" {body.query}")
    scores: list[float] = []
    tokens = 0
    for index, text in enumerate(texts):
        prompt = await found.engine.tokenize(f"{_BEFORE}{text}{_BEHIND}")
        tokens += len(prompt) + len(query)
        scores.append(await found.score(prompt, query, index))
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


@dataclass(frozen=True, slots=True)
class _Scores:
    """Of one caller's documents."""

    engine: EngineClient
    caller: str

    async def score(self, prompt: tuple[int, ...], query: Sequence[int], index: int) -> float:
        """The geometric mean of the probabilities of the query's tokens behind the prompt."""
        try:
            await self._compute(prompt, len(query))
            ((*logprobs,),) = await self.engine.score(prompt, [query], salt_of(self.caller))
        except ContextOverflow as error:
            field = f"documents.{index}"
            raise ApiError(400, f"{field}: {error}; split it", param=field, code="context_length_exceeded") from error
        except EngineError as error:
            raise to_api_error(error, messages="documents", grammar=None, names={}) from error
        return math.exp(sum(logprobs) / len(logprobs))

    async def _compute(self, prompt: tuple[int, ...], behind: int) -> None:
        """Its keys and values are there afterwards."""
        context = self.engine.info.context_length
        if len(prompt) + behind > context:
            raise ContextOverflow(len(prompt) + behind, context)
        request = EngineRequest(uuid.uuid4().hex, prompt, max_tokens=1, caller=self.caller, salt=salt_of(self.caller))
        async with aclosing(self.engine.generate(request)) as deltas:
            async for delta in deltas:
                if delta.finish_reason is FinishReason.ERROR:
                    raise EngineError(delta.error or "a document could not be computed")


RERANK_API = Api(_PATH, _router, openai_error_body)
