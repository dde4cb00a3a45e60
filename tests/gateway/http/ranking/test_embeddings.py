"""POST /v1/embeddings: every form of input and output, and what is refused."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.anyio


@pytest.fixture
def engine(fakes: Any) -> Any:
    return fakes.FakeEngine(extra={"embedding_size": 4}, context_length=50)


async def ask(serve: Any, engine: Any, **body: Any) -> Any:
    async with serve(engine) as client:
        return await client.post("/v1/embeddings", json={"model": "fake", **body})


def unit(*numbers: float) -> list[float]:
    vector = np.array(numbers, np.float32)
    return list(vector / np.linalg.norm(vector))


async def test_one_text_is_one_vector_of_length_one_with_its_usage(serve: Any, engine: Any) -> None:
    answer = (await ask(serve, engine, input="abc")).json()
    assert answer["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    assert (answer["object"], answer["model"]) == ("list", "fake")
    (entry,) = answer["data"]
    assert (entry["object"], entry["index"]) == ("embedding", 0)
    assert entry["embedding"] == pytest.approx(unit(3, ord("a"), 0, 0))


@pytest.mark.parametrize("given", [["ab", "c"], [[97, 98], [99]]], ids=["texts", "tokens"])
async def test_several_inputs_come_back_in_order(serve: Any, engine: Any, given: Any) -> None:
    answer = (await ask(serve, engine, input=given)).json()
    assert [entry["index"] for entry in answer["data"]] == [0, 1]
    assert answer["data"][1]["embedding"] == pytest.approx(unit(1, 99, 0, 0))
    assert answer["usage"]["prompt_tokens"] == 3


async def test_one_list_of_tokens_is_one_text(serve: Any, engine: Any) -> None:
    assert len((await ask(serve, engine, input=[97, 98])).json()["data"]) == 1


async def test_base64_holds_the_same_numbers_as_float32(serve: Any, engine: Any) -> None:
    (entry,) = (await ask(serve, engine, input="abc", encoding_format="base64")).json()["data"]
    assert np.frombuffer(base64.b64decode(entry["embedding"]), "<f4") == pytest.approx(unit(3, ord("a"), 0, 0))


async def test_fewer_dimensions_are_the_first_ones_at_length_one(serve: Any, engine: Any) -> None:
    (entry,) = (await ask(serve, engine, input="abc", dimensions=2)).json()["data"]
    assert entry["embedding"] == pytest.approx(unit(3, ord("a")))


async def test_the_pooling_is_the_request_s(serve: Any, engine: Any) -> None:
    (entry,) = (await ask(serve, engine, input="abc", pooling="last")).json()["data"]
    assert entry["embedding"] == pytest.approx(unit(3, ord("a"), 4, 0))


async def test_many_texts_go_to_the_engine_in_groups(serve: Any, engine: Any) -> None:
    answer = (await ask(serve, engine, input=["x"] * 70)).json()
    assert engine.embedded == [32, 32, 6]
    assert [entry["index"] for entry in answer["data"]] == list(range(70))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": [""]}, "input"),
        ({"input": ["a", 1]}, "input"),
        ({"input": ["x"] * 2049}, "2048"),
        ({"input": [-1]}, "input"),
        ({"input": "x", "dimensions": 5}, "dimensions is 5; the model fake has 4"),
        ({"input": "x", "dimensions": 0}, "dimensions"),
        ({"input": "x", "encoding_format": "int8"}, "encoding_format"),
        ({"input": "x" * 51}, "51 tokens, but the model fake reads 50 at once"),
        ({"input": "x", "pooling": "median"}, "pooling"),
        ({"input": "x", "inptu": "y"}, "inptu"),
    ],
)
async def test_what_is_wrong_is_named(serve: Any, engine: Any, body: Any, said: str) -> None:
    response = await ask(serve, engine, **body)
    assert response.status_code in (400, 422)
    assert said in response.json()["error"]["message"]


async def test_a_model_without_embeddings_says_so(serve: Any, fakes: Any) -> None:
    response = await ask(serve, fakes.FakeEngine(), input="x")
    assert (response.status_code, response.json()["error"]["param"]) == (400, "model")
    assert "makes no embeddings" in response.json()["error"]["message"]
