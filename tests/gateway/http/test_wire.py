"""A sampling parameter's range is the engine's, whichever API the value comes by."""

from __future__ import annotations

import json
import math
import time
from dataclasses import fields
from typing import Any

import pytest
from tests.gateway.http.fake_engine import FakeEngine

from portico_engine import SAMPLING_RANGES, RequestError, SamplingParams
from portico_engine.sampling import validate

pytestmark = pytest.mark.anyio

USER = [{"role": "user", "content": "Hi"}]
APIS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "fake", "messages": USER},
    "/v1/responses": {"model": "fake", "input": "Hi"},
    "/v1/messages": {"model": "fake", "messages": USER, "max_tokens": 5},
}
WHOLE = ("top_k", "seed", "logprobs", "min_tokens", "dry_allowed_length", "dry_penalty_last_n")
NO_NUMBERS = ("ignore_eos", "dry_sequence_breakers")
SENT_AS = {"logprobs": "top_logprobs"}
PARTIAL = {"/v1/responses": {"temperature", "top_p", "logprobs"}, "/v1/messages": {"temperature", "top_p", "top_k"}}
VOCABULARY = FakeEngine().info.vocab_size


def candidates(name: str) -> list[Any]:
    """Values at, beside and far beyond the ends of a range."""
    if name == "logit_bias":
        tokens = [{str(token): 1.0} for token in (-1, 0, VOCABULARY - 1, VOCABULARY)]
        return [*tokens, *({"65": bias} for bias in (-100.0, 100.0))]
    if name == "stop_token_ids":
        return [[token] for token in (-1, 0, VOCABULARY - 1)]  # what is beyond, a real engine says
    allowed = SAMPLING_RANGES[name]
    ends: list[Any] = [end for end in (allowed.minimum, allowed.maximum) if end is not None]
    if name in WHOLE:
        return [value for end in ends for value in (end - 1, end, end + 1)]
    return [*(value for end in ends for value in (end - 0.01, end, end + 0.01))]


def engine_refuses(name: str, value: Any) -> bool:
    given = tuple((int(token), bias) for token, bias in value.items()) if name == "logit_bias" else value
    try:
        validate(SamplingParams(**{name: given}), VOCABULARY)
    except RequestError:
        return True
    return False


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (path, each.name)
        for path in APIS
        for each in fields(SamplingParams)
        if each.name in PARTIAL.get(path, {each.name}) and each.name not in NO_NUMBERS
    ],
)
async def test_http_refuses_exactly_what_the_engine_refuses(serve: Any, path: str, name: str) -> None:
    sent_as = SENT_AS.get(name, name)
    wanted = {"logprobs": True} if name == "logprobs" and path == "/v1/chat/completions" else {}
    async with serve() as client:
        for value in candidates(name):
            response = await client.post(path, json={**APIS[path], **wanted, sent_as: value})
            assert (response.status_code == 400) is engine_refuses(name, value), (value, response.text)
            if response.status_code == 400:
                assert response.json()["error"]["message"].startswith(sent_as)


@pytest.mark.parametrize("path", APIS)
@pytest.mark.parametrize("name", ["temperature", "top_p", "logit_bias"])
async def test_what_is_not_finite_is_refused_however_it_is_written(serve: Any, path: str, name: str) -> None:
    if name in PARTIAL.get(path, {name}):
        async with serve() as client:
            for value in (math.nan, math.inf, -math.inf, "NaN", "Infinity", "-inf", "1e999"):
                given = {"65": value} if name == "logit_bias" else value
                body = json.dumps({**APIS[path], name: given})
                response = await client.post(path, content=body, headers={"content-type": "application/json"})
                assert response.status_code == 400
                message = response.json()["error"]["message"]
                assert message.startswith(name if isinstance(value, str) else "the body is not valid JSON")


async def test_many_fields_without_effect_are_passed_over_in_linear_time_and_named_in_short(serve: Any) -> None:
    body = {
        "model": "fake",
        "messages": USER,
        **{f"client_{'a' * (each % 40)}{chr(97 + each % 26)}{'b' * (each // 40)}": 1 for each in range(4000)},
    }
    async with serve() as client:
        begun = time.process_time()
        response = await client.post("/v1/chat/completions", json=body)
    assert time.process_time() - begun < 20
    assert response.status_code == 200, response.text
    assert len(response.json()["warnings"]) == 21
    assert response.json()["warnings"][-1].endswith("more fields have no effect here")
    assert len(response.headers["x-portico-warnings"]) <= 2000
