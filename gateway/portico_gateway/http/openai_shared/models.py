"""GET /v1/models: the models that are served, if there are any, and their adapters, as OpenAI's list of models."""

from __future__ import annotations

from fastapi import APIRouter

from portico_engine.errors import EngineDied, UnknownAdapter
from portico_gateway.http.api import Api
from portico_gateway.http.errors import ApiError
from portico_gateway.http.generation.service import GenerationService, adapter_names
from portico_gateway.http.openai_shared.errors import openai_error_body
from portico_gateway.http.wire import Json
from portico_gateway.model.host import ModelHost


def _router(service: GenerationService) -> APIRouter:
    router = APIRouter()

    @router.get("/v1/models")
    async def models() -> Json:
        data: list[Json] = []
        for model in service.models.hosts:
            data += [model_object(model), *(adapter_object(model, adapter) for adapter in await _adapters(model))]
        return {"object": "list", "data": data}

    @router.get("/v1/models/{name:path}")
    async def one_model(name: str) -> Json:
        model, adapter = service.named(name)
        if adapter is None:
            return model_object(model)
        known = await _adapters(model)
        if adapter not in known:
            raise ApiError(404, str(UnknownAdapter(adapter, known)), param="model", code="model_not_found")
        return adapter_object(model, adapter)

    return router


async def _adapters(model: ModelHost) -> list[str]:
    """None while the engine isn't there."""
    if model.loaded is None:
        return []
    try:
        return await adapter_names(model.loaded)
    except EngineDied:
        return []


def model_object(model: ModelHost) -> Json:
    """OpenAI's model object, with what is known of the model once it is loaded."""
    about: Json = {"id": model.name, "object": "model", "created": model.created, "owned_by": "portico"}
    if model.aliases:
        about["aliases"] = list(model.aliases)
    about["status"] = {"value": model.status.state}
    if model.loaded is not None:
        info = model.loaded.info
        about["context_length"] = info.context_length
        about["meta"] = {
            "name": info.name,
            "parameters": info.parameters,
            "quantization": info.quantization,
            "executor": info.executor,
            "embedding_size": info.embedding_size,
            "generates": info.generates,
        }
    return about


def adapter_object(model: ModelHost, adapter: str) -> Json:
    """The model under one of its adapters; `parent` is the model itself."""
    return {**model_object(model), "id": f"{model.name}:{adapter}", "parent": model.name}


MODELS_API = Api("/v1/models", _router, openai_error_body)
