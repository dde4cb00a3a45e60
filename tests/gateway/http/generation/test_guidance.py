"""What helps a small model with its calls through the APIs, and whom it leaves alone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx2
import pytest

from portico_engine import AsyncEngine, Request, ToolCallPrior
from portico_gateway.agent.upstream_tool_host import embedder
from portico_gateway.guidance.call_guide import CallGuide
from portico_gateway.http.app import create_app
from portico_gateway.mcp.server import GatewayServer
from portico_gateway.model.host import ModelHost
from portico_gateway.upstreams.upstreams import Upstreams
from portico_servers.common.transport import security

pytestmark = pytest.mark.anyio

PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "day": {"type": "string", "pattern": "^[A-Z]{9}$"}},
    "required": ["city", "day"],
}
FUNCTION = {"name": "get_weather", "description": "The weather of a city.", "parameters": PARAMETERS}
CALL = '{"name":"get_weather","arguments":{"city":"Oslo","day":"SATURDAYS"}}'
ASKED = [{"role": "user", "content": "How warm is it in Oslo?"}]
WARNING = ["get_weather: nothing in the conversation says what day is; the model wrote it by itself"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def guided(engine: Any, *, parameters: int = 1) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the application whose model has so many parameters."""
    guide = CallGuide(embedder().embed)
    guide.guides = lambda _: CallGuide.guides(guide, parameters)  # type: ignore[method-assign]
    upstreams = Upstreams([])
    model = ModelHost("fake", partial(AsyncEngine.open, lambda progress: engine), first_delay=0.0)
    rules = security("127.0.0.1", 8630)
    app = create_app(upstreams, GatewayServer(upstreams), model, security=rules, load_timeout=10.0, guide=guide)
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8630") as client,
    ):
        yield client


def chat(**more: Any) -> dict[str, Any]:
    return {"model": "fake", "messages": ASKED, "tools": [{"type": "function", "function": FUNCTION}], **more}


async def test_a_small_model_s_call_copies_from_the_question_and_says_what_it_could_not(fakes: Any) -> None:
    engine = fakes.FakeEngine(script=lambda request: [CALL])
    async with guided(engine) as client:
        answer = (await client.post("/v1/chat/completions", json=chat(tool_choice="required"))).json()
    (request,) = engine.requests
    assert isinstance(request.prior, ToolCallPrior)
    assert '"Oslo' in request.grammar.text
    assert json.loads(answer["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"])["city"] == "Oslo"
    assert answer["warnings"] == WARNING


async def test_a_stream_says_it_in_its_last_chunk(fakes: Any) -> None:
    async with guided(fakes.FakeEngine(script=lambda request: [CALL])) as client:
        text = (await client.post("/v1/chat/completions", json=chat(stream=True, tool_choice="required"))).text
    chunks = [json.loads(line.removeprefix("data: ")) for line in text.split("\n") if line.startswith("data: {")]
    assert [chunk.get("warnings") for chunk in chunks if chunk["choices"][0]["finish_reason"]] == [WARNING]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (
            "/v1/responses",
            {"input": "How warm is it in Oslo?", "tools": [{"type": "function", **FUNCTION}], "tool_choice": "required"},
        ),
        (
            "/v1/messages",
            {
                "messages": ASKED, "max_tokens": 100, "tool_choice": {"type": "any"},
                "tools": [{"name": "get_weather", "description": "The weather.", "input_schema": PARAMETERS}],
            },
        ),
    ],
)  # fmt: skip
async def test_the_other_apis_guide_and_warn_alike(fakes: Any, path: str, body: dict[str, Any]) -> None:
    engine = fakes.FakeEngine(script=lambda request: [CALL])
    async with guided(engine) as client:
        answer = await client.post(path, json={"model": "fake", **body})
    assert answer.status_code == 200, answer.text
    assert answer.json()["warnings"] == WARNING
    assert engine.requests[0].prior is not None


async def test_whether_to_call_stays_the_model_s_choice_under_auto(fakes: Any) -> None:
    engine = fakes.FakeEngine(script=lambda request: ["It is warm."])
    async with guided(engine) as client:
        answer = (await client.post("/v1/chat/completions", json=chat())).json()
    assert answer["choices"][0]["message"]["content"] == "It is warm."
    assert "warnings" not in answer


async def test_without_calls_nothing_is_guided(fakes: Any) -> None:
    engine = fakes.FakeEngine()
    async with guided(engine) as client:
        await client.post("/v1/chat/completions", json=chat(tool_choice="none"))
    assert _unguided(engine.requests[0])


async def test_a_large_model_decides_alone(fakes: Any) -> None:
    engine = fakes.FakeEngine(script=lambda request: [CALL])
    async with guided(engine, parameters=7_000_000_000) as client:
        answer = (await client.post("/v1/chat/completions", json=chat(tool_choice="required"))).json()
    assert _unguided(engine.requests[0])
    assert "warnings" not in answer


def _unguided(request: Request) -> bool:
    return request.prior is None and (request.grammar is None or '"Oslo' not in request.grammar.text)
