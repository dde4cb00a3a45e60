"""The gateway's own tools behind the APIs: real servers, a scripted model, and a policy that is asked at every call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx2
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter
from tests.gateway.http.fake_engine import FakeEngine

from portico_engine import AsyncEngine, Request
from portico_gateway.caller import Caller
from portico_gateway.config.sections import KeyConfig, PolicyConfig
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.http.app import create_app
from portico_gateway.http.generation.answer import TextPiece
from portico_gateway.http.generation.request import FieldNames, GenerationRequest, Turn
from portico_gateway.http.middleware.keys import key_hash
from portico_gateway.http.server_tools.loop import ToolLoop
from portico_gateway.http.server_tools.toolset import is_named, open_toolset
from portico_gateway.http.server_tools.wanted import McpToolBody
from portico_gateway.mcp.server import GatewayServer
from portico_gateway.model.host import ModelHost
from portico_gateway.policy.rules import Policy
from portico_gateway.policy.tool_calls import ToolCalls
from portico_gateway.upstreams.upstreams import Upstreams
from portico_servers.common.transport import security

pytestmark = pytest.mark.anyio
BASE = "http://127.0.0.1:8630"
CALC, ASKS = {"type": "mcp", "server_label": "calc"}, {"type": "mcp", "server_label": "asks"}
ADD = '{"name":"calc__add","arguments":{"a":1,"b":2}}'
WRITE = '{"name":"asks__write","arguments":{"text":"x"}}'
LOOK_UP = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
KEYS = {
    "agent": KeyConfig(sha256=key_hash("k-agent"), scopes=["chat"]),
    "owner": KeyConfig(sha256=key_hash("k-owner"), scopes=["admin"]),
}
CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def says(call: str, *, then: str = "It is done.", result: str = "Result of") -> Callable[[Request], Sequence[str]]:
    """The call first; once a result is in the prompt, the answer."""
    return lambda request: [then] if result in bytes(request.prompt).decode() else list(call)


@dataclass
class Gateway:
    client: httpx2.AsyncClient
    engine: FakeEngine
    calls: ToolCalls

    async def post(self, path: str, key: str | None = None, **body: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer k-{key}"} if key else {}
        return await self.client.post(path, json={"model": "fake", **body}, headers=headers, timeout=30)

    async def chat(self, *tools: Any, **more: Any) -> Any:
        response = await self.post(CHAT, messages=[{"role": "user", "content": "Do it."}], tools=tools, **more)
        assert response.status_code == 200, response.text
        return response.json()

    async def respond(self, *tools: Any, key: str | None = None, status: int = 200, **more: Any) -> Any:
        response = await self.post(RESPONSES, key, **{"input": "Do it.", "tools": tools, **more})
        assert response.status_code == status, response.text
        found = response.json()
        if status == 200:
            Response.model_validate(found)
        return found


Serve = Callable[..., Any]


@pytest.fixture(scope="module")
async def upstreams(sample: Callable[..., UpstreamSpec], asking: Callable[..., UpstreamSpec]) -> AsyncIterator[Upstreams]:
    async with Upstreams([sample("calc"), asking("auto")]) as running:
        await running.ready(60)
        yield running


class _Running:
    """Servers that outlive the applications in front of them."""

    def __init__(self, inner: Upstreams) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(self, *_: object) -> None: ...


@pytest.fixture
def serving(upstreams: Upstreams) -> Serve:
    @asynccontextmanager
    async def running(
        script: Callable[[Request], Sequence[str]], *, keys: dict[str, KeyConfig] | None = None, **policy: Any
    ) -> AsyncIterator[Gateway]:
        engine = FakeEngine(script=script)
        calls = ToolCalls(upstreams, policy=Policy(PolicyConfig(**policy)), takes_approvals=True)
        model = ModelHost("fake", partial(AsyncEngine.open, lambda progress: engine))  # type: ignore[arg-type]
        app = create_app(
            _Running(upstreams),  # type: ignore[arg-type]
            GatewayServer(upstreams, tool_calls=calls),
            model,
            security=security("127.0.0.1", 8630),
            tool_calls=calls,
            keys=keys,
        )
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        async with app.router.lifespan_context(app), httpx2.AsyncClient(transport=transport, base_url=BASE) as client:
            yield Gateway(client, engine, calls)

    return running


# -- chat


async def test_a_chat_calls_a_servers_tool_here_and_goes_on_with_the_result(serving: Serve) -> None:
    async with serving(says(ADD)) as gateway:
        found = await gateway.chat(CALC)
        first, second = (bytes(request.prompt).decode() for request in gateway.engine.requests)
    ChatCompletion.model_validate(found)
    (choice,) = found["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("It is done.", "stop")
    assert "tool_calls" not in choice["message"]
    (call,) = choice["message"]["mcp_calls"]
    assert (call["server_label"], call["name"], json.loads(call["arguments"])) == ("calc", "add", {"a": 1, "b": 2})
    assert (call["output"], call["error"]) == ("3", None)
    assert found["usage"]["completion_tokens"] == 10  # of both turns
    assert second.startswith(first)
    assert "Result of calc__add:\n3" in second


async def test_a_streamed_chat_tells_of_the_call_and_then_of_the_answer(serving: Serve) -> None:
    async with serving(says(ADD)) as gateway:
        response = await gateway.post(
            CHAT,
            messages=[{"role": "user", "content": "Do it."}],
            tools=[CALC],
            stream=True,
            stream_options={"include_usage": True},
        )
    chunks = [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")]
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    assert [delta["mcp_calls"][0]["output"] for delta in deltas if "mcp_calls" in delta] == ["3"]
    assert "".join(delta.get("content") or "" for delta in deltas) == "It is done."
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert not any("tool_calls" in delta for delta in deltas)
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"]["completion_tokens"] == 10


async def test_the_clients_own_tools_are_the_clients_to_call(serving: Serve) -> None:
    async with serving(lambda request: list('{"name":"look_up","arguments":{}}')) as gateway:
        found = await gateway.chat(CALC, LOOK_UP)
    message = found["choices"][0]["message"]
    assert found["choices"][0]["finish_reason"] == "tool_calls"
    assert [call["function"]["name"] for call in message["tool_calls"]] == ["look_up"]
    assert message["mcp_calls"] == []


async def test_a_chat_waits_for_the_consent_that_a_call_needs(serving: Serve) -> None:
    for decision, said in (("approve", "wrote x"), ("deny", None)):
        async with serving(says(WRITE)) as gateway:
            asking = asyncio.create_task(gateway.chat(ASKS))
            while not (waiting := (await gateway.client.get("/v1/approvals")).json()["data"]):  # noqa: ASYNC110 - over HTTP
                await asyncio.sleep(0.01)
            assert waiting[0]["arguments"] == {"text": "x"}
            assert not asking.done()
            await gateway.client.post(f"/v1/approvals/{waiting[0]['id']}", json={"decision": decision})
            (call,) = (await asking)["choices"][0]["message"]["mcp_calls"]
        assert call["output"] == said
        assert (call["error"] is None) == (decision == "approve")


async def test_a_consent_that_nobody_gives_in_time_is_none(serving: Serve) -> None:
    async with serving(says(WRITE), approval_seconds=0.2) as gateway:
        (call,) = (await gateway.chat(ASKS))["choices"][0]["message"]["mcp_calls"]
    assert call["output"] is None
    assert "did not allow" in call["error"]


async def test_a_model_that_goes_round_in_a_circle_is_made_to_answer(serving: Serve) -> None:
    async with serving(
        lambda request: list(ADD) if request.grammar and "calc__add" in request.grammar.text else ["Enough."]
    ) as gateway:
        found = await gateway.chat(CALC)
    assert found["choices"][0]["message"]["content"] == "Enough."
    assert len(found["choices"][0]["message"]["mcp_calls"]) == 4


# -- responses


async def test_a_response_lists_the_servers_tools_and_tells_of_its_calls(serving: Serve) -> None:
    async with serving(says(ADD)) as gateway:
        found = await gateway.respond({**CALC, "allowed_tools": ["add"]})
        streamed = await gateway.post(RESPONSES, input="Do it.", tools=[{**CALC, "allowed_tools": ["add"]}], stream=True)
    listed, called, said = found["output"]
    assert [tool["name"] for tool in listed["tools"]] == ["add"]
    assert (called["type"], called["name"], called["output"], called["status"]) == ("mcp_call", "add", "3", "completed")
    assert said["content"][0]["text"] == "It is done."
    assert found["usage"]["output_tokens"] == 10
    events = [json.loads(line[6:]) for line in streamed.text.splitlines() if line.startswith("data: ")]
    for event in events:
        EVENTS.validate_python(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    kinds = [event["type"].removeprefix("response.") for event in events]
    assert kinds[:2] == ["created", "in_progress"]
    assert kinds.index("mcp_list_tools.completed") < kinds.index("mcp_call.in_progress") < kinds.index("mcp_call.completed")
    final = events[-1]["response"]
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert final["output"] == done
    assert [item["type"] for item in done] == [item["type"] for item in found["output"]]


async def test_what_was_called_stays_in_the_conversation(serving: Serve) -> None:
    async with serving(says(ADD)) as gateway:
        first = await gateway.respond(CALC)
        await gateway.respond(CALC, input="And now?", previous_response_id=first["id"])
        by_reference = bytes(gateway.engine.requests[-1].prompt).decode()
        items = [{"role": "user", "content": "Do it."}, *first["output"], {"role": "user", "content": "And now?"}]
        again = await gateway.respond(CALC, input=items, store=False)
        by_items = bytes(gateway.engine.requests[-1].prompt).decode()
    assert "Result of calc__add:\n3" in by_reference
    assert by_items == by_reference
    assert "warnings" not in again


async def test_a_call_that_needs_consent_ends_the_response_and_is_made_once_approved(serving: Serve) -> None:
    async with serving(says(WRITE)) as gateway:
        first = await gateway.respond(ASKS)
        asked = first["output"][-1]
        assert (asked["type"], asked["name"], json.loads(asked["arguments"])) == (
            "mcp_approval_request",
            "write",
            {"text": "x"},
        )
        assert len(gateway.engine.requests) == 1
        reply = {"type": "mcp_approval_response", "approval_request_id": asked["id"], "approve": True}
        second = await gateway.respond(ASKS, input=[reply], previous_response_id=first["id"])
        called, said = second["output"]
        assert (called["output"], called["approval_request_id"]) == ("wrote x", asked["id"])
        assert said["content"][0]["text"] == "It is done."
        assert "wrote x" in bytes(gateway.engine.requests[-1].prompt).decode()
        used = await gateway.respond(ASKS, input=[reply], previous_response_id=first["id"], status=400)
    assert "nothing waits for consent" in used["error"]["message"]


async def test_a_refusal_is_told_to_the_model_and_nothing_is_called(serving: Serve) -> None:
    async with serving(says(WRITE, result="Denied")) as gateway:
        first = await gateway.respond(ASKS)
        reply = {"type": "mcp_approval_response", "approval_request_id": first["output"][-1]["id"], "approve": False}
        second = await gateway.respond(ASKS, input=[reply], previous_response_id=first["id"])
    called = second["output"][0]
    assert (called["status"], called["output"]) == ("failed", None)
    assert "did not allow" in called["error"]["content"][0]["text"]


async def test_a_key_without_admin_approves_nothing_and_anothers_word_counts(serving: Serve) -> None:
    async with serving(says(WRITE), keys=KEYS) as gateway:
        first = await gateway.respond(ASKS, key="agent")
        asked = first["output"][-1]["id"]
        reply = {"type": "mcp_approval_response", "approval_request_id": asked, "approve": True}
        refused = await gateway.respond(ASKS, key="agent", input=[reply], previous_response_id=first["id"], status=403)
        assert refused["error"]["code"] == "approval_needed"
        other = await gateway.respond(ASKS, key="owner", input=[{**reply}, {"role": "user", "content": "x"}], status=400)
        assert other["error"]["code"] == "approval_not_found"
        decided = await gateway.post(f"/v1/approvals/{asked.removeprefix('mcpr_')}", "owner")
        assert decided.status_code == 400  # a decision has no model
        approve = await gateway.client.post(
            f"/v1/approvals/{asked.removeprefix('mcpr_')}",
            json={"decision": "approve"},
            headers={"Authorization": "Bearer k-owner"},
        )
        assert approve.status_code == 200
        second = await gateway.respond(ASKS, key="agent", input=[reply], previous_response_id=first["id"])
    assert second["output"][0]["output"] == "wrote x"


async def test_a_request_can_tighten_the_policy_and_not_loosen_it(serving: Serve) -> None:
    async with serving(says(ADD)) as gateway:
        tightened = await gateway.respond({**CALC, "require_approval": "always"})
        some = await gateway.respond({**CALC, "require_approval": {"always": {"tool_names": ["count"]}}})
    assert tightened["output"][-1]["type"] == "mcp_approval_request"
    assert some["output"][-1]["type"] == "message"
    async with serving(says(WRITE)) as gateway:
        loosened = await gateway.respond({**ASKS, "require_approval": "never"})
    assert loosened["output"][-1]["type"] == "mcp_approval_request"
    async with serving(says(WRITE), deny=["asks__*"]) as gateway:
        denied = await gateway.respond(ASKS, tool_choice="auto", status=200)
    assert denied["output"][0]["tools"] == []


async def test_a_number_of_calls_is_kept_to(serving: Serve) -> None:
    async with serving(
        lambda request: list(ADD) if request.grammar and "calc__add" in request.grammar.text else ["Enough."]
    ) as gateway:
        found = await gateway.respond(CALC, max_tool_calls=2)
    assert [item["type"] for item in found["output"]].count("mcp_call") == 2
    assert found["output"][-1]["content"][0]["text"] == "Enough."


async def test_a_response_may_choose_a_servers_tool(serving: Serve) -> None:
    async with serving(says(ADD)) as gateway:
        await gateway.respond(CALC, tool_choice={"type": "mcp", "server_label": "calc", "name": "add"})
        grammar = gateway.engine.requests[0].grammar
        wrong = await gateway.respond(CALC, tool_choice={"type": "mcp", "server_label": "calc", "name": "x"}, status=400)
    assert grammar is not None
    assert "calc__count" not in grammar.text
    assert "calc__x" in wrong["error"]["message"]


# -- servers that a request brings along


async def test_a_server_of_the_request_is_spoken_to_where_the_policy_names_it(
    serving: Serve, asking_http: Callable[[], UpstreamSpec]
) -> None:
    url = asking_http().url
    own = {"type": "mcp", "server_label": "mine", "server_url": url, "authorization": "secret-token"}
    async with serving(says('{"name":"mine__read","arguments":{}}'), request_servers=[url]) as gateway:
        found = await gateway.respond(own)
        assert found["output"][1]["status"] == "completed"
        assert "secret-token" not in json.dumps(found)
        assert "mine" not in {status.name for status in gateway.calls.upstreams.status()}
        taken = await gateway.respond({**own, "server_label": "calc"}, status=400)
    assert "is a server of this gateway" in taken["error"]["message"]


@pytest.mark.parametrize(
    ("tool", "status", "message"),
    [
        ({"server_label": "nope"}, 400, "this gateway has no server 'nope'; it has calc, asks"),
        (
            {"server_label": "x", "server_url": "http://127.0.0.1:1/mcp"},
            403,
            "server_url 'http://127.0.0.1:1/mcp' is not among",
        ),
        ({"server_label": "calc", "authorization": "t"}, 400, "headers and authorization go with server_url"),
        ({"server_label": "calc", "connector_id": "connector_gmail"}, 400, "there are no connectors here"),
        ({"server_label": "x", "server_url": "file:///etc/passwd"}, 400, "server_url must start with"),
        ({"server_label": "../x"}, 400, "String should match pattern"),
        ({}, 400, "this field is required"),
    ],
)
async def test_what_can_not_be_called_is_named(serving: Serve, tool: dict[str, Any], status: int, message: str) -> None:
    async with serving(says(ADD)) as gateway:
        for path, asked in ((RESPONSES, {"input": "x"}), (CHAT, {"messages": [{"role": "user", "content": "x"}]})):
            response = await gateway.post(path, tools=[{"type": "mcp", **tool}], **asked)
            assert response.status_code == status, response.text
            assert message in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("url", "pattern", "named"),
    [
        ("https://mcp.example.com/a", "https://mcp.example.com/*", True),
        ("https://mcp.example.com/", "https://mcp.example.com", True),
        ("https://a.example.com/x", "https://*.example.com/*", True),
        ("https://evil.com/?.example.com/x", "https://*.example.com/*", False),
        ("https://evil.com#.example.com/x", "https://*.example.com/*", False),
        ("https://mcp.example.com@evil.com/a", "https://mcp.example.com/*", False),
        ("http://mcp.example.com/a", "https://mcp.example.com/*", False),
        ("https://mcp.example.com:8443/a", "https://mcp.example.com/*", False),
        ("https://mcp.example.com:x/a", "https://mcp.example.com/*", False),
    ],
)
def test_an_address_is_named_part_by_part(url: str, pattern: str, named: bool) -> None:
    assert is_named(url, pattern) is named


async def test_who_hangs_up_ends_the_loop_and_what_it_has_under_way(upstreams: Upstreams) -> None:
    engine = FakeEngine(endless=True)
    closed = asyncio.Event()

    @asynccontextmanager
    async def toolset() -> AsyncIterator[Any]:
        async with open_toolset(ToolCalls(upstreams), [McpToolBody(**CALC).wanted()], Caller(), live_schemas=True) as opened:
            try:
                yield opened
            finally:
                closed.set()

    asked = GenerationRequest("fake", (Turn("user", "Do it."),), FieldNames("messages", "max_tokens", "response_format"))
    running = await AsyncEngine.open(lambda progress: engine)  # type: ignore[arg-type, return-value]
    try:
        events = await ToolLoop(asked, running, toolset, "local").start()
        async for event in events:
            if isinstance(event, TextPiece):
                break
        await events.aclose()
        assert closed.is_set()
        assert await asyncio.to_thread(engine.was_aborted.wait, 10)
    finally:
        await running.aclose()


async def test_a_decision_that_says_yes_approves_no_call(serving: Serve) -> None:
    """Whatever is decided about a call, and by whomever, it waits for a person."""
    question = {"type": "predicate", "instructions": "The call of asks__write may be made."}
    async with serving(says(WRITE)) as gateway:
        first = await gateway.respond(ASKS)
        decided = await gateway.post("/v1/decisions", input=json.dumps(first["output"][-1]), questions=[question])
        assert decided.status_code == 200
        (waiting,) = (await gateway.client.get("/v1/approvals")).json()["data"]
    assert waiting["status"] == "pending"
