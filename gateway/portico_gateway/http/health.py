"""GET /healthz, which tells how everything is, and /readyz, which says whether requests should be sent here now.

It owns what "ready" means. It reads the servers and the model, and changes nothing.
"""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from portico_gateway.http.draining import Drain
from portico_gateway.http.json_text import StrictJsonResponse
from portico_gateway.http.middleware.auth import may_see_details
from portico_gateway.model.host import ModelHost
from portico_gateway.model.pool import ModelPool
from portico_gateway.model.remote.engine import RemoteEngine
from portico_gateway.upstreams.upstreams import Upstreams

_RUNNING = "Portico is running"  # what asks `/`, as Ollama's command does, wants a 200


def health_router(upstreams: Upstreams, models: ModelPool, drain: Drain, *, keys_needed: bool) -> APIRouter:
    """The paths that say how this server is. How the parts are, `/healthz` tells only those whom `may_see_details` names."""
    router = APIRouter()

    @router.get("/healthz")
    async def healthz(request: Request) -> dict[str, Any]:
        about = await health(upstreams, models.default)
        if models.others:
            about["models"] = await asyncio.gather(*map(_about_model, models.others))
        return about if may_see_details(request.scope, keys_needed=keys_needed) else {"status": about["status"]}

    @router.get("/readyz", response_model=None)
    async def readyz() -> Response:
        reason = "the server is shutting down" if drain.begun else not_ready(models.default)
        body = {"status": "ready"} if reason is None else {"status": "not ready", "reason": reason}
        return StrictJsonResponse(body, 200 if reason is None else 503)

    @router.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def root() -> Response:
        return PlainTextResponse(_RUNNING)

    return router


def not_ready(model: ModelHost | None) -> str | None:
    """Why a request that is sent now would wait or fail; None where it would be answered.

    A server behind the gateway that is down makes nothing unready: its calls alone fail, and say so.
    """
    if model is not None and model.status.state != "ready":
        return f"the model is {model.status.state}"
    if model is not None and isinstance(model.loaded, RemoteEngine) and all(each.problem for each in model.loaded.servers):
        return str(model.loaded.servers[0].problem)
    return None


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
    return {"status": status, "servers": servers, "model": None if model is None else await _about_model(model)}


async def _about_model(host: ModelHost) -> dict[str, Any]:
    about: dict[str, Any] = {"id": host.name, **dataclasses.asdict(host.status)}
    if host.loaded is not None:
        info = host.loaded.info
        about |= {"executor": info.executor, "memory": info.memory_plan, "fallbacks": dict(info.fallbacks)}
    if isinstance(host.loaded, RemoteEngine):
        about["servers"] = [
            {"url": each.url, "model": each.model, "error": str(each.problem) if each.problem else None}
            for each in host.loaded.servers
        ]
    if stats := await host.stats():
        about["stats"] = stats
    return about
