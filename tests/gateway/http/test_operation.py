"""What operating it needs: request ids, limits and quotas by key, CORS, spans, and an end that cuts nobody off."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.gateway.http.fake_engine import FakeEngine

from portico_engine import AsyncEngine, Usage
from portico_gateway.config.sections import KeyConfig
from portico_gateway.http.app import create_app
from portico_gateway.http.draining import Drain
from portico_gateway.http.errors import ApiError
from portico_gateway.http.limits import CallerLimits
from portico_gateway.http.middleware.keys import key_hash
from portico_gateway.http.quotas import KeyQuotas
from portico_gateway.http.server.server import HttpServer
from portico_gateway.mcp.server import GatewayServer
from portico_gateway.model.host import ModelHost
from portico_gateway.upstreams.upstreams import Upstreams
from portico_servers.common.transport import bind, security

pytestmark = pytest.mark.anyio
BASE = "http://127.0.0.1:8630"
CHAT = "/v1/chat/completions"
ASKED = {"model": "fake", "messages": [{"role": "user", "content": "Hi"}]}
APP = "https://app.example.com"


def key(**given: Any) -> dict[str, KeyConfig]:
    return {"ada": KeyConfig(sha256=key_hash("k-ada"), **given)}


def made(engine: FakeEngine, keys: dict[str, KeyConfig] | None = None, port: int = 8630, **given: Any) -> Any:
    upstreams = Upstreams([])
    model = ModelHost("fake", partial(AsyncEngine.open, lambda progress: engine))  # type: ignore[arg-type]
    limits = CallerLimits(keys=keys)
    rules = security("127.0.0.1", port, (), given.get("origins", ()))
    return create_app(upstreams, GatewayServer(upstreams), model, security=rules, keys=keys, limits=limits, **given)


@asynccontextmanager
async def serving(
    engine: FakeEngine | None = None, keys: dict[str, KeyConfig] | None = None, **given: Any
) -> AsyncIterator[httpx2.AsyncClient]:
    app = made(engine or FakeEngine(), keys, **given)
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    headers = {"Authorization": "Bearer k-ada"} if keys else {}
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url=BASE, headers=headers) as client,
    ):
        yield client


# -- ids


async def test_every_answer_names_its_request_refusals_too() -> None:
    async with serving(keys=key()) as client:
        own = await client.get("/v1/models", headers={"x-request-id": "mine-1"})
        new = await client.get("/v1/models", headers={"x-request-id": "not one!"})
        refused = await client.get("/v1/models", headers={"Authorization": "Bearer no", "x-request-id": "mine-2"})
        strange = await client.get("/v1/models", headers={"Host": "evil.example"})
    assert own.headers["x-request-id"] == own.headers["request-id"] == "mine-1"
    assert re.fullmatch(r"req_[0-9a-f]{32}", new.headers["x-request-id"])
    assert (refused.status_code, refused.headers["x-request-id"]) == (401, "mine-2")
    assert (strange.status_code, strange.headers["x-request-id"][:4]) == (421, "req_")


# -- limits of a key


async def test_a_quota_of_zero_refuses_and_one_that_is_used_up_says_when_to_come_again() -> None:
    async with serving(keys=key(requests_per_day=0)) as client:
        none = await client.post(CHAT, json=ASKED)
        assert (await client.get("/v1/models")).status_code == 200, "what costs nothing is not counted"
    async with serving(keys=key(requests_per_day=2)) as client:
        statuses = [(await client.post(CHAT, json=ASKED)).status_code for _ in range(3)]
        over = await client.post(CHAT, json=ASKED)
    async with serving(keys=key(tokens_per_day=10)) as client:
        tokens = [(await client.post(CHAT, json=ASKED)).status_code for _ in range(2)]
    assert (none.status_code, none.json()["error"]["code"]) == (429, "insufficient_quota")
    assert none.json()["error"]["message"] == "this key may use no requests (requests_per_day in [keys.NAME])"
    assert "retry-after" not in none.headers, "it never will"
    assert statuses == [200, 200, 429]
    assert "has used 2 of 2 requests today" in over.json()["error"]["message"]
    assert 0 < int(over.headers["retry-after"]) <= 86_400
    assert tokens == [200, 429], "an answer of 12 tokens was let through, and no second"


def test_what_a_day_was_used_for_outlives_a_restart_and_ends_with_the_day(tmp_path: Path) -> None:
    now = [1_000_000.0]
    keys = key(tokens_per_day=100)
    first = KeyQuotas(keys, tmp_path / "quotas.db", clock=lambda: now[0])
    first.count_request("ada")
    first.count_tokens("ada", Usage(prompt_tokens=90, completion_tokens=20))
    first.count_tokens("stranger", Usage(prompt_tokens=90))
    first.close()
    second = KeyQuotas(keys, tmp_path / "quotas.db", clock=lambda: now[0])
    assert (second.used("ada"), second.used("stranger")) == ((1, 110), (0, 0))
    with pytest.raises(ApiError, match="has used 110 of 100 tokens"):
        second.check("ada")
    now[0] += 86_400
    second.check("ada")
    second.close()


async def test_a_key_has_its_own_number_of_requests_at_a_time() -> None:
    engine = FakeEngine(endless=True)
    async with serving(engine, key(running=1, waiting=0)) as client:
        running = asyncio.create_task(client.post(CHAT, json=ASKED))
        assert await asyncio.to_thread(engine.was_submitted.wait, 10)
        refused = await client.post(CHAT, json=ASKED)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")


async def test_an_answer_of_a_key_may_take_so_long_and_no_longer() -> None:
    engine = FakeEngine(endless=True)
    async with serving(engine, key(seconds=0.15)) as client:
        whole = await client.post(CHAT, json=ASKED)
        streamed = await client.post(CHAT, json={**ASKED, "stream": True})
    assert (whole.status_code, whole.json()["error"]["code"]) == (504, "time_limit")
    assert "longer than the 0.15 s" in whole.json()["error"]["message"]
    assert '"code":"time_limit"' in streamed.text
    assert streamed.text.endswith("data: [DONE]\n\n")
    assert len(engine.aborted) == 2


async def test_a_key_that_has_expired_opens_nothing() -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    for expires, status in ((soon, 200), (soon - timedelta(hours=2), 401)):
        async with serving(keys=key(expires=expires)) as client:
            assert (await client.get("/v1/models")).status_code == status


# -- pages of other origins


async def test_pages_of_named_origins_may_read_answers_and_no_others() -> None:
    asks = {"Origin": APP, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    async with serving(keys=key(), origins=[APP]) as client:
        preflight = await client.options(CHAT, headers=asks)
        answer = await client.post(CHAT, json=ASKED, headers={"Origin": APP})
        other = await client.options(CHAT, headers={**asks, "Origin": "https://evil.example.com"})
    async with serving() as client:
        without = await client.options(CHAT, headers=asks)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == APP
    assert "access-control-allow-credentials" not in preflight.headers
    assert answer.headers["access-control-allow-origin"] == APP
    assert "x-request-id" in answer.headers["access-control-expose-headers"]
    for refused in (other, without):
        assert refused.status_code == 403
        assert "access-control-allow-origin" not in refused.headers


# -- the end


async def test_a_server_that_ends_finishes_what_it_can_and_ends_streams_properly() -> None:
    engine, drain = FakeEngine(endless=True), Drain()
    with bind("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        server = HttpServer(made(engine, port=port, drain=drain), drain=drain, drain_seconds=0.5)
        running = asyncio.create_task(server.serve(sockets=[sock]))
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            kept = httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30)
            while (await _status(kept, "/readyz")) != 200:  # noqa: ASYNC110 - over HTTP
                await asyncio.sleep(0.02)
            texts = []
            for path, body in ((CHAT, ASKED), ("/v1/responses", {"model": "fake", "input": "Hi"}), ("/api/chat", ASKED)):
                texts.append(asyncio.create_task(_streamed(client, path, {**body, "stream": True})))
            while len(engine.requests) < 3:  # noqa: ASYNC110 - another thread makes them
                await asyncio.sleep(0.01)
            server.should_exit = True
            while not drain.begun:  # noqa: ASYNC110 - the server's own loop begins it
                await asyncio.sleep(0.01)
            ready, refused = await kept.get("/readyz"), await kept.post(CHAT, json=ASKED)
            chat, responses, ollama = await asyncio.gather(*texts)
            await kept.aclose()
        await running
    assert (ready.status_code, ready.json()["reason"]) == (503, "the server is shutting down")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "shutting_down")
    assert refused.headers["retry-after"] == "10"
    assert '"code":"shutting_down"' in chat
    assert chat.endswith("data: [DONE]\n\n")
    assert responses.rstrip().splitlines()[-2] == "event: response.failed"
    assert "shutting down" in json.loads(ollama.splitlines()[-1])["error"]


async def _status(client: httpx2.AsyncClient, path: str) -> int:
    try:
        return (await client.get(path)).status_code
    except httpx2.ConnectError:
        return 0


async def _streamed(client: httpx2.AsyncClient, path: str, body: dict[str, Any]) -> str:
    return (await client.post(path, json=body)).text


# -- spans


async def test_a_trace_goes_from_the_request_over_the_answer_to_the_engines_steps(
    sample: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("opentelemetry.sdk", reason="OpenTelemetry's SDK is not installed (extra otel)")
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from portico_gateway.policy.tool_calls import ToolCalls

    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    engine = FakeEngine(
        script=lambda request: (
            ["It is 3."] if b"Result of" in bytes(request.prompt) else ['{"name":"calc__add","arguments":{"a":1,"b":2}}']
        )
    )
    upstreams = Upstreams([sample("calc")])
    calls = ToolCalls(upstreams)
    model = ModelHost("fake", partial(AsyncEngine.open, lambda progress: engine))  # type: ignore[arg-type]
    rules = security("127.0.0.1", 8630)
    app = create_app(upstreams, GatewayServer(upstreams, tool_calls=calls), model, security=rules, tool_calls=calls)
    transport = httpx2.ASGITransport(app=app)
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with app.router.lifespan_context(app), httpx2.AsyncClient(transport=transport, base_url=BASE) as client:
        asked = {**ASKED, "tools": [{"type": "mcp", "server_label": "calc"}]}
        answer = await client.post(CHAT, json=asked, headers={"traceparent": parent}, timeout=60)
    assert answer.status_code == 200, answer.text
    found = {span.name: span for span in spans.get_finished_spans()}
    request, call, chat, prefill = (
        found[name] for name in (f"POST {CHAT}", "execute_tool calc__add", "chat fake", "engine prefill")
    )
    assert f"{request.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
    assert {span.context.trace_id for span in (request, call, chat, prefill)} == {request.context.trace_id}
    assert call.parent.span_id == chat.parent.span_id == request.context.span_id
    assert prefill.parent.span_id in {span.context.span_id for span in spans.get_finished_spans() if span.name == "chat fake"}
    assert call.attributes["portico.decision"] == "allow"
    assert chat.attributes["gen_ai.usage.output_tokens"] == 5
    assert not any(value == "Hi" for span in spans.get_finished_spans() for value in (span.attributes or {}).values())
