"""The prompt that a model without a place for tools is given."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from portico_engine import AsyncEngine, Tool
from portico_gateway.guidance.guided_call import GuidedCall
from portico_gateway.guidance.question_readings import FoundPlaces, Readings
from portico_gateway.http.errors import ApiError
from portico_gateway.http.generation.prepare import prepare
from portico_gateway.http.generation.prompt import EXPLAINED, PROMPT_VERSION
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
        self.told: dict[str, Any] = {}

    def guides(self, parameters: int) -> bool:
        return True

    def knows(self, tools: Any) -> bool:
        return True

    def guide(self, tools: Any, question: str, earlier: str = "", **told: Any) -> GuidedCall:
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
    assert guide.told == {**told, "readings": {}}


FOUND = {"t": FoundPlaces(())}
ASKED = Turn("user", "Why?")
CALLED = (ASKED, Turn("assistant", "", tool_calls=(ToolCall("1", "t", "{}"),)), Turn("tool", "found", tool_call_id="1"))


@pytest.mark.parametrize(
    ("turns", "asked", "looked"),
    [
        ((ASKED,), {}, ["Why?"]),
        ((ASKED, Turn("assistant", "So."), Turn("user", "And then?")), {}, ["And then?"]),
        (CALLED, {}, []),  # what a later call looks for, earlier results say
        ((ASKED,), {"parallel_tool_calls": True}, []),
        ((ASKED,), {"tool_choice": "none"}, []),
    ],
)
async def test_the_first_call_for_a_question_is_guided_by_what_a_look_finds(
    fakes: Any, turns: tuple[Turn, ...], asked: dict[str, Any], looked: list[str]
) -> None:
    engine = await AsyncEngine.open(lambda progress: fakes.FakeEngine())
    guide, questions = Guide(), list[str]()

    async def look(tools: Sequence[Tool], question: str) -> Readings:
        assert [tool.name for tool in tools] == ["t"]
        questions.append(question)
        return FOUND

    tools = (Tool("t", "Does it.", {"type": "object", "properties": {}}),)
    try:
        request = GenerationRequest("fake", turns, FIELDS, tools=tools, **{"tool_choice": "auto", **asked})
        await prepare(request, engine, guide=guide, look=look)  # type: ignore[arg-type]
    finally:
        await engine.aclose()
    assert questions == looked
    if looked:
        assert guide.told["readings"] is FOUND


async def test_without_guidance_nothing_is_looked_at(fakes: Any) -> None:
    engine = await AsyncEngine.open(lambda progress: fakes.FakeEngine())

    async def look(tools: Sequence[Tool], question: str) -> Readings:
        raise AssertionError(question)

    tools = (Tool("t", "Does it.", {"type": "object", "properties": {}}),)
    try:
        await prepare(GenerationRequest("fake", (ASKED,), FIELDS, tools=tools, tool_choice="auto"), engine, look=look)
    finally:
        await engine.aclose()


async def test_a_prompt_that_fails_ends_the_look_beside_it(fakes: Any) -> None:
    engine = await AsyncEngine.open(lambda progress: fakes.FakeEngine())
    ended = anyio.Event()

    async def look(tools: Sequence[Tool], question: str) -> Readings:
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()
        return {}

    tools = (Tool("t", "Does it.", {"type": "object", "properties": {}}),)
    request = GenerationRequest("fake", (ASKED,), FIELDS, tools=tools, tool_choice="auto", prompt=(10**9,))
    try:
        with anyio.fail_after(10), pytest.raises(ApiError):
            await prepare(request, engine, guide=Guide(), look=look)  # type: ignore[arg-type]
        assert ended.is_set()
    finally:
        await engine.aclose()
