"""The HTTP application: the table's APIs, MCP over Streamable HTTP, approvals, health and metrics, behind one check of Host and
Origin.

It owns the order of the middleware, and life: upstreams and the model start with it and end with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI
from fastapi.responses import Response
from mcp.server.transport_security import TransportSecuritySettings
from starlette.middleware.cors import CORSMiddleware

from portico_gateway.agent.question_looks import QuestionLooks
from portico_gateway.config.sections import KeyConfig, OAuthConfig
from portico_gateway.guidance.call_guide import CallGuide
from portico_gateway.http.apis import APIS
from portico_gateway.http.approvals import approvals_router
from portico_gateway.http.bodies.worker import BodyWorker
from portico_gateway.http.draining import Drain
from portico_gateway.http.error_handlers import add_error_handlers
from portico_gateway.http.feedback import feedback_router
from portico_gateway.http.generation.service import WARNINGS_HEADER, GenerationService
from portico_gateway.http.health import health_router
from portico_gateway.http.json_text import StrictJsonResponse
from portico_gateway.http.limits import CallerLimits
from portico_gateway.http.middleware.auth import AuthMiddleware, metadata_routes
from portico_gateway.http.middleware.body import BodyMiddleware
from portico_gateway.http.middleware.host_origin import HostOriginMiddleware
from portico_gateway.http.middleware.metrics import CONTENT_TYPE, Metrics, MetricsMiddleware
from portico_gateway.http.middleware.panics import PanicMiddleware
from portico_gateway.http.middleware.requests import HEADER, RequestMiddleware
from portico_gateway.http.openapi import document_statuses
from portico_gateway.mcp.server import GatewayServer
from portico_gateway.model.host import ModelHost
from portico_gateway.model.pool import ModelPool
from portico_gateway.policy.tool_calls import ToolCalls
from portico_gateway.upstreams.upstreams import Upstreams
from portico_servers.common.edges import HttpEdge
from portico_servers.common.mcp_sessions import McpSessions


def create_app(
    upstreams: Upstreams,
    gateway: GatewayServer,
    models: ModelPool | ModelHost | None,
    *,
    security: TransportSecuritySettings,
    load_timeout: float = 60.0,
    tool_calls: ToolCalls | None = None,
    keys: Mapping[str, KeyConfig] | None = None,
    oauth: OAuthConfig | None = None,
    limits: CallerLimits | None = None,
    guide: CallGuide | None = None,
    looks: QuestionLooks | None = None,
    drain: Drain | None = None,
    origins: Sequence[str] = (),
) -> FastAPI:
    """The application over these parts, which it starts and ends. `security` says which Host and Origin are answered. With
    `tool_calls` APIs may call the gateway's own tools, pending consents are decided, and there is feedback. Pages of `origins`
    may read the answers (CORS, without credentials); `drain` says when the server ends.

    With `keys` or `oauth` every request but health needs a token; `keys` may change while it runs. Without them whoever reaches
    the port is served. How the servers and the model are, health tells only those whom `may_see_details` names.
    """
    oauth, drain = oauth or OAuthConfig(), drain or Drain()
    pool = models if isinstance(models, ModelPool) else ModelPool(models)
    sessions = McpSessions(gateway.server, None)  # HostOriginMiddleware looks at Host and Origin

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(app.state.bodies.aclose)
            await stack.enter_async_context(upstreams)
            await stack.enter_async_context(pool.running())
            await stack.enter_async_context(sessions.run())
            beside = asyncio.create_task(gateway.run(), name="gateway")
            try:
                yield
            finally:
                beside.cancel()
                await asyncio.gather(beside, return_exceptions=True)

    # Without the documentation pages, which load their scripts from elsewhere; /openapi.json stays.
    app = FastAPI(title="Portico", lifespan=lifespan, docs_url=None, redoc_url=None, default_response_class=StrictJsonResponse)
    add_error_handlers(app)
    app.state.bodies = BodyWorker()
    app.add_middleware(PanicMiddleware)
    app.add_middleware(HttpEdge)
    limits = limits or CallerLimits()
    app.add_middleware(BodyMiddleware, limits=limits)
    keys_needed = bool(keys or oauth.issuer)
    if keys_needed:
        app.add_middleware(AuthMiddleware, keys={} if keys is None else keys, oauth=oauth)
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],
            expose_headers=[HEADER, WARNINGS_HEADER, "mcp-session-id", "retry-after"],
        )
    app.add_middleware(HostOriginMiddleware, settings=security)
    service = GenerationService(
        pool, load_timeout=load_timeout, limits=limits, guide=guide, looks=looks, tool_calls=tool_calls, drain=drain
    )
    metrics = Metrics(upstreams, pool.hosts, looks)
    app.add_middleware(MetricsMiddleware, metrics=metrics)
    app.add_middleware(RequestMiddleware, drain=drain)
    app.router.routes.append(sessions.route)
    app.router.routes.extend(metadata_routes(oauth))
    for api in APIS:
        app.include_router(api.router(service))
    if tool_calls is not None:
        app.include_router(approvals_router(tool_calls))
        app.include_router(feedback_router(tool_calls, service.answers.caller_of))

    app.include_router(health_router(upstreams, pool, drain, keys_needed=keys_needed))

    @app.get("/metrics")
    async def all_metrics() -> Response:
        return Response(await metrics.text(), media_type=CONTENT_TYPE)

    document_statuses(app)
    return app
