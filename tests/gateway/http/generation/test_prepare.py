"""The prompt that a model without a place for tools is given."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from portico_engine import AsyncEngine, Tool
from portico_gateway.guidance.guided_call import GuidedCall
from portico_gateway.http.generation.prepare import EXPLAINED, PROMPT_VERSION, prepare
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


class Guide:
    """Guides every model, and remembers what it was told."""

    def __init__(self) -> None:
        self.told: dict[str, bool] = {}

    def guides(self, parameters: int) -> bool:
        return True

    def guide(self, tools: Any, question: str, earlier: str = "", **told: bool) -> GuidedCall:
        self.told = told
        return GuidedCall(tuple(tools), None)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, {"several": False, "tuned": False}),
        ({"parallel_tool_calls": True}, {"several": True, "tuned": False}),
        ({"prompts": EXPLAINED}, {"several": False, "tuned": True}),
        ({"prompts": "another's"}, {"several": False, "tuned": False}),
    ],
)
async def test_guidance_is_told_of_several_calls_and_of_an_adapter_that_has_learned_to_call(
    fakes: Any, asked: dict[str, Any], told: dict[str, bool]
) -> None:
    engine = await AsyncEngine.open(lambda progress: fakes.FakeEngine())
    guide = Guide()
    tools = (Tool("t", "Does it.", {"type": "object", "properties": {}}),)
    try:
        asked_for = GenerationRequest("fake", (Turn("user", "Why?"),), FIELDS, tools=tools, tool_choice="auto", **asked)
        await prepare(asked_for, engine, guide=guide)  # type: ignore[arg-type]
    finally:
        await engine.aclose()
    assert guide.told == told
