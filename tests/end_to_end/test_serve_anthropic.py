"""`portico serve` with the real default model, spoken to by the real `anthropic` client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

MODEL = "smollm2"
WEATHER: Any = {
    "name": "get_weather",
    "description": "Get the weather of a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
        "required": ["city", "unit"],
        "additionalProperties": False,
    },
}
GREEDY = {"temperature": 0}  # the client has no argument for it any more
ASKED: Any = {"role": "user", "content": "What is the weather in Paris?"}


@pytest.fixture
def client(base: str) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=base, api_key="none", max_retries=0, timeout=120) as made:
        yield made


def test_text_is_answered_and_its_tokens_are_counted(client: anthropic.Anthropic) -> None:
    counted = client.messages.count_tokens(model=MODEL, messages=[ASKED])
    answer = client.messages.create(model=MODEL, messages=[ASKED], max_tokens=8, extra_body=GREEDY)
    assert [block.type for block in answer.content] == ["text"]
    assert answer.stop_reason == "max_tokens"
    assert answer.usage.input_tokens + (answer.usage.cache_read_input_tokens or 0) == counted.input_tokens
    assert answer.usage.output_tokens == 8


def test_a_tool_is_called_and_its_result_taken(client: anthropic.Anthropic) -> None:
    first = client.messages.create(
        model=MODEL, messages=[ASKED], tools=[WEATHER], tool_choice={"type": "any"}, max_tokens=200, extra_body=GREEDY
    )
    assert first.stop_reason == "tool_use"
    (call,) = [block for block in first.content if block.type == "tool_use"]
    assert call.name == "get_weather"
    assert set(call.input) == {"city", "unit"}
    result: Any = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "Sunny, 31 degrees."}]}
    answer = client.messages.create(
        model=MODEL,
        messages=[ASKED, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}],
        tools=[WEATHER],
        tool_choice={"type": "none"},
        max_tokens=30,
        extra_body=GREEDY,
    )
    assert answer.content[0].type == "text"
    assert answer.content[0].text


def test_a_stream_adds_up_to_the_message(client: anthropic.Anthropic) -> None:
    settings: Any = {"model": MODEL, "messages": [ASKED], "tools": [WEATHER], "max_tokens": 200, "extra_body": GREEDY}
    with client.messages.stream(**settings, tool_choice={"type": "any"}) as stream:
        kinds = {event.type for event in stream}
        streamed = stream.get_final_message()
    whole = client.messages.create(**settings, tool_choice={"type": "any"})
    assert {"message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_stop"} <= kinds
    assert [(b.name, b.input) for b in streamed.content if b.type == "tool_use"] == [
        (b.name, b.input) for b in whole.content if b.type == "tool_use"
    ]
    assert streamed.stop_reason == "tool_use"


def test_an_answer_follows_a_json_schema(client: anthropic.Anthropic) -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer", "maximum": 150}}, "required": ["age"]}
    answer = client.messages.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Anna is 31 years old. Give me her age."}],
        output_config={"format": {"type": "json_schema", "schema": {**schema, "additionalProperties": False}}},
        max_tokens=50,
    )
    assert answer.content[0].type == "text"
    assert answer.content[0].text.startswith('{"age":')


def test_errors_come_as_the_clients_own(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError, match="this server has 'smollm2'"):
        client.messages.create(model="claude", messages=[ASKED], max_tokens=5)
    image: Any = {"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}]}
    with pytest.raises(anthropic.BadRequestError, match=r"messages\.0\.content\.0: the type 'image' is not taken here"):
        client.messages.create(model=MODEL, messages=[image], max_tokens=5)
