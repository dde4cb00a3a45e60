"""A model's adapters through every API: as MODEL:ADAPTER, by the field `adapter`, and in the list of models."""

from __future__ import annotations

from typing import Any

import pytest

from portico_engine import UnknownAdapter
from portico_gateway.http.generation.prompt import EXPLAINED

pytestmark = pytest.mark.anyio

BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hi"}]},
    "/v1/responses": {"input": "hi"},
    "/v1/messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 5},
}
SCHEMA = {"type": "object", "properties": {}}
TOOLS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"type": "function", "function": {"name": "now", "parameters": SCHEMA}},
    "/v1/responses": {"type": "function", "name": "now", "parameters": SCHEMA},
    "/v1/messages": {"name": "now", "input_schema": SCHEMA},
}
TOOL_CHOICES: dict[str, Any] = {"/v1/chat/completions": "none", "/v1/responses": "none", "/v1/messages": {"type": "none"}}
paths = pytest.mark.parametrize("path", BODIES)


@paths
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"model": "fake"}, None),
        ({"model": "fake:sql"}, "sql"),
        ({"model": "fake", "adapter": "sql"}, "sql"),
        ({"model": "fake:sql", "adapter": "sql"}, "sql"),
    ],
)
async def test_an_adapter_is_named_in_the_model_or_in_a_field(
    serve: Any, fakes: Any, path: str, stream: bool, asked: dict[str, str], expected: str | None
) -> None:
    engine = fakes.FakeEngine(loaded_adapters=["sql", "poet"])
    async with serve(engine) as client:
        response = await client.post(path, json={**BODIES[path], **asked, "stream": stream})
    assert response.status_code == 200
    assert [request.adapter for request in engine.requests] == [expected]
    assert f'"model":"{asked["model"]}"' in response.text.replace(": ", ":")


@paths
@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"model": "fake"}, "poet"),
        ({"model": "fake:sql"}, "sql"),
        ({"model": "fake:none"}, None),
        ({"model": "fake", "adapter": "none"}, None),
    ],
)
async def test_the_chosen_adapter_answers_where_a_request_names_none(
    serve: Any, fakes: Any, path: str, asked: dict[str, str], expected: str | None
) -> None:
    engine = fakes.FakeEngine(loaded_adapters=["sql", "poet"])
    async with serve(engine, adapter="poet") as client:
        response = await client.post(path, json={**BODIES[path], **asked})
    assert response.status_code == 200
    assert [request.adapter for request in engine.requests] == [expected]


@paths
@pytest.mark.parametrize(
    ("asked", "tools", "expected"),
    [
        ({"model": "fake"}, False, None),
        ({"model": "fake"}, True, "poet"),
        ({"model": "fake:poet"}, False, "poet"),
        ({"model": "fake", "adapter": "poet"}, False, "poet"),
    ],
)
async def test_an_adapter_that_was_trained_on_tools_answers_no_request_without_them_unless_it_is_named(
    serve: Any, fakes: Any, path: str, asked: dict[str, str], tools: bool, expected: str | None
) -> None:
    engine = fakes.FakeEngine(loaded_adapters=["sql", "poet"], adapter_prompts=EXPLAINED)
    body = {**BODIES[path], **asked, **({"tools": [TOOLS[path]], "tool_choice": TOOL_CHOICES[path]} if tools else {})}
    async with serve(engine, adapter="poet") as client:
        response = await client.post(path, json=body)
    assert response.status_code == 200, response.text
    assert [request.adapter for request in engine.requests] == [expected]


@paths
@pytest.mark.parametrize("asked", [{"model": "fake:nosuch"}, {"model": "fake", "adapter": "nosuch"}])
async def test_an_unknown_adapter_is_a_404_naming_those_that_exist(
    serve: Any, fakes: Any, path: str, asked: dict[str, str]
) -> None:
    engine = fakes.FakeEngine(loaded_adapters=["sql", "poet"])
    async with serve(engine) as client:
        response = await client.post(path, json={**BODIES[path], **asked})
    assert response.status_code == 404
    assert "no adapter is called 'nosuch'; loaded are sql, poet" in response.json()["error"]["message"]
    assert not engine.requests


@paths
async def test_one_that_is_unloaded_before_its_request_begins_is_a_404_too(serve: Any, fakes: Any, path: str) -> None:
    class Late(fakes.FakeEngine):  # type: ignore[name-defined, misc]
        def submit(self, request: Any) -> None:
            raise UnknownAdapter(request.adapter, ["poet"])

    async with serve(Late(loaded_adapters=["sql"])) as client:
        response = await client.post(path, json={**BODIES[path], "model": "fake:sql"})
    assert response.status_code == 404
    assert "no adapter is called 'sql'; loaded are poet" in response.json()["error"]["message"]


async def test_two_adapters_in_one_request_are_a_400(serve: Any, fakes: Any) -> None:
    async with serve(fakes.FakeEngine(loaded_adapters=["sql", "poet"])) as client:
        body = {**BODIES["/v1/chat/completions"], "model": "fake:sql", "adapter": "poet"}
        response = await client.post("/v1/chat/completions", json=body)
    assert response.status_code == 400
    assert response.json()["error"]["message"] == "adapter is 'poet', but model names 'sql'; give one"
    assert response.json()["error"]["param"] == "adapter"


@pytest.mark.parametrize("name", ["fake:", "other:sql", "fakesql", ":sql"])
async def test_what_only_looks_like_an_adapter_is_an_unknown_model(serve: Any, fakes: Any, name: str) -> None:
    async with serve(fakes.FakeEngine(loaded_adapters=["sql"])) as client:
        body = {**BODIES["/v1/chat/completions"], "model": name}
        response = await client.post("/v1/chat/completions", json=body)
    assert response.status_code == 404
    assert f"the model {name!r} does not exist; this server has 'fake'" in response.json()["error"]["message"]


async def test_the_list_of_models_has_each_adapter_beside_its_model(serve: Any, fakes: Any) -> None:
    async with serve(fakes.FakeEngine(loaded_adapters=["sql", "poet"])) as client:
        await client.post("/v1/chat/completions", json={**BODIES["/v1/chat/completions"], "model": "fake"})  # it is loaded
        listed = (await client.get("/v1/models")).json()["data"]
        assert [model["id"] for model in listed] == ["fake", "fake:sql", "fake:poet"]
        assert [model.get("parent") for model in listed] == [None, "fake", "fake"]
        assert (await client.get("/v1/models/fake:sql")).json() == listed[1]
        missing = await client.get("/v1/models/fake:nosuch")
    assert missing.status_code == 404
    assert "loaded are sql, poet" in missing.json()["error"]["message"]


async def test_counting_tokens_takes_an_adapter(serve: Any, fakes: Any) -> None:
    async with serve(fakes.FakeEngine(loaded_adapters=["sql"])) as client:
        body = {"messages": BODIES["/v1/messages"]["messages"]}
        good = await client.post("/v1/messages/count_tokens", json={**body, "model": "fake:sql"})
        bad = await client.post("/v1/messages/count_tokens", json={**body, "model": "fake:nosuch"})
    assert (good.status_code, bad.status_code) == (200, 404)
