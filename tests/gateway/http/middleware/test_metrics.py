"""/metrics: requests by route, the servers, and the engine's counters, as Prometheus' own parser reads them."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from portico_engine.request import STEP_PARTS
from portico_gateway.agent.question_looks import QuestionLooks
from portico_gateway.http.middleware.metrics import Metrics
from portico_gateway.policy.tool_calls import ToolCalls
from portico_gateway.upstreams.upstreams import Upstreams

pytestmark = pytest.mark.anyio


async def samples(client: httpx2.AsyncClient) -> dict[tuple[str, ...], float]:
    response = await client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


async def test_requests_are_counted_by_route_and_status(serve: Any) -> None:
    async with serve() as client:
        body = {"model": "fake", "messages": [{"role": "user", "content": "Hi"}]}
        for sent in (body, body, {**body, "model": "other"}):
            await client.post("/v1/chat/completions", json=sent)
        await client.get("/nowhere/42")
        await client.get("/nowhere/43")
        found = await samples(client)
    assert found["portico_http_requests_total", "/v1/chat/completions", "200"] == 2
    assert found["portico_http_requests_total", "/v1/chat/completions", "404"] == 1
    assert found["portico_http_requests_total", "other", "404"] == 2
    assert found["portico_http_seconds_count", "/v1/chat/completions"] == 3


async def test_looks_are_counted_by_server_and_outcome() -> None:
    looks = QuestionLooks(ToolCalls(Upstreams([])))
    looks.counts["db", "read"] += 2
    looks.counts["code", "late"] += 1
    text = (await Metrics(Upstreams([]), (), looks).text()).decode()
    assert 'portico_guidance_looks_total{outcome="read",server="db"} 2.0' in text
    assert 'portico_guidance_looks_total{outcome="late",server="code"} 1.0' in text


async def test_the_engines_counters_are_there_once_the_model_is(serve: Any, fakes: Any) -> None:
    stats = {"running": 2, "waiting": 1, "blocks_cached_shared": 8, "blocks_held_callers": 5, "blocks_free": 51}
    stats |= {"generated_tokens": 120, "forced_tokens": 70}
    stats |= {"expert_tokens.3.0": 11, "expert_tokens.3.1": 5}
    engine = fakes.FakeEngine(figures=stats)
    async with serve(engine) as client:
        await client.post("/v1/chat/completions", json={"model": "fake", "messages": [{"role": "user", "content": "Hi"}]})
        found = await samples(client)
    assert found["portico_model_ready", "fake"] == 1
    assert found["portico_engine_requests", "fake", "running"] == 2
    assert found["portico_engine_requests", "fake", "waiting"] == 1
    blocks = {name[2:]: value for name, value in found.items() if name[:2] == ("portico_kv_blocks", "fake")}
    assert {name: value for name, value in blocks.items() if value} == {
        ("catalog", "cached"): 8,
        ("caller", "held"): 5,
        ("", "free"): 51,
    }
    assert len(blocks) == 7, "free, and three states of two owners"
    assert found["portico_tokens_forced_total", "fake"] == 70
    assert found["portico_expert_tokens_total", "0", "3", "fake"] == 11
    assert found["portico_expert_tokens_total", "1", "3", "fake"] == 5


async def test_where_the_time_of_steps_goes_and_what_is_done_instead_of_better(serve: Any, fakes: Any) -> None:
    stats = {f"step_seconds_{part}": float(i) for i, part in enumerate(STEP_PARTS, 1)}
    engine = fakes.FakeEngine(figures=stats, extra={"fallbacks": {"device": "the CPU instead of a GPU: there is none"}})
    async with serve(engine) as client:
        await client.post("/v1/chat/completions", json={"model": "fake", "messages": [{"role": "user", "content": "Hi"}]})
        found = await samples(client)
    for i, part in enumerate(STEP_PARTS, 1):
        assert found["portico_engine_step_seconds_total", "fake", part] == i
    assert {name: value for name, value in found.items() if name[0] == "portico_engine_fallbacks"} == {
        ("portico_engine_fallbacks", "device", "fake"): 1
    }


async def test_healthz_tells_the_memory_plan_and_the_fallbacks(serve: Any, fakes: Any) -> None:
    extra = {"memory": "weights 0.3 GiB", "fallbacks": {"device": "the CPU instead of a GPU: there is none"}}
    async with serve(fakes.FakeEngine(extra=extra)) as client:
        await client.post("/v1/chat/completions", json={"model": "fake", "messages": [{"role": "user", "content": "Hi"}]})
        about = (await client.get("/healthz")).json()["model"]
    assert (about["executor"], about["memory"], about["fallbacks"]) == ("torch", extra["memory"], extra["fallbacks"])


async def test_without_a_model_there_is_no_engine(serve: Any) -> None:
    async with serve(load=None) as client:
        found = await samples(client)
    assert not [name for name in found if name[0].startswith(("portico_engine", "portico_model"))]
