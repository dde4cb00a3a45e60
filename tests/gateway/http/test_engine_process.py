"""HTTP over an engine in a child process that crashes: one error of its own kind, and then everything goes on."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.engine.process import process_loads as loads

from portico_engine import EngineProcess

pytestmark = pytest.mark.anyio

ASKED = {"model": "fake", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 20, "temperature": 0}


async def test_a_crash_is_a_503_that_says_so_and_the_next_request_works(serve: Any, tmp_path: Path) -> None:
    start = partial(EngineProcess.open, partial(loads.load_crashing_once, tmp_path / "crashed"))
    async with serve(start=start) as client:
        response = await client.post("/v1/chat/completions", json=ASKED)
        assert response.status_code == 503
        assert response.headers["retry-after"] == "5"
        assert response.json()["error"] == {
            "message": "the engine's process crashed (signal 11: segmentation fault); it is started again, so try again soon",
            "type": "server_error",
            "param": None,
            "code": "engine_died",
        }
        response = await client.post("/v1/chat/completions", json=ASKED)
        assert response.status_code == 200
        assert response.json()["usage"]["completion_tokens"] > 0
        health = (await client.get("/healthz")).json()
        assert (health["status"], health["model"]["restarts"]) == ("ok", 1)
        text = (await client.get("/metrics")).text
    samples = {s.name: s.value for family in text_string_to_metric_families(text) for s in family.samples}
    assert samples["portico_engine_restarts_total"] == 1
    assert samples["portico_model_ready"] == 1


async def test_a_stream_that_a_crash_cuts_ends_with_an_error_event(serve: Any) -> None:
    async with serve(start=partial(EngineProcess.open, loads.load_crashing)) as client:
        response = await client.post("/v1/chat/completions", json={**ASKED, "stream": True})
    events = [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")]
    assert events[0]["choices"][0]["delta"]["role"] == "assistant"
    assert events[-1]["error"]["code"] == "engine_died"
    assert response.text.endswith("data: [DONE]\n\n")


async def test_streams_of_several_clients_come_from_one_child(serve: Any) -> None:
    async with serve(start=partial(EngineProcess.open, loads.load_plain)) as client:
        answers = await asyncio.gather(*(client.post("/v1/chat/completions", json=ASKED) for _ in range(4)))
        texts = {answer.json()["choices"][0]["message"]["content"] for answer in answers}
        assert [answer.status_code for answer in answers] == [200] * 4
        assert len(texts) == 1


async def test_logprobs_name_the_childs_tokens(serve: Any) -> None:
    async with serve(start=partial(EngineProcess.open, loads.load_plain)) as client:
        response = await client.post("/v1/chat/completions", json={**ASKED, "logprobs": True})
    (choice,) = response.json()["choices"]
    said = bytes(b for entry in choice["logprobs"]["content"] for b in entry["bytes"])
    assert said.decode(errors="replace") == choice["message"]["content"]
