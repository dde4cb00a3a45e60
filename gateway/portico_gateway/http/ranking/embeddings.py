"""POST /v1/embeddings, OpenAI's: one vector a text, of length 1, from a model made for it or a decoder's pooled states.

It owns the body, its forms of input and output, and the groups in which texts go to the engine, so that other requests' steps
come between. Vectors are the engine's.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BeforeValidator, Field

from portico_engine import Pooling
from portico_engine.errors import ContextOverflow, EngineError
from portico_gateway.http.api import Api
from portico_gateway.http.bodies.route import BodyRoute
from portico_gateway.http.errors import ApiError, to_api_error
from portico_gateway.http.generation.service import GenerationService, add_warnings
from portico_gateway.http.json_text import StrictJsonResponse
from portico_gateway.http.openai_shared.errors import openai_error_body
from portico_gateway.http.wire import ApiBody, Json

if TYPE_CHECKING:
    from portico_engine import EngineClient

_PATH = "/v1/embeddings"
MAX_INPUTS = 2048  # OpenAI's
_GROUP = 32  # texts that go to the engine at once
_GROUP_CHARACTERS = 16_000  # of them together, about
_Input: TypeAlias = str | tuple[int, ...]
_FORMS = f"a text, a list of up to {MAX_INPUTS} texts, a list of token ids, or a list of such lists; none of them empty"


def _read_inputs(value: object) -> list[_Input]:
    """OpenAI's four forms as one. Raises ValueError naming the entry that is none."""
    if isinstance(value, list) and value and all(_is_token(each) for each in value):
        return [tuple(value)]
    entries = value if isinstance(value, list) else [value]
    if not 1 <= len(entries) <= MAX_INPUTS:
        raise ValueError(f"has {len(entries)} entries; it must be {_FORMS}")
    out: list[_Input] = []
    for i, each in enumerate(entries):
        if isinstance(each, list) and each and all(_is_token(token) for token in each):
            out.append(tuple(each))
        elif isinstance(each, str) and each:
            out.append(each)
        else:
            where = f"entry {i} is {str(each)[:40]!r}; it" if isinstance(value, list) else "it"
            raise ValueError(f"{where} must be {_FORMS}")
    return out


def _is_token(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


class EmbeddingsRequest(ApiBody):
    """Texts, or the tokens of texts. None is "not given"."""

    WITHOUT_EFFECT = frozenset({"user"})

    model: str | None = None
    input: Annotated[list[str | tuple[int, ...]], BeforeValidator(_read_inputs)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Field(ge=1)] | None = None
    pooling: Pooling | None = None


def _router(service: GenerationService) -> APIRouter:
    router = APIRouter(route_class=BodyRoute)

    @router.post(_PATH, response_model=None)
    async def embeddings(body: EmbeddingsRequest, request: Request) -> Response:
        model = service.only(body.model)

        async def work(engine: EngineClient) -> Response:
            response = StrictJsonResponse(await _embeddings(body, model.name, engine))
            add_warnings(response, body.passed_over())
            return response

        return await service.with_own_engine(model, request, work)

    return router


async def _embeddings(body: EmbeddingsRequest, model: str, engine: EngineClient) -> Json:
    size = engine.info.embedding_size
    if not size:
        raise ApiError(400, f"the model {model} makes no embeddings; name another one", param="model")
    if body.dimensions is not None and body.dimensions > size:
        raise ApiError(400, f"dimensions is {body.dimensions}; the model {model} has {size}", param="dimensions")
    data: list[Json] = []
    tokens = 0
    for group in _groups(body.input):
        try:
            found = await engine.embed(group, body.pooling)
        except ContextOverflow as error:
            both = f"{error.prompt_tokens} tokens, but the model {model} reads {error.context_tokens} at once"
            said = f"input: a text has {both}; split it"
            raise ApiError(400, said, param="input", code="context_length_exceeded") from error
        except EngineError as error:
            raise to_api_error(error, messages="input", grammar=None, names={}) from error
        tokens += sum(found.tokens)
        for vector in _normalized(found.vectors[:, : body.dimensions]):
            shown = _base64(vector) if body.encoding_format == "base64" else vector.astype(float).tolist()
            data.append({"object": "embedding", "index": len(data), "embedding": shown})
    return {"object": "list", "data": data, "model": model, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}


def _groups(inputs: Sequence[_Input]) -> Iterator[list[_Input]]:
    """Neighbours that are short enough to be one call."""
    group: list[_Input] = []
    length = 0
    for each in inputs:
        own = len(each) * (1 if isinstance(each, str) else 4)
        if group and (len(group) == _GROUP or length + own > _GROUP_CHARACTERS):
            yield group
            group, length = [], 0
        group.append(each)
        length += own
    if group:
        yield group


def _normalized(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Of length 1. Raises ApiError for one that has no direction."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or (lengths == 0).any():
        raise ApiError(500, "the model made a vector that is no number or zero", kind="server_error", code="invalid_answer")
    out: npt.NDArray[np.float32] = vectors / lengths
    return out


def _base64(vector: npt.NDArray[np.float32]) -> str:
    """OpenAI's form: little-endian float32."""
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


EMBEDDINGS_API = Api(_PATH, _router, openai_error_body)
