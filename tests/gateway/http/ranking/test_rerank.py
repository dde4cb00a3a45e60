"""Documents by a query, over an engine that finds a query likely behind a document that has its letters."""

from __future__ import annotations

import math
from typing import Any

import pytest

pytestmark = pytest.mark.anyio
DOCUMENTS = ["about dogs", {"text": "zzz quartz"}, "xyz"]


async def test_only_the_best_are_told_where_few_are_wanted(serve: Any) -> None:
    asked = {"query": "zzz", "documents": DOCUMENTS, "top_n": 1, "return_documents": False}
    async with serve() as client:
        (result,) = (await client.post("/v1/rerank", json=asked)).json()["results"]
    assert "document" not in result
    assert result["index"] in (1, 2)


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank", "/rerank"])
async def test_each_clients_path_answers(serve: Any, path: str) -> None:
    async with serve() as client:
        found = await client.post(path, json={"query": "zzz", "documents": DOCUMENTS})
        wrong = await client.post(path, json={"query": "zzz"})
    assert len(found.json()["results"]) == 3
    assert wrong.json()["error"]["message"] == "documents: this field is required"


async def test_scores_are_means_of_probabilities_in_falling_order(serve: Any) -> None:
    async with serve() as client:
        found = (await client.post("/v1/rerank", json={"query": "jjj", "documents": ["abc", "jjj"]})).json()
    assert [result["index"] for result in found["results"]] == [1, 0]
    assert found["results"][0]["relevance_score"] == pytest.approx(math.exp(-0.1))
    assert found["results"][1]["relevance_score"] == pytest.approx(math.exp(-(0.1 + 3 * 5) / 4))
    assert found["results"][0]["document"] == {"text": "jjj"}
    assert found["usage"]["total_tokens"] > 0


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"query": "a", "documents": []}, "documents: "),
        ({"query": "", "documents": ["a"]}, "query: "),
        ({"query": "a", "documents": ["a"], "top_n": 0}, "top_n: "),
        ({"query": "a", "documents": ["a"], "overlap": 3}, "overlap: this field is not known here; leave it out"),
        ({"query": "a", "documents": ["b", "x" * 3000]}, "documents.1: "),
    ],
)
async def test_bad_input_is_named(serve: Any, body: dict[str, Any], message: str) -> None:
    async with serve() as client:
        response = await client.post("/v1/rerank", json=body)
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith(message)
