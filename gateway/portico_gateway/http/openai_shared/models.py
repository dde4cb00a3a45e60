"""GET /v1/models: the one model that is served, if there is one, as OpenAI's list of models."""

from __future__ import annotations

from fastapi import APIRouter

from portico_gateway.http.api import Api
from portico_gateway.http.generation.service import GenerationService
from portico_gateway.http.openai_shared.errors import openai_error_body
from portico_gateway.http.wire import Json
from portico_gateway.model.host import ModelHost


def _router(service: GenerationService) -> APIRouter:
    router = APIRouter()

    @router.get("/v1/models")
    async def models() -> Json:
        return {"object": "list", "data": [model_object(service.model)] if service.model else []}

    @router.get("/v1/models/{name:path}")
    async def one_model(name: str) -> Json:
        return model_object(service.named(name))

    return router


def model_object(model: ModelHost) -> Json:
    """OpenAI's model object, with what is known of the model once it is loaded."""
    about: Json = {"id": model.name, "object": "model", "created": model.created, "owned_by": "portico"}
    if model.loaded is not None:
        info = model.loaded.info
        about["context_length"] = info.context_length
        about["meta"] = {
            "name": info.name,
            "parameters": info.parameters,
            "quantization": info.quantization,
            "executor": info.executor,
        }
    return about


MODELS_API = Api("/v1/models", _router, openai_error_body)
