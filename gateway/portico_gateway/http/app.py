"""The HTTP application: OpenAI's chat completions and responses, Anthropic's messages, MCP over Streamable HTTP, health and
metrics, behind one check of Host and Origin.

It owns routes and life: upstreams and the model start with it and end with it.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response
from mcp.server.transport_security import RequestBodyLimitMiddleware, TransportSecurityMiddleware, TransportSecuritySettings
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from portico_gateway.config.sections import KeyConfig, OAuthConfig
from portico_gateway.http import errors
from portico_gateway.http.anthropic.body import CountRequest, MessagesRequest
from portico_gateway.http.anthropic.endpoint import MessagesEndpoint
from portico_gateway.http.approvals import approvals_router
from portico_gateway.http.generation.stream import Answering, model_not_found
from portico_gateway.http.middleware.auth import Access, metadata_routes
from portico_gateway.http.middleware.metrics import CONTENT_TYPE, Measured, Metrics
from portico_gateway.http.openai_chat.body import ChatRequest
from portico_gateway.http.openai_chat.endpoint import ChatEndpoint
from portico_gateway.http.openai_responses.body import ResponsesRequest
from portico_gateway.http.openai_responses.endpoint import ResponsesEndpoint
from portico_gateway.mcp.server import Gateway
from portico_gateway.model.host import ModelHost
from portico_gateway.policy.approvals import Approvals
from portico_gateway.upstreams.upstreams import Upstreams

MAX_BODY = 32 << 20


def create_app(
    upstreams: Upstreams,
    gateway: Gateway,
    model: ModelHost | None,
    *,
    security: TransportSecuritySettings,
    load_timeout: float = 60.0,
    approvals: Approvals | None = None,
    keys: Mapping[str, KeyConfig] | None = None,
    oauth: OAuthConfig | None = None,
) -> FastAPI:
    """The application over these parts, which it starts and ends. `security` says which Host and Origin are answered.

    With `keys` or `oauth` every request but health needs a token; without them whoever reaches the port is served.
    """
    oauth = oauth or OAuthConfig()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(upstreams)
            if model is not None:
                await stack.enter_async_context(model.running())
            await stack.enter_async_context(gateway.server.session_manager.run())
            beside = asyncio.create_task(gateway.run(), name="gateway")
            try:
                yield
            finally:
                beside.cancel()
                await asyncio.gather(beside, return_exceptions=True)

    # Without the documentation pages, which load their scripts from elsewhere; /openapi.json stays.
    app = FastAPI(title="Portico", lifespan=lifespan, docs_url=None, redoc_url=None)
    errors.install(app)
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=MAX_BODY)
    if keys or oauth.issuer:
        app.add_middleware(Access, keys=keys or {}, oauth=oauth)
    app.add_middleware(Gate, settings=security)
    metrics = Metrics(upstreams, model)
    app.add_middleware(Measured, metrics=metrics)
    app.router.routes.extend(gateway.server.streamable_http_app(transport_security=security).routes)
    app.router.routes.extend(metadata_routes(oauth))
    answering = Answering(model, load_timeout=load_timeout)
    _add_openai(app, answering, model)
    _add_responses(app, answering)
    _add_anthropic(app, answering)
    if approvals is not None:
        app.include_router(approvals_router(approvals))

    @app.get("/healthz")
    async def healthz() -> dict[str, Any]:
        return await health(upstreams, model)

    @app.get("/metrics")
    async def all_metrics() -> Response:
        return Response(await metrics.text(), media_type=CONTENT_TYPE)

    return app


def _add_openai(app: FastAPI, answering: Answering, model: ModelHost | None) -> None:
    endpoint = ChatEndpoint(answering)

    @app.post("/v1/chat/completions", response_model=None)
    async def chat_completions(body: ChatRequest, request: Request) -> Response:
        return await endpoint(body, request)

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [model_object(model)] if model else []}

    @app.get("/v1/models/{name:path}")
    async def one_model(name: str) -> dict[str, Any]:
        if model is None or name != model.name:
            raise model_not_found(name, model)
        return model_object(model)


def _add_responses(app: FastAPI, answering: Answering) -> None:
    endpoint = ResponsesEndpoint(answering)

    @app.post("/v1/responses", response_model=None)
    async def responses(body: ResponsesRequest, request: Request) -> Response:
        return await endpoint.create(body, request)

    @app.get("/v1/responses/{name}")
    async def one_response(name: str) -> dict[str, Any]:
        return endpoint.read(name)

    @app.delete("/v1/responses/{name}")
    async def delete_response(name: str) -> dict[str, Any]:
        return endpoint.delete(name)


def _add_anthropic(app: FastAPI, answering: Answering) -> None:
    endpoint = MessagesEndpoint(answering)

    @app.post("/v1/messages", response_model=None)
    async def messages(body: MessagesRequest, request: Request) -> Response:
        return await endpoint.create(body, request)

    @app.post("/v1/messages/count_tokens", response_model=None)
    async def count_tokens(body: CountRequest, request: Request) -> Response:
        return await endpoint.count(body, request)


def model_object(model: ModelHost) -> dict[str, Any]:
    """OpenAI's model object, with what is known of the model once it is loaded."""
    about: dict[str, Any] = {"id": model.name, "object": "model", "created": model.created, "owned_by": "portico"}
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


async def health(upstreams: Upstreams, model: ModelHost | None) -> dict[str, Any]:
    """Answers while everything is still starting; `status` is "ok" once the model is ready and every server is."""
    servers = [dataclasses.asdict(status) for status in upstreams.status()]
    states = {server["state"] for server in servers}
    if model is not None and model.status.state != "ready":
        status: str = model.status.state
    elif states <= {"ready"}:
        status = "ok"
    else:
        status = "starting" if states <= {"ready", "starting"} else "degraded"
    about: dict[str, Any] = {"status": status, "servers": servers, "model": None}
    if model is not None:
        about["model"] = {"id": model.name, **dataclasses.asdict(model.status)}
        if (stats := await model.stats()) is not None:
            about["model"]["stats"] = stats
    return about


class Gate:
    """Refuses requests whose Host or Origin is not ours, whatever their path: a web page must not reach a local server.

    And bodies that announce too great a size; RequestBodyLimitMiddleware counts those that announce none.
    """

    def __init__(self, app: ASGIApp, settings: TransportSecuritySettings) -> None:
        self._app = app
        self._check = TransportSecurityMiddleware(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = Request(scope)
            refused = await self._refuse(request)
            if refused is not None:
                await JSONResponse(refused.body, refused.status)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _refuse(self, request: Request) -> errors.ApiError | None:
        response = await self._check.validate_request(request)
        if response is not None:
            what = "Host" if response.status_code == 421 else "Origin"
            message = f"this {what} header is not answered here; start with --allow-host for other names of this machine"
            return errors.ApiError(response.status_code, message, code=f"invalid_{what.lower()}")
        size = request.headers.get("content-length", "")
        if size.isdigit() and int(size) > MAX_BODY:
            return errors.ApiError(413, f"the body has {size} bytes; at most {MAX_BODY} are taken")
        return None
