"""The prompt that a model without a place for tools is given."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from portico_engine import AsyncEngine, Tool
from portico_gateway.http.generation.prepare import PROMPT_VERSION, prepare
from portico_gateway.http.generation.request import FieldNames, GenerationRequest, ToolCall, Turn

pytestmark = pytest.mark.anyio

FIELDS = FieldNames("messages", "max_tokens", "response_format")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_another_text_is_another_version(fakes: Any) -> None:
    """Adapters are trained on these texts. Where this fails, count PROMPT_VERSION up and put the new digest here."""
    fake = fakes.FakeEngine()
    engine = await AsyncEngine.open(lambda progress: fake)
    schema = {"type": "object", "properties": {"q": {"type": "string"}, "n": {"type": "integer"}}, "required": ["q"]}
    turns = (
        Turn("system", "Be brief."),
        Turn("user", "Why?"),
        Turn("assistant", "", tool_calls=(ToolCall("1", "t", '{"q":"x"}'),)),
        Turn("tool", "found", tool_call_id="1"),
    )
    try:
        await prepare(GenerationRequest("fake", turns, FIELDS, tools=(Tool("t", "Does it. And more.", schema),)), engine)
    finally:
        await engine.aclose()
    said = json.dumps([dict(message) for message in fake.rendered[-1]])
    assert (PROMPT_VERSION, hashlib.sha256(said.encode()).hexdigest()[:16]) == (1, "342a2ca676d88918")
