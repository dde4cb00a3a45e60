"""How an endpoint with a body comes to be called."""

from __future__ import annotations

from typing import Any

import fastapi.routing
import pytest

pytestmark = pytest.mark.anyio
ASKED = {"model": "fake", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_an_endpoint_that_takes_a_body_and_its_request_has_no_dependencies_solved(
    serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def solving(**_: Any) -> Any:
        raise AssertionError("there are none")

    async with serve() as client:
        monkeypatch.setattr(fastapi.routing, "solve_dependencies", solving)
        answer = await client.post("/v1/chat/completions", json=ASKED)
        assert answer.status_code == 200, answer.text
        wrong = await client.post("/v1/chat/completions", json={**ASKED, "max_tokens": 0})
        assert wrong.status_code == 400
        assert wrong.json()["error"]["param"] == "max_tokens"
        missing = await client.post("/v1/chat/completions")
        assert missing.status_code == 400
