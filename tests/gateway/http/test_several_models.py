"""Several models behind every API: each in a process of its own, loaded when it is named, told by all its names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.engine.tiny_bert import write_tiny_bert
from tests.engine.tiny_model import write_tiny_llama

from portico_engine import AsyncEngine
from portico_gateway.assembly.serve import _pool
from portico_gateway.config.portico_config import PorticoConfig
from portico_gateway.http.app import create_app
from portico_gateway.mcp.server import GatewayServer
from portico_gateway.model.host import ModelHost
from portico_gateway.upstreams.upstreams import Upstreams
from portico_servers.common.transport import security

pytestmark = pytest.mark.anyio
HELLO = [{"role": "user", "content": "hello"}]


@asynccontextmanager
async def serving(config: PorticoConfig, default: Any) -> AsyncIterator[httpx2.AsyncClient]:
    async def start(_progress: Any) -> Any:
        return await AsyncEngine.open(lambda _: default)

    pool = _pool(ModelHost("fake", start), config)
    upstreams = Upstreams([])
    app = create_app(upstreams, GatewayServer(upstreams), pool, security=security("127.0.0.1", 8630), load_timeout=60)
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8630", timeout=60) as client,
    ):
        yield client


@pytest.fixture
def config(tmp_path: Path) -> PorticoConfig:
    tiny, bert = write_tiny_llama(tmp_path / "tiny.gguf"), write_tiny_bert(tmp_path / "bert.gguf")
    models = {
        "tiny": {"path": str(tiny), "aliases": ["gpt-4"], "context": 128, "executor": "torch-cpu", "keep_alive": "1h"},
        "embed": {"path": str(bert)},
        "gone": {"path": str(tmp_path / "gone.gguf")},
    }
    return PorticoConfig.model_validate({"models": models, "engine": {"models_gib": 4}})


async def test_the_model_s_name_selects_it_in_every_api(config: PorticoConfig, fakes: Any) -> None:
    async with serving(config, fakes.FakeEngine()) as client:
        listed = (await client.get("/v1/models")).json()["data"]
        assert [(each["id"], each["status"]["value"]) for each in listed][1:] == [
            ("tiny", "unloaded"),
            ("embed", "unloaded"),
            ("gone", "unloaded"),
        ]
        assert listed[1]["aliases"] == ["gpt-4"]
        asked = {"max_tokens": 3, "temperature": 0}
        chat = await client.post("/v1/chat/completions", json={"model": "gpt-4", "messages": HELLO, **asked})
        assert chat.json()["usage"]["completion_tokens"] == 3
        text = await client.post("/v1/completions", json={"model": "tiny", "prompt": "hello", **asked})
        assert text.json()["usage"]["prompt_tokens"] == 1
        message = await client.post("/v1/messages", json={"model": "tiny", "messages": HELLO, "max_tokens": 3})
        assert message.status_code == 200
        found = await client.post("/v1/embeddings", json={"model": "embed", "input": ["the cat", "the mat"]})
        assert [len(each["embedding"]) for each in found.json()["data"]] == [32, 32]
        other = await client.post("/v1/chat/completions", json={"model": "fake", "messages": HELLO})
        assert other.json()["choices"][0]["message"]["content"] == "Hello there"
        states = {each["id"]: each["status"]["value"] for each in (await client.get("/v1/models")).json()["data"]}
        assert states == {"fake": "ready", "tiny": "ready", "embed": "ready", "gone": "unloaded"}
        health = (await client.get("/healthz")).json()
        assert [each["id"] for each in health["models"]] == ["tiny", "embed", "gone"]
        assert [each.get("executor") for each in health["models"]] == ["torch", "llama_cpp", None]
        metrics = (await client.get("/metrics")).text
        assert 'portico_model_ready{model="gone"} 0.0' in metrics
        assert 'portico_tokens_generated_total{model="tiny"} 9.0' in metrics
        assert 'portico_kv_blocks{model="tiny",owner="caller",state="cached"}' in metrics
        assert 'model="fake"' in metrics


async def test_a_stream_of_a_model_on_demand_keeps_it_until_its_end(config: PorticoConfig, fakes: Any) -> None:
    body = {"model": "tiny", "messages": HELLO, "max_tokens": 5, "stream": True}
    async with serving(config, fakes.FakeEngine()) as client:
        answer = await client.post("/v1/chat/completions", json=body)
        assert answer.text.endswith("data: [DONE]\n\n")


async def test_an_unknown_model_is_answered_with_those_there_are(config: PorticoConfig, fakes: Any) -> None:
    async with serving(config, fakes.FakeEngine()) as client:
        for path, body in (
            ("/v1/chat/completions", {"messages": HELLO}),
            ("/v1/completions", {"prompt": "x"}),
            ("/v1/embeddings", {"input": "x"}),
            ("/v1/responses", {"input": "x"}),
            ("/v1/messages", {"messages": HELLO, "max_tokens": 3}),
        ):
            answer = await client.post(path, json={"model": "gpt-9", **body})
            assert answer.status_code == 404
            assert "this server has 'fake', 'tiny', 'embed', 'gone'" in answer.json()["error"]["message"]


async def test_what_a_model_can_t_do_is_said(config: PorticoConfig, fakes: Any) -> None:
    async with serving(config, fakes.FakeEngine()) as client:
        answer = await client.post("/v1/completions", json={"model": "embed", "prompt": "the cat"})
        assert answer.status_code == 400
        assert "makes embeddings (/v1/embeddings) and writes no text" in answer.json()["error"]["message"]
        answer = await client.post("/v1/chat/completions", json={"model": "gone", "messages": HELLO})
        assert answer.status_code == 503
        assert "no model file at" in answer.json()["error"]["message"]


async def test_further_sampling_reaches_the_engine(serve: Any, fakes: Any) -> None:
    engine = fakes.FakeEngine()
    more = {"min_tokens": 2, "ignore_eos": True, "stop_token_ids": [7], "dry_multiplier": 0.8, "xtc_probability": 0.5}
    async with serve(engine) as client:
        body = {"model": "fake", "messages": HELLO, "preset": "creative", "chat_template_kwargs": {"enable_thinking": False}}
        assert (await client.post("/v1/chat/completions", json={**body, **more})).status_code == 200
        wrong = await client.post("/v1/chat/completions", json={**body, "preset": "wild"})
        assert wrong.status_code == 400
    sampling = engine.requests[0].sampling
    assert (sampling.min_tokens, sampling.ignore_eos, sampling.stop_token_ids) == (2, True, (7,))
    assert (sampling.dry_multiplier, sampling.xtc_probability, sampling.dry_base) == (0.8, 0.5, 1.75)
    assert (sampling.temperature, sampling.top_p, sampling.min_p) == (1.0, 0.95, 0.02)
    assert engine.variables == [{"enable_thinking": False}]
