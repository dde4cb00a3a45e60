"""OpenAI's older completions over a scripted engine."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

pytestmark = pytest.mark.anyio


async def post(client: httpx2.AsyncClient, **body: Any) -> httpx2.Response:
    return await client.post("/v1/completions", json={"model": "fake", "prompt": "Once", **body})


async def ask(client: httpx2.AsyncClient, **body: Any) -> Any:
    response = await post(client, **body)
    assert response.status_code == 200, response.text
    return response.json()


async def stream(client: httpx2.AsyncClient, **body: Any) -> list[Any]:
    response = await post(client, stream=True, **body)
    assert response.status_code == 200, response.text
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


async def test_a_text_goes_on_without_a_template(serve: Any, fakes: Any) -> None:
    engine = fakes.FakeEngine()
    async with serve(engine) as client:
        answer = await ask(client, max_tokens=9)
        await ask(client, prompt=[79, 110])
    assert answer["id"].startswith("cmpl-")
    assert answer["object"] == "text_completion"
    assert answer["choices"] == [{"text": "Hello there", "finish_reason": "stop", "logprobs": None, "index": 0}]
    assert answer["usage"]["total_tokens"] == 12
    assert [bytes(request.prompt) for request in engine.requests] == [b"Once", b"On"]
    assert [request.max_tokens for request in engine.requests] == [9, 16]
    assert engine.rendered == []


async def test_prompts_and_answers_are_choices_in_order_with_one_usage(serve: Any, fakes: Any) -> None:
    engine = fakes.FakeEngine(
        script=lambda request: [f"{bytes(request.prompt).decode()}{'2' if 'choice' in request.id else '1'}"]
    )
    async with serve(engine) as client:
        answer = await ask(client, prompt=["a", "b"], n=2, echo=True)
        chunks = await stream(client, prompt=["a", "b"], n=2, echo=True, stream_options={"include_usage": True})
    assert [choice["text"] for choice in answer["choices"]] == ["aa1", "aa2", "bb1", "bb2"]
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2, 3]
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == (14, 20)
    texts = ["", "", "", ""]
    for chunk in chunks[:-1]:
        assert chunk["usage"] is None
        texts[chunk["choices"][0]["index"]] += chunk["choices"][0]["text"]
    assert texts == ["aa1", "aa2", "bb1", "bb2"]
    assert (chunks[-1]["choices"], chunks[-1]["usage"]) == ([], answer["usage"])


async def test_log_probabilities_say_where_their_tokens_begin(serve: Any) -> None:
    async with serve() as client:
        whole = (await ask(client, logprobs=2, echo=True))["choices"][0]["logprobs"]
        chunks = await stream(client, logprobs=2, echo=True)
    assert "".join(whole["tokens"]) == "Hello there"
    assert whole["text_offset"] == list(range(4, 15))
    assert whole["token_logprobs"] == [-0.5] * 11
    assert len(whole["top_logprobs"][0]) == 2
    streamed = [chunk["choices"][0]["logprobs"] for chunk in chunks if chunk["choices"][0]["logprobs"]]
    assert [at for each in streamed for at in each["text_offset"]] == whole["text_offset"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"prompt": []}, "prompt"),
        ({"prompt": ["x"] * 17}, "prompt"),
        ({"prompt": ["x"] * 9, "n": 2}, "prompts times n is at most 16"),
        ({"n": 0}, "n: "),
        ({"n": 17}, "n: "),
        ({"best_of": 3}, "best_of must be what n is"),
        ({"suffix": "end"}, "suffix: this field is not known here; leave it out"),
        ({"prompt": [999]}, "token"),
        ({"prompt": "x" * 3000}, "the prompt has 3000 tokens"),
        ({"grammar": "root ::= ("}, "line 1"),
    ],
)
async def test_bad_input_is_named(serve: Any, fakes: Any, body: dict[str, Any], message: str) -> None:
    async with serve() as client:
        response = await post(client, **body)
    assert response.status_code == 400, response.text
    assert message in response.json()["error"]["message"]
