"""/openapi.json: FastAPI's document, with the statuses that every operation may answer and without one that none does."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from portico_gateway.http.wire import Json

_METHODS = ("get", "post", "put", "delete", "patch", "head", "options")
_OF_ALL = {
    400: "The request can't be answered as it is; the message names the field and what would be right.",
    401: "A key is needed, and this is none.",
    403: "The key does not open this, or the policy does not.",
    404: "There is no such model, response, approval or path.",
    405: "The path has no such method.",
    421: "The Host header is none that is answered here.",
}
_OF_BODIES = {
    408: "The body did not come in time.",
    413: "The body is too large, or holds too many values.",
    415: "The body is compressed, which isn't taken.",
    429: "The key has as many requests or tokens as it may; Retry-After says when to come again.",
    502: "The model server behind this one answered with something that is none.",
    503: "The model is loading or its server is down, or this one is shutting down; Retry-After says when to come again.",
    504: "The answer took longer than it may.",
}
_OWN = {"/readyz": {503: "Requests would wait or fail now; the reason is in the body."}}


def document_statuses(app: FastAPI) -> None:
    """Have `app` serve that document."""

    def made() -> Json:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = made  # type: ignore[method-assign]


def _document(app: FastAPI) -> Json:
    document: dict[str, Any] = get_openapi(title=app.title, version=app.version, routes=app.routes)
    for path, operations in document.get("paths", {}).items():
        for method, operation in operations.items():
            if method in _METHODS:
                responses = operation.setdefault("responses", {})
                responses.pop("422", None)  # what pydantic minds is a 400 here
                more = _OF_ALL | (_OF_BODIES if "requestBody" in operation else {}) | _OWN.get(path, {})
                for status, description in more.items():
                    responses.setdefault(str(status), {"description": description})
    for unused in ("HTTPValidationError", "ValidationError"):
        document.get("components", {}).get("schemas", {}).pop(unused, None)
    return document
