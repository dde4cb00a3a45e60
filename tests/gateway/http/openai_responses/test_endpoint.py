"""OpenAI's responses over a scripted engine: what goes to the engine, and what comes back, whole and as a stream."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from tests.gateway.http.events import named_events

from portico_engine import FinishReason

pytestmark = pytest.mark.anyio

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CALL = '{"name":"get_weather","arguments":{"city":"Paris"}}'


async def post(client: httpx2.AsyncClient, **body: Any) -> httpx2.Response:
    return await client.post("/v1/responses", json={"model": "fake", "input": "Hi", **body})


async def ask(client: httpx2.AsyncClient, **body: Any) -> Any:
    response = await post(client, **body)
    assert response.status_code == 200, response.text
    return response.json()


async def stream(client: httpx2.AsyncClient, **body: Any) -> list[Any]:
    events = named_events(await post(client, stream=True, **body))
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


def anonymous(value: Any) -> Any:
    """Without what differs from one answer to the next."""
    if isinstance(value, dict):
        return {key: anonymous(each) for key, each in value.items() if key not in ("id", "call_id", "created_at", "item_id")}
    return [anonymous(each) for each in value] if isinstance(value, list) else value


async def test_a_plain_answer_has_openais_shape(serve: Any) -> None:
    async with serve() as client:
        answer = await ask(client, metadata={"a": "b"})
    assert answer["id"].startswith("resp_")
    assert (answer["object"], answer["status"], answer["error"], answer["metadata"]) == (
        "response",
        "completed",
        None,
        {"a": "b"},
    )
    (item,) = answer["output"]
    assert item.pop("id").startswith("msg_")
    assert item == {
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "Hello there", "annotations": [], "logprobs": []}],
    }
    assert answer["usage"] == {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 12,
    }


async def test_a_stream_adds_up_to_the_response(serve: Any) -> None:
    async with serve() as client:
        events = await stream(client)
        whole = await ask(client)
    assert [event["type"].removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [event["delta"] for event in events[4:6]] == ["Hello", " there"]
    assert events[2]["item"]["content"] == []
    assert len({event["item_id"] for event in events[3:8]}) == 1
    assert anonymous(events[-1]["response"]) == anonymous(whole)


async def test_calls_are_items_of_their_own(serve: Any, fakes: Any) -> None:
    engine = fakes.FakeEngine(script=lambda request: [CALL[:30], CALL[30:]])
    async with serve(engine) as client:
        answer = await ask(client, tools=[WEATHER], tool_choice="required")
        events = await stream(client, tools=[WEATHER], tool_choice={"type": "function", "name": "get_weather"})
    (item,) = answer["output"]
    assert item["id"].startswith("fc_")
    assert item["call_id"].startswith("call_")
    assert (item["type"], item["name"], item["status"]) == ("function_call", "get_weather", "completed")
    assert json.loads(item["arguments"]) == {"city": "Paris"}
    deltas = [event["delta"] for event in events if event["type"] == "response.function_call_arguments.delta"]
    (done,) = [event for event in events if event["type"] == "response.function_call_arguments.done"]
    assert "".join(deltas) == done["arguments"] == item["arguments"]
    assert anonymous(events[-1]["response"]["output"]) == anonymous(answer["output"])


async def test_a_conversation_goes_to_the_model_with_its_calls_and_results(serve: Any, fakes: Any) -> None:
    engine = fakes.FakeEngine()
    turns = [
        {"role": "user", "content": [{"type": "input_text", "text": "Weather?"}]},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me see."}], "id": "msg_1"},
        {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": '{"city":"Rome"}', "id": "fc_1"},
        {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
    ]
    async with serve(engine) as client:
        await ask(client, instructions="Be brief.", input=turns)
    assert [(turn["role"], turn["content"]) for turn in engine.rendered[0]] == [
        ("system", "Be brief."),
        ("user", "Weather?"),
        ("assistant", 'Let me see.\n{"name":"get_weather","arguments":{"city":"Rome"}}'),
        ("user", "Result of get_weather:\nsunny"),
    ]


async def test_a_response_is_gone_on_from_read_and_deleted(serve: Any, fakes: Any) -> None:
    engine = fakes.FakeEngine()
    async with serve(engine) as client:
        first = await ask(client, instructions="Be brief.")
        second = await ask(client, input="And then?", previous_response_id=first["id"])
        assert (await client.get(f"/v1/responses/{first['id']}")).json() == first
        assert (await client.delete(f"/v1/responses/{first['id']}")).json() == {
            "id": first["id"],
            "object": "response",
            "deleted": True,
        }
        gone = await client.get(f"/v1/responses/{first['id']}")
        unkept = await ask(client, store=False)
        refused = await post(client, previous_response_id=unkept["id"])
    assert [(turn["role"], turn["content"]) for turn in engine.rendered[1]] == [
        ("user", "Hi"),
        ("assistant", "Hello there"),
        ("user", "And then?"),
    ]
    assert second["previous_response_id"] == first["id"]
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "response_not_found")
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "previous_response_id")


async def test_settings_reach_the_engine(serve: Any, fakes: Any) -> None:
    engine = fakes.FakeEngine()
    schema = {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]}
    async with serve(engine) as client:
        answer = await ask(client, max_output_tokens=9, temperature=0.5, top_p=0.8, top_logprobs=1)
        await ask(client, text={"format": {"type": "json_schema", "name": "x", "schema": schema, "strict": True}})
    first, second = engine.requests
    assert (first.max_tokens, first.sampling.temperature, first.sampling.top_p) == (9, 0.5, 0.8)
    assert [each["token"] for each in answer["output"][0]["content"][0]["logprobs"]][:2] == ["H", "e"]
    assert second.grammar is not None


async def test_what_was_cut_is_incomplete(serve: Any, fakes: Any) -> None:
    async with serve(fakes.FakeEngine(finish=FinishReason.LENGTH)) as client:
        answer = await ask(client)
        events = await stream(client)
    assert (answer["status"], answer["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert answer["output"][0]["status"] == "incomplete"
    assert events[-1]["type"] == "response.incomplete"
    async with serve(fakes.FakeEngine(script=lambda request: [CALL[:40]], finish=FinishReason.LENGTH)) as client:
        cut = await ask(client, tools=[WEATHER], tool_choice="required")
        cut_stream = await stream(client, tools=[WEATHER], tool_choice="required")
    assert cut["output"] == cut_stream[-1]["response"]["output"] == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"input": []}, "the input is empty"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input.0: the type 'item_reference' is not taken here; it takes"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
            "input.0.content: part 0 is of type 'input_image'; this model takes text only",
        ),
        ({"tools": [{"type": "web_search"}], "tool_choice": "required"}, "tool_choice 'required' needs tools"),
        ({"conversation": "conv_1"}, "conversation: this field is not known here; leave it out"),
        (
            {"tools": [WEATHER], "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"name": "other"}]}},
            "tool_choice names 'other', which is not among the tools (get_weather)",
        ),
        ({"tool_choice": "required"}, "tool_choice 'required' needs tools"),
        ({"truncation": "middle"}, "truncation: should be 'auto' or 'disabled'"),
        ({"background": True}, "background: should be False"),
        ({"max_tokens": 5}, "max_tokens: this field is not known here; did you mean 'max_output_tokens'?"),
    ],
)
async def test_bad_input_is_named(serve: Any, body: dict[str, Any], message: str) -> None:
    async with serve() as client:
        response = await post(client, **body)
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith(message)


async def test_an_error_in_mid_stream_is_a_failed_response(serve: Any, fakes: Any) -> None:
    async with serve(fakes.FakeEngine(script=lambda request: ["Hel", RuntimeError("it broke")])) as client:
        events = await stream(client)
    assert events[-1]["type"] == "response.failed"
    assert events[-1]["response"]["status"] == "failed"
    assert events[-1]["response"]["error"]["code"] == "server_error"


async def test_what_a_response_was_made_from_is_listed_in_pages(serve: Any, fakes: Any) -> None:
    engine = fakes.FakeEngine(script=lambda request: [CALL] if len(engine.requests) == 1 else ["Fine."])
    output = {"type": "function_call_output", "output": "sunny"}
    async with serve(engine) as client:
        first = await ask(client, tools=[WEATHER])
        call = first["output"][0]
        second = await ask(client, input=[{**output, "call_id": call["call_id"]}], previous_response_id=first["id"])
        path = f"/v1/responses/{second['id']}/input_items"
        listed = (await client.get(path, params={"order": "asc"})).json()
        newest = (await client.get(path, params={"limit": 1})).json()
        rest = (await client.get(path, params={"after": newest["last_id"]})).json()
        refused = [
            await client.get(path, params=each) for each in ({"limit": 0}, {"limit": 101}, {"after": "x"}, {"order": "x"})
        ]
        missing = await client.get("/v1/responses/resp_none/input_items")
    items = listed["data"]
    assert [item["type"] for item in items] == ["message", "function_call", "function_call_output"]
    assert items[0]["content"] == [{"type": "input_text", "text": "Hi"}]
    assert {key: items[1][key] for key in ("name", "arguments", "call_id")} == {
        key: call[key] for key in ("name", "arguments", "call_id")
    }
    assert items[2]["output"] == "sunny"
    assert (listed["has_more"], newest["has_more"]) == (False, True)
    assert newest["data"] == [items[2]]
    assert rest["data"] == [items[1], items[0]]
    assert [response.status_code for response in refused] == [400] * 4
    assert missing.status_code == 404


async def test_only_allowed_tools_may_be_called_and_the_prompt_keeps_all(serve: Any, fakes: Any) -> None:
    engine = fakes.FakeEngine()
    other = {**WEATHER, "name": "other"}
    async with serve(engine) as client:
        await ask(client, tools=[WEATHER, other])
        allowed = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "other"}]}
        await ask(client, tools=[WEATHER, other], tool_choice=allowed)
    free, limited = engine.requests
    assert free.prompt == limited.prompt
    assert "get_weather" in free.grammar.text
    assert "get_weather" not in limited.grammar.text


async def test_tools_are_counted_wherever_they_stand(serve: Any) -> None:
    many = {"type": "namespace", "name": "n", "tools": [{**WEATHER, "name": f"t{each}"} for each in range(600)]}
    async with serve() as client:
        response = await post(client, tools=[many, {**many, "name": "m"}])
    assert response.status_code == 400
    assert "are at most 1024" in response.json()["error"]["message"]
