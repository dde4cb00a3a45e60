"""`portico serve` with the real default model, spoken to by the real `openai` client and the real MCP client."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import anyio
import openai
import pydantic
import pytest
from mcp.client.client import Client

MODEL = "smollm2"
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}


@pytest.fixture
def client(base: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{base}/v1", api_key="none", max_retries=0, timeout=120) as made:
        yield made


def test_the_model_is_listed(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).owned_by == "portico"


def test_a_tool_call_is_valid(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "What is the weather in Paris?"}],
        tools=[WEATHER],
        tool_choice="required",
        seed=1,
    )
    (choice,) = answer.choices
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == "get_weather"
    arguments = json.loads(call.function.arguments)
    assert set(arguments) == {"city", "unit"}
    assert arguments["unit"] in ("celsius", "fahrenheit")
    assert answer.usage is not None
    assert answer.usage.completion_tokens > 0


def test_a_tool_calls_result_can_be_handed_back(client: openai.OpenAI) -> None:
    first = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "Weather in Rome?"}], tools=[WEATHER], tool_choice="required", seed=1
    )
    message = first.choices[0].message
    assert message.tool_calls
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[
            {"role": "user", "content": "Weather in Rome?"},
            message,  # type: ignore[list-item]
            {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "Sunny, 31 degrees."},
        ],
        tools=[WEATHER],
        tool_choice="none",
        max_tokens=30,
        temperature=0,
    )
    assert answer.choices[0].message.content


def test_an_answer_follows_a_json_schema(client: openai.OpenAI) -> None:
    class Person(pydantic.BaseModel):
        name: str
        age: int

    answer = client.chat.completions.parse(
        model=MODEL,
        messages=[{"role": "user", "content": "Anna is 31 years old. Give me name and age."}],
        response_format=Person,
        seed=1,
    )
    assert isinstance(answer.choices[0].message.parsed, Person)


def test_an_answer_follows_a_gbnf_grammar(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Is the sky blue?"}],
        extra_body={"grammar": 'root ::= "yes" | "no"'},
    )
    assert answer.choices[0].message.content in ("yes", "no")
    assert answer.choices[0].finish_reason == "stop"


def test_a_stream_is_the_same_text_as_the_whole_answer(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Name three colours."}],
        "max_tokens": 10,  # longer texts may part at a near tie: the second prompt comes from the cache, and rounds differently
        "temperature": 0,
    }
    whole = client.chat.completions.create(**asked)
    chunks = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert len([text for text in texts if text]) > 3, "it comes in pieces"
    assert "".join(texts) == whole.choices[0].message.content
    assert chunks[-1].usage is not None
    assert whole.usage is not None
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


def test_a_streamed_tool_call_adds_up_to_valid_arguments(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(
        model=MODEL, messages=[{"role": "user", "content": "Weather in Oslo?"}], tools=[WEATHER], tool_choice="required", seed=2
    ) as stream:
        final = stream.get_final_completion()
    (call,) = final.choices[0].message.tool_calls or []
    assert set(json.loads(call.function.arguments)) == {"city", "unit"}


def test_a_seed_makes_an_answer_repeatable(client: openai.OpenAI) -> None:
    def answer() -> str | None:
        made = client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "Tell me a story."}], seed=7, temperature=1, max_tokens=16
        )
        return made.choices[0].message.content

    assert answer() == answer()


def test_a_stop_string_ends_the_answer_and_is_not_in_it(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Count: 1, 2, 3, 4, 5."}],
        stop=[","],
        max_tokens=30,
        temperature=0,
    )
    assert "," not in (answer.choices[0].message.content or "")


def test_errors_are_the_clients_own_exceptions(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "Hi"}])
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as long:
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "word " * 20_000}])
    assert long.value.code == "context_length_exceeded"
    assert "8192" in long.value.message


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_mcp_is_served_beside_it_in_both_eras(base: str, mode: str) -> None:
    async def look() -> tuple[set[str], bool]:
        async with Client(f"{base}/mcp", mode=mode) as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            result = await client.call_tool("docs__search", {"query": "descaling"})
            return names, "vinegar" in json.dumps(result.model_dump(mode="json"))

    names, found = anyio.run(look)
    assert {"code__search", "code__outline", "docs__search", "docs__read"} <= names
    assert found


def test_a_host_asks_the_local_model_through_mcp(base: str) -> None:
    async def ask() -> dict[str, Any]:
        async with Client(f"{base}/mcp") as client:
            result = await client.call_tool("ask", {"question": "What does the guide say about descaling the kettle?"})
            assert not result.is_error
            return dict(result.structured_content or {})

    answer = anyio.run(ask)
    assert answer["found"]
    assert "vinegar" in answer["evidence"]
    assert any("guide.md" in source for source in answer["sources"])


def test_responses_call_take_results_parse_and_stream(client: openai.OpenAI) -> None:
    tool: Any = {"type": "function", "strict": True, **WEATHER["function"]}
    settings: Any = {"model": MODEL, "tools": [tool], "temperature": 0}
    first = client.responses.create(input="What is the weather in Paris?", tool_choice="required", **settings)
    (call,) = first.output
    assert call.type == "function_call"
    assert set(json.loads(call.arguments)) == {"city", "unit"}
    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "Sunny, 31 degrees."}
    second = client.responses.create(
        input=[result], previous_response_id=first.id, tool_choice="none", max_output_tokens=30, **settings
    )
    assert second.output_text
    with client.responses.stream(input="What is the weather in Paris?", tool_choice="required", **settings) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds[-1] == "response.completed"
    assert [item.arguments for item in final.output if item.type == "function_call"] == [call.arguments]


def test_responses_follow_a_json_schema(client: openai.OpenAI) -> None:
    class Person(pydantic.BaseModel):
        name: str
        age: int

    answer = client.responses.parse(model=MODEL, input="Anna is 31 years old. Give me name and age.", text_format=Person)
    assert isinstance(answer.output_parsed, Person)


PERSON: Any = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer", "minimum": 0, "maximum": 150}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
DATE_GRAMMAR = 'start: YEAR "-" MONTH\nYEAR: /[0-9]{4}/\nMONTH: "0" /[1-9]/ | "1" /[0-2]/'


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_with_tools_and_a_format_the_answer_is_a_call_or_fits_the_schema(client: openai.OpenAI, seed: int) -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Who is Ada, aged 36?"}],
        tools=[WEATHER],
        response_format={"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON}},
        seed=seed,
        temperature=1.0,
        max_tokens=200,
    )
    message = answer.choices[0].message
    if message.tool_calls:
        assert set(json.loads(message.tool_calls[0].function.arguments)) == {"city", "unit"}  # type: ignore[union-attr]
    else:
        assert set(json.loads(message.content or "")) == {"name", "age"}


def test_a_custom_tools_text_follows_its_grammar_whole_and_streamed(client: openai.OpenAI) -> None:
    format: Any = {"type": "grammar", "syntax": "lark", "definition": DATE_GRAMMAR}
    asked: Any = {
        "model": MODEL,
        "input": "When was the moon landing?",
        "tools": [{"type": "custom", "name": "month", "description": "Looks a month up.", "format": format}],
        "tool_choice": {"type": "custom", "name": "month"},
    }
    (item,) = client.responses.create(**asked).output
    assert item.type == "custom_tool_call"
    assert re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", item.input)
    with client.responses.stream(**asked) as stream:
        deltas = [event.delta for event in stream if event.type == "response.custom_tool_call_input.delta"]
        (streamed,) = stream.get_final_response().output
    assert streamed.type == "custom_tool_call"
    assert "".join(deltas) == streamed.input
    assert re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", streamed.input)


def test_several_answers_and_a_text_that_goes_on(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "Say a word."}], n=2, max_tokens=4, seed=1
    )
    assert [choice.index for choice in answer.choices] == [0, 1]
    text = client.completions.create(model=MODEL, prompt="The capital of France is", max_tokens=2, temperature=0)
    assert "Paris" in text.choices[0].text
    found = client.embeddings.create(model=MODEL, input=["A cat sat on the mat.", "A cat is on the mat.", "Prices fell by 3%."])
    cat, other_cat, prices = (entry.embedding for entry in found.data)
    assert len(cat) == 576
    assert sum(a * b for a, b in zip(cat, other_cat, strict=True)) > sum(a * b for a, b in zip(cat, prices, strict=True))
    assert found.usage.prompt_tokens > 15
