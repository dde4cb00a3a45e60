"""Whether requests should be sent here now."""

from __future__ import annotations

import sys
import threading
from typing import Any

import httpx2
import pytest

from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.http.app import create_app
from portico_gateway.http.health import FirstStarts
from portico_gateway.mcp.server import GatewayServer
from portico_gateway.upstreams.upstreams import Upstreams
from portico_servers.common.transport import security

pytestmark = pytest.mark.anyio


async def test_a_server_is_ready_once_its_model_is(serve: Any, fakes: Any) -> None:
    go = threading.Event()

    def load(progress: Any) -> Any:
        go.wait(60)
        return fakes.FakeEngine()

    async with serve(load=load) as client:
        early = await client.get("/readyz")
        go.set()
        await client.post("/tokenize", json={"prompt": "x"})  # waits for the model
        late = await client.get("/readyz")
    assert (early.status_code, early.json()) == (503, {"status": "not ready", "reason": "the model is loading"})
    assert (late.status_code, late.json()) == (200, {"status": "ready"})


def never_up(start_timeout: float) -> UpstreamSpec:
    """A program that runs and says nothing."""
    command = ("-c", "import sys; sys.stdin.read()")
    return UpstreamSpec("secret-name", command=sys.executable, args=command, start_timeout=start_timeout)


async def test_a_server_is_ready_once_each_one_behind_it_is_up_or_has_failed() -> None:
    upstreams = Upstreams([never_up(2.0)])
    app = create_app(upstreams, GatewayServer(upstreams), None, security=security("127.0.0.1", 8630))
    client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://127.0.0.1:8630")
    async with app.router.lifespan_context(app), client:
        early = await client.get("/readyz")
        (status,) = await upstreams.ready(60)
        late = await client.get("/readyz")
        await upstreams.replace([never_up(60.0)])
        changed = await client.get("/readyz")
    assert early.status_code == 503
    assert early.json()["reason"] == "1 of the servers behind this one are being started for the first time"
    assert status.state != "ready"
    assert late.status_code == 200
    assert changed.status_code == 200, "what the file adds while it serves has no request wait"


async def test_a_start_that_never_ends_is_waited_for_a_while_alone() -> None:
    async with Upstreams([never_up(600.0)]) as upstreams:
        assert FirstStarts(upstreams, seconds=60.0).waited_for() is not None
        assert FirstStarts(upstreams, seconds=0.0).waited_for() is None


async def test_a_server_without_a_model_is_ready(serve: Any) -> None:
    async with serve(load=None) as client:
        assert (await client.get("/readyz")).status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_who_asks_for_nothing_hears_that_it_runs(serve: Any, method: str) -> None:
    async with serve() as client:
        response: httpx2.Response = await client.request(method, "/")
    assert response.status_code == 200
    assert response.text == ("Portico is running" if method == "GET" else "")
