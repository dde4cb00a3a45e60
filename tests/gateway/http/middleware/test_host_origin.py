"""Requests from elsewhere, and bodies that are too large, are refused before anything else, in the shape of their API."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("path", ["/v1/models", "/healthz", "/mcp", "/v1/chat/completions"])
async def test_foreign_hosts_and_origins_are_refused_on_every_path(serve: Any, path: str) -> None:
    async with serve() as client:
        evil_host = await client.get(path, headers={"Host": "evil.example"})
        evil_origin = await client.get(path, headers={"Origin": "https://evil.example"})
    assert (evil_host.status_code, evil_host.json()["error"]["code"]) == (421, "invalid_host")
    assert (evil_origin.status_code, evil_origin.json()["error"]["code"]) == (403, "invalid_origin")


async def test_a_body_that_is_too_large_is_a_413(serve: Any) -> None:
    async with serve() as client:
        headers = {"content-length": str(1 << 30), "content-type": "application/json"}
        response = await client.post("/v1/chat/completions", content=b"{}", headers=headers)
    assert response.status_code == 413
    assert "1073741824 bytes" in response.json()["error"]["message"]


async def test_a_refusal_has_the_shape_of_the_api_that_was_called(serve: Any) -> None:
    async with serve() as client:
        foreign = await client.post("/v1/messages", json={}, headers={"Origin": "https://evil.example"})
        large = await client.post("/v1/messages", content=b"{}", headers={"content-length": str(1 << 30)})
    assert (foreign.status_code, foreign.json()["error"]["type"]) == (403, "permission_error")
    assert (large.status_code, large.json()["error"]["type"]) == (413, "request_too_large")
