"""Texts as tokens and back, over an engine whose tokens are bytes."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "body", [{"prompt": "hi"}, {"content": "hi"}, {"model": "fake", "prompt": "hi", "add_special_tokens": False}]
)
async def test_a_text_is_its_tokens(serve: Any, body: dict[str, Any]) -> None:
    async with serve() as client:
        found = (await client.post("/tokenize", json=body)).json()
        back = (await client.post("/detokenize", json={"tokens": found["tokens"]})).json()
    assert found == {"count": 2, "max_model_len": 2000, "tokens": [104, 105]}
    assert back == {"prompt": "hi", "content": "hi"}


async def test_a_conversation_is_its_prompt_and_pieces_are_shown_where_asked(serve: Any, fakes: Any) -> None:
    engine = fakes.FakeEngine()
    async with serve(engine) as client:
        turns = (await client.post("/tokenize", json={"messages": [{"role": "user", "content": "a"}]})).json()
        pieces = (await client.post("/tokenize", json={"content": "é", "with_pieces": True, "return_token_strs": True})).json()
    assert turns["count"] == len("<user>a")
    assert pieces["tokens"] == [{"id": 0xC3, "piece": "\ufffd"}, {"id": 0xA9, "piece": "\ufffd"}]
    assert engine.requests == []


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("/tokenize", {}, 400, "give one of prompt, content and messages"),
        ("/tokenize", {"prompt": "a", "content": "b"}, 400, "give one of"),
        ("/tokenize", {"prompt": "a", "model": "other"}, 404, "the model 'other' does not exist"),
        ("/tokenize", {"prompt": "a", "model": "fake:x"}, 400, "model: an adapter can't be named here; leave out ':x'"),
        ("/detokenize", {"tokens": [1, 256]}, 400, "tokens.1: there is no token 256; they go from 0 to 255"),
        ("/detokenize", {"tokens": [-1]}, 400, "tokens.0: there is no token -1"),
        ("/detokenize", {"tokens": ["x"]}, 400, "tokens.0: "),
    ],
)
async def test_bad_input_is_named(serve: Any, path: str, body: dict[str, Any], status: int, message: str) -> None:
    async with serve() as client:
        response = await client.post(path, json=body)
    assert response.status_code == status
    assert response.json()["error"]["message"].startswith(message)
