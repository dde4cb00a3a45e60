"""Ollama's API over a scripted engine: what goes to the engine, and the lines that come back."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from portico_engine import FinishReason

pytestmark = pytest.mark.anyio
USER = [{"role": "user", "content": "Hi"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CALL = '{"name":"get_weather","arguments":{"city":"Paris"}}'


async def lines(client: httpx2.AsyncClient, path: str, **body: Any) -> list[Any]:
    response = await client.post(path, json={"model": "fake", **body})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.text.splitlines()]


async def test_a_chat_streams_lines_and_the_last_says_why_it_ended(serve: Any) -> None:
    async with serve() as client:
        found = await lines(client, "/api/chat", messages=USER)
        whole = (await client.post("/api/chat", json={"model": "fake:latest", "messages": USER, "stream": False})).json()
    assert [line["message"]["content"] for line in found] == ["Hello", " there", ""]
    assert [line["done"] for line in found] == [False, False, True]
    assert (found[-1]["done_reason"], found[-1]["prompt_eval_count"], found[-1]["eval_count"]) == ("stop", 7, 5)
    assert whole["message"] == {"role": "assistant", "content": "Hello there"}
    assert whole["done"] is True


async def test_a_text_is_answered_or_goes_on_raw(serve: Any, fakes: Any) -> None:
    engine = fakes.FakeEngine(finish=FinishReason.LENGTH)
    async with serve(engine) as client:
        found = await lines(client, "/api/generate", prompt="Hi", system="Be brief.")
        raw = (
            await client.post("/api/generate", json={"model": "fake", "prompt": "Once", "raw": True, "stream": False})
        ).json()
    assert "".join(line["response"] for line in found) == raw["response"] == "Hello there"
    assert raw["done_reason"] == "length"
    assert [turn["role"] for turn in engine.rendered[0]] == ["system", "user"]
    assert bytes(engine.requests[1].prompt) == b"Once"


async def test_calls_come_whole_with_their_arguments_as_objects(serve: Any, fakes: Any) -> None:
    engine = fakes.FakeEngine(script=lambda request: list(CALL))
    turns = [
        *USER,
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"function": {"name": "get_weather", "arguments": {"city": "Rome"}}}],
        },
        {"role": "tool", "tool_name": "get_weather", "content": "sunny"},
    ]
    async with serve(engine) as client:
        found = await lines(client, "/api/chat", messages=turns, tools=[WEATHER, {"type": "web_search"}])
        whole = (
            await client.post("/api/chat", json={"model": "fake", "messages": USER, "tools": [WEATHER], "stream": False})
        ).json()
    for message in (found[0]["message"], whole["message"]):
        (call,) = message["tool_calls"]
        assert call["function"] == {"index": 0, "name": "get_weather", "arguments": {"city": "Paris"}}
    assert found[-1]["warnings"] == ["the tool of type 'web_search' is left out: it can't be run here"]
    assert [turn["content"] for turn in engine.rendered[0]][-2:] == [
        '{"name":"get_weather","arguments":{"city":"Rome"}}',
        "Result of get_weather:\nsunny",
    ]


async def test_options_and_a_format_reach_the_engine_and_the_rest_is_named(serve: Any, fakes: Any) -> None:
    engine = fakes.FakeEngine(script=lambda request: ['{"a":1}'])
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    options = {
        "temperature": 0.3,
        "top_k": 5,
        "num_predict": 7,
        "seed": 3,
        "repeat_penalty": 1.2,
        "stop": ["x"],
        "num_ctx": 4096,
    }
    async with serve(engine) as client:
        found = await lines(client, "/api/chat", messages=USER, format=schema, options=options, think=True, keep_alive="5m")
        await lines(client, "/api/chat", messages=USER, format="json", options={"num_predict": -1})
    first, second = engine.requests
    assert (first.max_tokens, first.stop, first.sampling.temperature, first.sampling.top_k) == (7, ("x",), 0.3, 5)
    assert (first.sampling.seed, first.sampling.repetition_penalty) == (3, 1.2)
    assert first.grammar is not None
    assert second.grammar is not None
    assert second.max_tokens > 1000
    assert set(found[-1]["warnings"]) == {
        "keep_alive has no effect here",
        "think has no effect here",
        "options.num_ctx has no effect here",
    }


async def test_log_probabilities_come_with_the_pieces_that_they_are_of(serve: Any) -> None:
    async with serve() as client:
        asked = {"messages": USER, "logprobs": True, "top_logprobs": 2}
        found = await lines(client, "/api/chat", **asked)
        whole = (await client.post("/api/chat", json={"model": "fake", "stream": False, **asked})).json()
        without = await lines(client, "/api/generate", prompt="Hi")
    assert ["".join(entry["token"] for entry in line["logprobs"]) for line in found[:-1]] == ["Hello", " there"]
    assert "logprobs" not in found[-1]
    assert "".join(entry["token"] for entry in whole["logprobs"]) == "Hello there"
    assert len(whole["logprobs"][0]["top_logprobs"]) == 2
    assert all("logprobs" not in line for line in without)


@pytest.mark.parametrize(("path", "body"), [("/api/chat", {"messages": []}), ("/api/chat", {}), ("/api/generate", {})])
async def test_a_request_for_nothing_loads_the_model(serve: Any, fakes: Any, path: str, body: dict[str, Any]) -> None:
    engine = fakes.FakeEngine()
    async with serve(engine) as client:
        found = (await client.post(path, json={"model": "fake:latest", **body})).json()
        unknown = await client.post(path, json={"model": "other", **body})
        (running,) = (await client.get("/api/ps")).json()["models"]
    assert (found["done"], found["done_reason"]) == (True, "load")
    assert unknown.status_code == 404
    assert (running["name"], running["context_length"]) == ("fake", 2000)
    assert engine.requests == []


async def test_the_model_is_listed_and_described(serve: Any) -> None:
    async with serve() as client:
        shown = (await client.post("/api/show", json={"model": "fake:latest"})).json()
        (listed,) = (await client.get("/api/tags")).json()["models"]
        assert (await client.get("/api/version")).json()["version"]
    assert listed["name"] == "fake"
    assert shown["capabilities"] == ["completion", "tools"]
    assert shown["model_info"]["llama.context_length"] == 2000


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("/api/chat", {"messages": USER, "top_logprobs": 21, "logprobs": True}, 400, "top_logprobs: "),
        (
            "/api/chat",
            {"messages": [{"role": "user", "content": "x", "images": ["aGk="]}]},
            400,
            "messages.0.images: this model takes text only",
        ),
        (
            "/api/chat",
            {"messages": USER, "options": {"temprature": 1}},
            400,
            "options.temprature: this field is not known here",
        ),
        ("/api/chat", {"messages": USER, "model": "other"}, 404, "the model 'other' does not exist"),
        ("/api/generate", {"prompt": "x", "suffix": "y"}, 400, "suffix: "),
        (
            "/api/generate",
            {"prompt": "x", "template": "{{ .Prompt }}"},
            400,
            "template: this field is not known here; leave it out",
        ),
        ("/api/generate", {"prompt": "x", "format": "yaml"}, 400, "format: "),
    ],
)
async def test_bad_input_is_named_in_ollamas_shape(
    serve: Any, path: str, body: dict[str, Any], status: int, message: str
) -> None:
    async with serve() as client:
        response = await client.post(path, json={"model": "fake", **body})
    assert response.status_code == status, response.text
    assert response.json()["error"].startswith(message)


async def test_an_error_in_mid_stream_is_a_line(serve: Any, fakes: Any) -> None:
    async with serve(fakes.FakeEngine(script=lambda request: ["a", RuntimeError("bad")])) as client:
        found = await lines(client, "/api/chat", messages=USER)
    assert "error" in found[-1]
