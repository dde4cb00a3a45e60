"""The table of APIs: each is a folder and a line here. Routes, error shapes and the check of keys read it."""

from __future__ import annotations

from portico_gateway.http.anthropic.endpoint import MESSAGES_API
from portico_gateway.http.api import Api
from portico_gateway.http.decisions.endpoint import DECISIONS_API, SYSTEM_ONE_API
from portico_gateway.http.errors import ApiError
from portico_gateway.http.ollama.endpoint import OLLAMA_API
from portico_gateway.http.openai_chat.endpoint import CHAT_COMPLETIONS_API
from portico_gateway.http.openai_completions.endpoint import COMPLETIONS_API
from portico_gateway.http.openai_responses.endpoint import RESPONSES_API
from portico_gateway.http.openai_shared.errors import openai_error_body
from portico_gateway.http.openai_shared.models import MODELS_API
from portico_gateway.http.ranking.embeddings import EMBEDDINGS_API
from portico_gateway.http.ranking.rerank import RERANK_APIS
from portico_gateway.http.tokens.endpoint import DETOKENIZE_API, TOKENIZE_API
from portico_gateway.http.wire import Json

APIS: tuple[Api, ...] = (
    CHAT_COMPLETIONS_API,
    COMPLETIONS_API,
    MODELS_API,
    RESPONSES_API,
    MESSAGES_API,
    EMBEDDINGS_API,
    *RERANK_APIS,
    DECISIONS_API,
    SYSTEM_ONE_API,
    TOKENIZE_API,
    DETOKENIZE_API,
    OLLAMA_API,
)
_PREFIXES = tuple(api.prefix for api in APIS)


def api_of(path: str) -> Api | None:
    """The API that a path belongs to."""
    if not path.startswith(_PREFIXES):
        return None
    return next((api for api in APIS if api.owns(path)), None)


def error_body(error: ApiError, path: str) -> Json:
    """The error in the shape of the API that `path` belongs to; OpenAI's where it belongs to none."""
    api = api_of(path)
    return openai_error_body(error) if api is None else api.error_body(error)
