"""`portico serve` with the real default model, spoken to by the real `ollama` client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

ollama = pytest.importorskip("ollama", reason="the package ollama is not installed (extra clients)")

MODEL = "smollm2"


def boiling_time(litres: int, lid: bool) -> str:
    """How long a kettle takes to boil.

    Args:
        litres: how much water, in litres
        lid: whether the lid is closed
    """
    return f"{litres} {lid}"


@pytest.fixture
def client(base: str) -> Iterator[Any]:
    with ollama.Client(host=base) as made:
        yield made


def test_the_model_is_listed_described_and_running(client: Any) -> None:
    client.generate(model=MODEL)  # loads it
    assert [each.model for each in client.list().models] == [MODEL]
    assert [each.model for each in client.ps().models] == [MODEL]
    shown = client.show(MODEL)
    assert shown.modelinfo["general.architecture"] == "llama"
    assert shown.capabilities == ["completion", "tools"]


def test_a_function_is_called_with_arguments_of_its_types(client: Any) -> None:
    answer = client.chat(
        model=MODEL,
        messages=[{"role": "user", "content": "How long do 3 litres take to boil with the lid closed?"}],
        tools=[boiling_time],
        options={"seed": 1, "temperature": 0},
    )
    for call in answer.message.tool_calls or ():
        assert call.function.name == "boiling_time"
        boiling_time(**call.function.arguments)
        assert isinstance(call.function.arguments["litres"], int)
        assert isinstance(call.function.arguments["lid"], bool)
    assert answer.message.tool_calls or answer.message.content


def test_an_answer_follows_a_format_schema_whole_and_streamed(client: Any) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    asked: dict[str, Any] = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Anna is 31."}],
        "format": schema,
        "options": {"seed": 1},
    }
    whole = client.chat(**asked)
    assert set(json.loads(whole.message.content)) == {"name", "age"}
    pieces = list(client.chat(**asked, stream=True))
    assert set(json.loads("".join(piece.message.content for piece in pieces))) == {"name", "age"}
    assert pieces[-1].done_reason == "stop"
    assert pieces[-1].eval_count > 0


def test_a_text_is_gone_on_from_and_told_token_by_token(client: Any) -> None:
    pieces = list(client.generate(model=MODEL, prompt="Once upon a", raw=True, stream=True, options={"num_predict": 6}))
    assert "".join(piece.response for piece in pieces)
    assert pieces[-1].done_reason == "length"


def test_what_is_wrong_is_an_error_of_the_clients(client: Any) -> None:
    with pytest.raises(ollama.ResponseError, match="the model 'other' does not exist"):
        client.chat(model="other", messages=[{"role": "user", "content": "Hi"}])
