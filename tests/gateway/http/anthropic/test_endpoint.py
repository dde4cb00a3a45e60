"""Anthropic's messages over a scripted engine: what goes to the engine, and what comes back, whole and as a stream."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from tests.gateway.http.events import named_events

from portico_engine import FinishReason

pytestmark = pytest.mark.anyio

USER = [{"role": "user", "content": "Hi"}]
WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CALL = '{"name":"get_weather","arguments":{"city":"Paris"}}'


async def post(client: httpx2.AsyncClient, path: str = "", **body: Any) -> httpx2.Response:
    return await client.post(f"/v1/messages{path}", json={"model": "fake", "messages": USER, **body})


async def ask(client: httpx2.AsyncClient, **body: Any) -> Any:
    response = await post(client, **{"max_tokens": 100, **body})
    assert response.status_code == 200, response.text
    return response.json()


async def stream(client: httpx2.AsyncClient, **body: Any) -> list[Any]:
    return named_events(await post(client, stream=True, **{"max_tokens": 100, **body}))


async def test_a_plain_answer_has_anthropics_shape(serve: Any) -> None:
    async with serve() as client:
        answer = await ask(client)
    assert answer.pop("id").startswith("msg_")
    assert answer == {
        "type": "message",
        "role": "assistant",
        "model": "fake",
        "content": [{"type": "text", "text": "Hello there"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 4, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 0, "output_tokens": 5},
    }


async def test_a_stream_is_a_message_of_blocks(serve: Any) -> None:
    async with serve() as client:
        events = await stream(client)
    assert [event["type"] for event in events] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert events[0]["message"]["content"] == []
    assert events[0]["message"]["usage"]["input_tokens"] > 0
    assert [event["delta"] for event in events[2:4]] == [
        {"type": "text_delta", "text": "Hello"},
        {"type": "text_delta", "text": " there"},
    ]
    assert events[5]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert events[5]["usage"]["output_tokens"] == 5


async def test_calls_are_blocks_of_their_own(serve: Any, fakes: Any) -> None:
    engine = fakes.FakeEngine(script=lambda request: [CALL[:30], CALL[30:]])
    async with serve(engine) as client:
        answer = await ask(client, tools=[WEATHER], tool_choice={"type": "any"})
        events = await stream(client, tools=[WEATHER], tool_choice={"type": "tool", "name": "get_weather"})
    (block,) = answer["content"]
    assert block.pop("id").startswith("toolu_")
    assert block == {"type": "tool_use", "name": "get_weather", "input": {"city": "Paris"}}
    assert answer["stop_reason"] == "tool_use"
    started = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    assert [(each["type"], each["name"], each["input"]) for each in started] == [("tool_use", "get_weather", {})]
    parts = [event["delta"]["partial_json"] for event in events if event["type"] == "content_block_delta"]
    assert json.loads("".join(parts)) == {"city": "Paris"}


async def test_a_conversation_goes_to_the_model_with_its_calls_and_results(serve: Any, fakes: Any) -> None:
    engine = fakes.FakeEngine()
    turns = [
        {"role": "user", "content": [{"type": "text", "text": "Weather?", "cache_control": {"type": "ephemeral"}}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "x"},
                {"type": "text", "text": "Let me see."},
                {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Rome"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "no such city", "is_error": True},
                {"type": "text", "text": "Well?"},
            ],
        },
    ]
    async with serve(engine) as client:
        await ask(client, system=[{"type": "text", "text": "Be brief."}], messages=turns)
    assert [(turn["role"], turn["content"]) for turn in engine.rendered[0]] == [
        ("system", "Be brief."),
        ("user", "Weather?"),
        ("assistant", 'Let me see.\n{"name":"get_weather","arguments":{"city":"Rome"}}'),
        ("user", "Result of get_weather:\nError: no such city"),
        ("user", "Well?"),
    ]


async def test_settings_reach_the_engine(serve: Any, fakes: Any) -> None:
    engine = fakes.FakeEngine()
    async with serve(engine) as client:
        await ask(client, max_tokens=9, temperature=0.5, top_p=0.8, top_k=7, stop_sequences=["END"], metadata={"user_id": "u"})
        schema = {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]}
        await ask(client, output_config={"format": {"type": "json_schema", "schema": schema}, "effort": "low"})
    first, second = engine.requests
    assert (first.max_tokens, first.stop) == (9, ("END",))
    assert (first.sampling.temperature, first.sampling.top_p, first.sampling.top_k) == (0.5, 0.8, 7)
    assert second.grammar is not None


@pytest.mark.parametrize(("finish", "reason"), [(FinishReason.LENGTH, "max_tokens"), (FinishReason.STOP, "end_turn")])
async def test_why_it_stopped_is_told(serve: Any, fakes: Any, finish: FinishReason, reason: str) -> None:
    async with serve(fakes.FakeEngine(finish=finish)) as client:
        assert (await ask(client))["stop_reason"] == reason


async def test_a_stop_sequence_is_named(serve: Any, fakes: Any) -> None:
    async with serve(fakes.FakeEngine(stop="END")) as client:
        answer = await ask(client, stop_sequences=["END", "STOP"])
    assert (answer["stop_reason"], answer["stop_sequence"]) == ("stop_sequence", "END")


async def test_the_prompts_tokens_are_counted_without_generating(serve: Any, fakes: Any) -> None:
    engine = fakes.FakeEngine()
    async with serve(engine) as client:
        response = await post(client, "/count_tokens", system="Be brief.")
    assert response.json() == {"input_tokens": len("<system>Be brief.<user>Hi")}
    assert engine.requests == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"max_tokens": None}, "max_tokens: should be a valid integer"),
        ({"messages": []}, "messages: List should have at least 1 item after validation, not 0"),
        (
            {"messages": [{"role": "tool", "content": "x"}]},
            "messages.0.role: should be 'user', 'assistant' or 'system' (is \"tool\")",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image"}]}]},
            "messages.0.content.0: the type 'image' is not taken here; it takes 'text', 'tool_use', 'tool_result', 'thinking', "
            "'redacted_thinking'",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content.0.text: this field is required"),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_use", "id": "x", "name": "y", "input": {}}]}]},
            "messages.0: block 0 is a tool_use, which a turn of the user can't have",
        ),
        (
            {"messages": [*USER, {"role": "assistant", "content": "So"}]},
            "the last message is the assistant's: answers can't be prefilled; end with a message of the user",
        ),
        ({"tools": [{"type": "web_search_20250305"}], "tool_choice": {"type": "any"}}, "tool_choice 'any' needs tools"),
        ({"mcp_servers": [{"url": "x"}]}, "mcp_servers: this field is not known here; leave it out"),
        ({"tool_choice": {"type": "any"}}, "tool_choice 'any' needs tools"),
        (
            {"tools": [WEATHER], "tool_choice": {"type": "tool", "name": "other"}},
            "tool_choice names 'other', which is not among the tools (get_weather)",
        ),
        ({"tool_choice": {"type": "tool"}}, "tool_choice: a name belongs to the type 'tool', and to no other"),
        ({"stop_sequence": ["a"]}, "stop_sequence: this field is not known here; did you mean 'stop_sequences'?"),
    ],
)
async def test_bad_input_is_named_in_anthropics_shape(serve: Any, body: dict[str, Any], message: str) -> None:
    async with serve() as client:
        response = await post(client, **{"max_tokens": 5, **body})
    assert response.status_code == 400
    error = response.json()
    assert (error["type"], error["error"]["type"]) == ("error", "invalid_request_error")
    assert error["error"]["message"].startswith(message)


async def test_an_unknown_model_and_an_error_in_mid_stream(serve: Any, fakes: Any) -> None:
    async with serve() as client:
        response = await post(client, model="other", max_tokens=5)
    assert (response.status_code, response.json()["error"]["type"]) == (404, "not_found_error")
    async with serve(fakes.FakeEngine(script=lambda request: ["Hel", RuntimeError("it broke")])) as client:
        events = await stream(client)
    assert events[-1]["type"] == "error"
    assert events[-1]["error"]["type"] == "api_error"
    assert "message_stop" not in [event["type"] for event in events]


async def test_with_tools_and_a_format_the_answer_is_a_call_or_fits_the_schema(serve: Any, fakes: Any) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    said = iter([' {"a":1}', ' {"a":2}', CALL])
    engine = fakes.FakeEngine(script=lambda request: list(next(said)))
    wanted = {"tools": [WEATHER], "output_config": {"format": {"type": "json_schema", "schema": schema}}, "max_tokens": 50}
    async with serve(engine) as client:
        answered = (await post(client, **wanted)).json()
        streamed = named_events(await post(client, **wanted, stream=True))
        called = (await post(client, **wanted)).json()
    assert answered["content"] == [{"type": "text", "text": '{"a":1}'}]
    assert "".join(event["delta"]["text"] for event in streamed if event["type"] == "content_block_delta") == '{"a":2}'
    assert (called["content"][0]["type"], called["stop_reason"]) == ("tool_use", "tool_use")


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_prompt_that_is_too_long_is_refused_in_the_words_that_clients_shorten_it_on(
    serve: Any, fakes: Any, streamed: bool
) -> None:
    async with serve(fakes.FakeEngine(context_length=5)) as client:
        response = await post(client, max_tokens=100, stream=streamed)
        counted = await post(client, "/count_tokens")
    told = {"type": "invalid_request_error", "message": "prompt is too long: 8 tokens > 5 maximum"}
    for refused in (response, counted):
        assert refused.status_code == 400
        assert refused.json()["error"] == told
