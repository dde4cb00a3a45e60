"""The application over a fake engine, without sockets, and a client for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import httpx2
import pytest
from tests.gateway.http import fake_engine

from portico_engine import AsyncEngine
from portico_gateway.http.app import create_app
from portico_gateway.mcp.server import GatewayServer
from portico_gateway.model.host import ModelHost
from portico_gateway.upstreams.upstreams import Upstreams
from portico_servers.common.transport import security

BASE = "http://127.0.0.1:8630"


@pytest.fixture(scope="session")
def fakes() -> Any:
    """The module of the scripted engine."""
    return fake_engine


Serve = Callable[..., AbstractAsyncContextManager[httpx2.AsyncClient]]


@pytest.fixture
def serve(fakes: Any) -> Serve:
    """`async with serve(engine) as client:`; `load` replaces how the model is loaded, None serves without one; `start` how its
    engine is started; `adapter` is the one that the configuration chose."""

    @asynccontextmanager
    async def running(
        engine: Any = None, *, load: Any = ..., start: Any = None, load_timeout: float = 10.0, adapter: str | None = None
    ) -> AsyncIterator[httpx2.AsyncClient]:
        upstreams = Upstreams([])
        if load is ...:
            load = lambda progress: engine or fakes.FakeEngine()  # noqa: E731
        start = start or (load and partial(AsyncEngine.open, load))
        model = ModelHost("fake", start, first_delay=0.0, adapter=adapter) if start else None
        app = create_app(
            upstreams, GatewayServer(upstreams), model, security=security("127.0.0.1", 8630), load_timeout=load_timeout
        )
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        async with app.router.lifespan_context(app), httpx2.AsyncClient(transport=transport, base_url=BASE) as client:
            yield client

    return running
