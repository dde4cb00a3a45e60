"""Model servers in the engine's place, behind the APIs: what they are asked, and that nothing of their answers is believed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx2
import pytest
from tests.gateway.model.remote.scripted_server import ScriptedServer, answer, chunk

from portico_gateway.model.remote.engine import RemoteEngine
from portico_gateway.model.remote.pool import rank
from portico_gateway.model.remote.prompt import RemotePrompt

pytestmark = pytest.mark.anyio
ONE, TWO = "http://one.example/v1", "http://two.example/v1"
USER = [{"role": "user", "content": "Hi"}]
ADD: Any = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Adds.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}},
            "required": ["a"],
            "additionalProperties": False,
        },
    },
}
OF_SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": ADD["function"]["parameters"]}}
CALL = '{"name":"add","arguments":{"a":1}}'
Serving = Callable[..., AbstractAsyncContextManager[httpx2.AsyncClient]]


@pytest.fixture
def remote(serve: Any) -> Serving:
    """`async with remote(server, ...) as client:`, the servers at ONE, TWO."""

    def serving(*servers: ScriptedServer, **options: Any) -> AbstractAsyncContextManager[httpx2.AsyncClient]:
        transports = dict(zip((ONE, TWO), servers, strict=False))

        async def start(progress: Any) -> RemoteEngine:
            return await RemoteEngine.open([*transports], "secret", transports=transports, **options)

        found: AbstractAsyncContextManager[httpx2.AsyncClient] = serve(start=start)
        return found

    return serving


async def chat(client: httpx2.AsyncClient, status: int = 200, **more: Any) -> Any:
    response = await client.post("/v1/chat/completions", json={"model": "fake", "messages": USER, **more})
    assert response.status_code == status, response.text
    return response.json()


def fails(*errors: Any) -> Callable[[Mapping[str, Any]], Any]:
    """These, one a request, then a whole answer."""
    left = list(errors)
    return lambda body: left.pop(0) if left else answer("Hello")


# -- what is asked


async def test_a_chat_is_asked_of_the_server_and_told_as_ours(remote: Serving) -> None:
    server = ScriptedServer()
    async with remote(server) as client:
        found = await chat(client, temperature=0.5, top_k=3, max_tokens=20, stop=["x"], seed=7)
        streamed = await client.post("/v1/chat/completions", json={"model": "fake", "messages": USER, "stream": True})
    assert found["choices"][0]["message"]["content"] == "Hello there"
    assert (found["usage"]["prompt_tokens"], found["usage"]["completion_tokens"]) == (30, 4)
    assert found["usage"]["prompt_tokens_details"]["cached_tokens"] == 20
    body = server.bodies[0]
    assert (body["model"], body["messages"], body["stream"]) == ("big-model", USER, True)
    assert (body["temperature"], body["top_k"], body["max_tokens"], body["stop"], body["seed"]) == (0.5, 3, 20, ["x"], 7)
    assert "grammar" not in body
    assert set(server.keys) == {"Bearer secret"}
    texts = [
        json.loads(line[6:])["choices"][0]["delta"].get("content") for line in streamed.text.splitlines() if "delta" in line
    ]
    assert [text for text in texts if text] == ["Hello", " there"]


async def test_what_few_servers_know_is_sent_where_it_is_asked_for(remote: Serving) -> None:
    server = ScriptedServer()
    asked = {
        "min_tokens": 2,
        "ignore_eos": True,
        "stop_token_ids": [7],
        "dry_multiplier": 0.8,
        "xtc_probability": 0.5,
        "chat_template_kwargs": {"enable_thinking": False},
    }
    async with remote(server) as client:
        await chat(client)
        await chat(client, **asked)
    plain, full = server.bodies
    assert not asked.keys() & plain.keys()
    assert {name: full[name] for name in asked} == asked
    assert full["xtc_threshold"] == 0.1


async def test_every_api_is_answered_by_it(remote: Serving) -> None:
    async with remote(ScriptedServer()) as client:
        response = await client.post("/v1/responses", json={"model": "fake", "input": "Hi"})
        message = await client.post("/v1/messages", json={"model": "fake", "messages": USER, "max_tokens": 9})
        ollama = await client.post("/api/chat", json={"model": "fake", "messages": USER, "stream": False})
        text = await client.post("/v1/completions", json={"model": "fake", "prompt": "Once"})
    assert response.json()["output"][0]["content"][0]["text"] == "Hello there"
    assert message.json()["content"][0]["text"] == "Hello there"
    assert ollama.json()["message"]["content"] == "Hello there"
    assert text.json()["choices"][0]["text"] == "Hello there"


@pytest.mark.parametrize(
    ("owner", "field"),
    [("llamacpp", "grammar"), ("vllm", "structured_outputs"), ("sglang", "ebnf"), ("somebody", "response_format")],
)
async def test_prompt_and_grammar_are_ours_in_the_form_that_the_server_takes(remote: Serving, owner: str, field: str) -> None:
    models = {"data": [{"id": "big-model", "owned_by": owner}]}
    server = ScriptedServer(lambda body: answer(CALL), models=models)
    async with remote(server) as client:
        found = await chat(client, tools=[ADD], tool_choice="required")
    assert found["choices"][0]["message"]["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"a":1}'}
    body = server.bodies[0]
    assert "add" in body["messages"][0]["content"]
    assert "tools" not in body
    sent = json.dumps(body[field])
    assert "add" in sent
    assert ("::=" in sent) == (field != "response_format")


async def test_a_form_may_be_configured(remote: Serving) -> None:
    server = ScriptedServer(lambda body: answer('{"a": 1}'))
    async with remote(server, form="none") as client:
        found = await chat(client, response_format=OF_SCHEMA)
    assert json.loads(found["choices"][0]["message"]["content"]) == {"a": 1}
    assert not {"grammar", "response_format", "structured_outputs"} & set(server.bodies[0])


# -- what is not believed


@pytest.mark.parametrize(
    ("said", "asked", "wrong"),
    [
        ("Sure, I add.", {"tools": [ADD], "tool_choice": "required"}, "no tool is called"),
        ('{"name":"add","arguments":{"a":"x"}}', {"tools": [ADD]}, "breaks its schema at /a"),
        ('{"name":"rm","arguments":{"a":1}}', {"tools": [ADD]}, "no tool is named 'rm'"),
        ('{"name":"add","arguments":{"a":', {"tools": [ADD]}, "broken off"),
        ('{"a":"x"}', {"response_format": OF_SCHEMA}, "breaks its schema"),
        ("maybe", {"grammar": 'root ::= "yes" | "no"'}, "does not follow the grammar"),
    ],
)
async def test_a_server_that_lies_about_its_grammar_is_asked_again_and_then_an_error(
    remote: Serving, said: str, asked: dict[str, Any], wrong: str
) -> None:
    server = ScriptedServer(lambda body: answer(said))
    async with remote(server) as client:
        found = await chat(client, 502, **asked)
        streamed = await client.post("/v1/chat/completions", json={"model": "fake", "messages": USER, "stream": True, **asked})
    assert found["error"]["code"] == "grammar_not_enforced"
    assert wrong in found["error"]["message"]
    assert len(server.bodies) == 4
    assert "not valid" in server.bodies[1]["messages"][-1]["content"]
    assert "grammar_not_enforced" in streamed.text
    assert "tool_calls" not in streamed.text, "nothing of it was told"


async def test_a_call_that_is_spaced_otherwise_is_a_call(remote: Serving) -> None:
    async with remote(ScriptedServer(lambda body: answer('{ "name": "add",\n "arguments": { "a": 1 } }'))) as client:
        found = await chat(client, tools=[ADD], tool_choice="required")
    assert json.loads(found["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]) == {"a": 1}


async def test_a_second_try_that_is_right_is_the_answer(remote: Serving) -> None:
    server = ScriptedServer(fails(answer("I add."), answer(CALL)))
    async with remote(server) as client:
        found = await chat(client, tools=[ADD], tool_choice="required")
    assert found["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("script", "status", "code"),
    [
        (fails(httpx2.ConnectError("refused")), 503, "model_server_down"),
        (fails(httpx2.ReadTimeout("slow")), 504, "model_server_timeout"),
        (fails((500, {"error": {"message": "boom"}})), 502, "model_server_fault"),
        (fails((401, {"error": {"message": "who?"}})), 502, "model_server_fault"),
        (fails((429, {"error": "later"})), 503, "model_server_busy"),
        (fails((200, {"choices": []})), 503, "model_server_down"),
        (fails([b"data: nonsense\n\n"]), 502, "model_server_fault"),
        (fails([b"data: [1]\n\n"]), 502, "model_server_fault"),
        (fails([b"data: " + b"x" * (2 << 20)]), 502, "model_server_fault"),
        (fails([chunk("a"), chunk(model="other")]), 503, "model_changed"),
        (fails([chunk("a")]), 503, "model_server_down"),
        (fails((400, {"error": {"message": "maximum context length is 4096"}})), 400, "context_length_exceeded"),
        (fails((400, {"error": {"message": "n must be 1"}})), 400, None),
    ],
)
async def test_what_a_server_does_wrong_is_an_error_of_its_own_kind(
    remote: Serving, script: Any, status: int, code: str | None
) -> None:
    async with remote(ScriptedServer(script)) as client:
        found = await chat(client, status)
        after = await chat(client)  # it is looked at again, and asked
    assert found["error"]["code"] == code
    assert after["choices"][0]["message"]["content"] == "Hello"


async def test_a_server_that_gets_another_model_is_left_until_it_has_its_own_again(remote: Serving) -> None:
    server = ScriptedServer()
    before = server.models
    async with remote(server) as client:
        await chat(client)
        server.models = {"data": [{"id": "other-model"}]}
        server.script = fails(httpx2.ConnectError("restarting"))
        await chat(client, 503)
        changed = await chat(client, 503)
        ready = await client.get("/readyz")
        server.models = before
        await chat(client)
    assert changed["error"]["code"] == "model_changed"
    assert "had the model 'big-model' and has 'other-model' now" in changed["error"]["message"]
    assert ready.status_code == 503
    assert ready.json()["reason"] == "no model server can be used now; /healthz says why", "strangers learn no address"


async def test_a_server_that_knows_its_model_no_more_is_stood_in_for_by_the_next(remote: Serving) -> None:
    gone = (404, {"error": {"message": "The model `big-model` does not exist.", "type": "NotFoundError"}})
    one, two = ScriptedServer(fails(gone, gone)), ScriptedServer()
    async with remote(one, two) as client:
        asked = [{"role": "user", "content": _for(ONE)}]
        assert (await chat(client, messages=asked))["choices"][0]["message"]["content"] == "Hello there"
        two.script = fails(gone)
        changed = await chat(client, 503)
        assert (await client.get("/readyz")).status_code == 503
        two.models = one.models = {"data": [{"id": "other-model"}]}
        both = await chat(client, 503)
    assert (changed["error"]["code"], both["error"]["code"]) == ("model_changed", "model_changed")
    assert "has no model 'big-model' any more (404: The model `big-model` does not exist.)" in changed["error"]["message"]
    assert "has 'other-model' now" in both["error"]["message"]


async def test_an_answer_that_breaks_off_in_the_middle_ends_with_an_error(remote: Serving) -> None:
    server = ScriptedServer(lambda body: [chunk("Hel"), httpx2.ReadError("gone")])
    async with remote(server, ScriptedServer(lambda body: answer("whole"))) as client:
        asked = {"model": "fake", "messages": [{"role": "user", "content": _for(ONE)}], "stream": True}
        streamed = await client.post("/v1/chat/completions", json=asked)
    assert "Hel" in streamed.text
    assert '"code":"model_server_down"' in streamed.text
    assert "whole" not in streamed.text, "what was told can't be taken back"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/tokenize", {"prompt": "x"}),
        ("/tokenize", {"messages": USER}),
        ("/detokenize", {"tokens": [1]}),
        ("/v1/rerank", {"query": "a", "documents": ["b"]}),
        ("/v1/embeddings", {"model": "fake", "input": "x"}),
        ("/v1/decisions", {"model": "fake", "input": "x", "questions": [{"type": "predicate", "instructions": "y"}]}),
        ("/v1/chat/completions", {"model": "fake", "messages": USER, "logprobs": True}),
        ("/v1/completions", {"model": "fake", "prompt": [1, 2]}),
    ],
)
async def test_what_needs_tokens_is_refused_by_name(remote: Serving, path: str, body: dict[str, Any]) -> None:
    async with remote(ScriptedServer()) as client:
        response = await client.post(path, json=body)
    assert response.status_code == 400, response.text


# -- several servers


def _for(url: str) -> str:
    """A first message whose prompt goes to this one of the two."""
    other = TWO if url == ONE else ONE
    texts = (f"Hi {n}" for n in range(100))
    return next(text for text in texts if rank(url, _key(text)) > rank(other, _key(text)))


def _key(text: str) -> str:
    return RemotePrompt.of_messages([{"role": "user", "content": text}]).prefix_key


async def test_prompts_that_begin_alike_go_to_one_server(remote: Serving) -> None:
    one, two = ScriptedServer(), ScriptedServer()
    system = {"role": "system", "content": "You are kind."}
    async with remote(one, two) as client:
        for n in range(6):
            await chat(client, messages=[system, {"role": "user", "content": f"Question {n}"}])
        assert sorted((len(one.bodies), len(two.bodies))) == [0, 6]
        for url, server in ((ONE, one), (TWO, two)):
            before = len(server.bodies)
            await chat(client, messages=[{"role": "user", "content": _for(url)}])
            assert len(server.bodies) == before + 1


async def test_a_server_that_is_down_is_stood_in_for_by_the_next_and_told_of(remote: Serving) -> None:
    one, two = ScriptedServer(fails(httpx2.ConnectError("refused"))), ScriptedServer()
    async with remote(one, two) as client:
        messages = [{"role": "user", "content": _for(ONE)}]
        assert (await chat(client, messages=messages))["choices"][0]["message"]["content"] == "Hello there"
        await chat(client, messages=messages)
        assert (len(one.bodies), len(two.bodies)) == (1, 2), "it gets no further ones"
        health = (await client.get("/healthz")).json()["model"]
        metrics = (await client.get("/metrics")).text
        assert (await client.get("/readyz")).status_code == 200
    assert [server["url"] for server in health["servers"]] == [ONE, TWO]
    assert "can't be reached" in health["servers"][0]["error"]
    assert f'portico_model_server_up{{model="fake",url="{ONE}"}} 0.0' in metrics
    assert f'portico_model_server_up{{model="fake",url="{TWO}"}} 1.0' in metrics
    assert f'portico_model_server_failures_total{{model="fake",url="{ONE}"}} 1.0' in metrics


async def test_all_down_is_said_with_when_to_ask_again(remote: Serving) -> None:
    servers = [ScriptedServer(lambda body: httpx2.ConnectError("refused")) for _ in range(2)]
    async with remote(*servers) as client:
        response = await client.post("/v1/chat/completions", json={"model": "fake", "messages": USER})
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")


async def test_a_start_without_any_server_says_so(remote: Serving) -> None:
    async with remote(ScriptedServer(models=httpx2.ConnectError("refused"))) as client:
        found = await chat(client, 503)
        assert (await client.get("/readyz")).status_code == 503
    assert f"the model server at {ONE} can't be reached" in found["error"]["message"]
