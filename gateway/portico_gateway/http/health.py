"""GET /healthz, which tells how everything is, and /readyz, which says whether requests should be sent here now.

It owns what "ready" means. It reads the servers and the model, and changes nothing.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
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

_FIRST_STARTS = 30.0  # seconds that servers' first starts keep the gateway from being ready: one that hangs must not for ever
_RUNNING = "Portico is running"  # what asks `/`, as Ollama's command does, wants a 200


def health_router(upstreams: Upstreams, models: ModelPool, drain: Drain, *, keys_needed: bool) -> APIRouter:
    """The paths that say how this server is. How the parts are, `/healthz` tells only those whom `may_see_details` names."""
    router = APIRouter()
    first_starts = FirstStarts(upstreams)

    @router.get("/healthz")
    async def healthz(request: Request) -> dict[str, Any]:
        about = await health(upstreams, models.default)
        if models.others:
            about["models"] = await asyncio.gather(*map(_about_model, models.others))
        return about if may_see_details(request.scope, keys_needed=keys_needed) else {"status": about["status"]}

    @router.get("/readyz", response_model=None)
    async def readyz() -> Response:
        reason = "the server is shutting down" if drain.begun else not_ready(models.default) or first_starts.waited_for()
        body = {"status": "ready"} if reason is None else {"status": "not ready", "reason": reason}
        return StrictJsonResponse(body, 200 if reason is None else 503)

    @router.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def root() -> Response:
        return PlainTextResponse(_RUNNING)

    return router


def not_ready(model: ModelHost | None) -> str | None:
    """Why the model would have a request that is sent now wait or fail, as a stranger may know it; None where it would be
    answered."""
    if model is not None and model.status.state != "ready":
        return f"the model is {model.status.state}"
    if model is not None and isinstance(model.loaded, RemoteEngine) and all(each.problem for each in model.loaded.servers):
        return "no model server can be used now; /healthz says why"  # strangers read this: no address, no name
    return None


class FirstStarts:
    """Whether the servers behind the gateway had their chance: what is asked before is shown tools of a part of them.

    One that failed to start, or goes down later, makes nothing unready: its calls alone fail, and say so. Nor does one that the
    configuration adds while the gateway serves.
    """

    def __init__(self, upstreams: Upstreams, seconds: float = _FIRST_STARTS) -> None:
        self._upstreams = upstreams
        self._until = time.monotonic() + seconds
        self._over = False

    def waited_for(self) -> str | None:
        """How many servers are still being started for the first time; None once each was up or has failed, or time is over."""
        starting = [] if self._over or time.monotonic() >= self._until else self._upstreams.starting()
        self._over = not starting
        return f"{len(starting)} of the servers behind this one are being started for the first time" if starting else None


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
