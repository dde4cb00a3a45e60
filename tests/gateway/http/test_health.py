"""Whether requests should be sent here now."""

from __future__ import annotations

import threading
from typing import Any

import httpx2
import pytest

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


async def test_a_server_without_a_model_is_ready(serve: Any) -> None:
    async with serve(load=None) as client:
        assert (await client.get("/readyz")).status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_who_asks_for_nothing_hears_that_it_runs(serve: Any, method: str) -> None:
    async with serve() as client:
        response: httpx2.Response = await client.request(method, "/")
    assert response.status_code == 200
    assert response.text == ("Portico is running" if method == "GET" else "")
