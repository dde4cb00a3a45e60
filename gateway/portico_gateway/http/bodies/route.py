"""Routes whose bodies are parsed within bounds and beside the event loop; their signature and their schema stay FastAPI's.

The endpoint gets its pydantic object as FastAPI would give it; only who makes it is different. One that takes nothing but a
body and the request, and answers for itself, is called at once: FastAPI's way to it is for all that it might take besides.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from portico_gateway.http.bodies.worker import BodyWorker
from portico_gateway.http.errors import ApiError

VALUES = "portico.body_values"  # in the scope: how many values the body has, as `middleware/body.py` measured it
_NONE = "the body is missing; send JSON with content-type application/json"


class BodyRoute(APIRoute):
    """A route with a JSON body. The application's `state.bodies` is the BodyWorker that parses it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()
        if self.body_field is None:
            return handler
        schema = self.body_field.field_info.annotation
        assert isinstance(schema, type), "a body is one object of a wire schema"
        assert issubclass(schema, BaseModel), "a body is one object of a wire schema"

        names = _only_body_and_request(self.dependant) if self.response_field is None else None
        if names is not None:
            of_body, of_request = names

            async def call(request: Request) -> Response:
                response = await self.endpoint(**{of_body: await _parsed(request, schema), of_request: request})
                assert isinstance(response, Response), "there is no model of its response"
                return response

            return call

        async def handle(request: Request) -> Response:
            return await handler(_Parsed(request, await _parsed(request, schema)))

        return handle


def _only_body_and_request(takes: Dependant) -> tuple[str, str] | None:
    """Under which names an endpoint takes them, where it takes nothing else."""
    others = (takes.path_params, takes.query_params, takes.header_params, takes.cookie_params, takes.dependencies)
    injected = (takes.response_param_name, takes.background_tasks_param_name, takes.security_scopes_param_name)
    if any(others) or any(injected) or len(takes.body_params) != 1 or takes.request_param_name is None:
        return None
    return takes.body_params[0].name, takes.request_param_name


async def _parsed(request: Request, schema: type[BaseModel]) -> BaseModel:
    body = await request.body()
    if not body or not is_json(request.headers.get("content-type", "")):
        raise ApiError(400, _NONE)
    bodies: BodyWorker = request.app.state.bodies
    return await bodies.parse(schema, body, request.scope.get(VALUES, 0))


def is_json(content_type: str) -> bool:
    """`application/json` or `application/SOMETHING+json`, whatever parameters it has."""
    essence = content_type.partition(";")[0].strip().lower()
    kind, _, subtype = essence.partition("/")
    return kind == "application" and (subtype == "json" or subtype.endswith("+json"))


class _Parsed(Request):
    """A request whose JSON is an object of its wire schema already."""

    def __init__(self, request: Request, parsed: BaseModel) -> None:
        super().__init__(request.scope, request.receive, request._send)
        self._body = b"{}"  # what was read is not read again
        self._parsed = parsed

    async def json(self) -> Any:
        return self._parsed
