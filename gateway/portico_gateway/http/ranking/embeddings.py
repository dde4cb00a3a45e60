"""POST /v1/embeddings: an error, since the engine hands out tokens and never a hidden state.

A decoder's states would have to be pooled inside of the executors; embeddings of another model's would not be this one's.
"""

from __future__ import annotations

from fastapi import APIRouter

from portico_gateway.http.api import Api
from portico_gateway.http.errors import ApiError
from portico_gateway.http.generation.service import GenerationService
from portico_gateway.http.openai_shared.errors import openai_error_body
from portico_gateway.http.wire import Json

_PATH = "/v1/embeddings"
_MISSING = (
    "this server makes no embeddings: its engine's executors hand out tokens and log-probabilities, and no pooled hidden "
    "states; /v1/rerank orders documents by a query with the same model"
)


def _router(service: GenerationService) -> APIRouter:
    router = APIRouter()

    @router.post(_PATH)
    async def embeddings() -> Json:
        raise ApiError(404, _MISSING, code="embeddings_unavailable")

    return router


EMBEDDINGS_API = Api(_PATH, _router, openai_error_body)
