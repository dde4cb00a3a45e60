"""Servers' sampling requests, answered by the local model."""

from __future__ import annotations

from typing import Any

import mcp_types
import pytest
from tests.gateway.http import fake_engine as fakes

from portico_engine import AsyncEngine, FinishReason
from portico_gateway.errors import GatewayError
from portico_gateway.mcp.local_sampling import MAX_TOKENS, LocalSampler

pytestmark = pytest.mark.anyio


def said(content: Any, role: str = "user") -> mcp_types.SamplingMessage:
    return mcp_types.SamplingMessage.model_validate({"role": role, "content": content})


def text(words: str) -> mcp_types.TextContent:
    return mcp_types.TextContent(type="text", text=words)


async def sample(engine: Any, *messages: mcp_types.SamplingMessage, **params: Any) -> mcp_types.CreateMessageResult:
    async with AsyncEngine(engine) as running:

        async def get() -> AsyncEngine:
            return running

        given = {"messages": list(messages), "max_tokens": 100, **params}
        return await LocalSampler(get)(mcp_types.CreateMessageRequestParams.model_validate(given))


async def test_messages_become_a_chat_and_the_answer_one_text() -> None:
    engine = fakes.FakeEngine()
    messages = said(text("Hi")), said(text("Yes?"), "assistant"), said([text("Say"), text("more")])
    result = await sample(engine, *messages, system_prompt="Be kind.", temperature=0.0, stop_sequences=["END"])
    assert result.content == text("Hello there")
    assert (result.role, result.model, result.stop_reason) == ("assistant", "fake", "endTurn")
    assert [(m["role"], m["content"]) for m in engine.rendered[0]] == [
        ("system", "Be kind."),
        ("user", "Hi"),
        ("assistant", "Yes?"),
        ("user", "Say\nmore"),
    ]
    (request,) = engine.requests
    assert (request.sampling.temperature, request.stop, request.max_tokens) == (0.0, ("END",), 100)


async def test_an_answer_is_bounded_whatever_is_asked_for() -> None:
    engine = fakes.FakeEngine(finish=FinishReason.LENGTH)
    result = await sample(engine, said(text("Hi")), max_tokens=10**9)
    assert engine.requests[0].max_tokens == MAX_TOKENS
    assert result.stop_reason == "maxTokens"


async def test_what_the_model_cannot_read_or_take_is_named() -> None:
    image = mcp_types.ImageContent(type="image", data="", mime_type="image/png")
    with pytest.raises(GatewayError, match="reads text alone"):
        await sample(fakes.FakeEngine(), said(image))
    with pytest.raises(GatewayError, match="2000"):
        await sample(fakes.FakeEngine(), said(text("x" * 3000)))
    with pytest.raises(GatewayError, match="broken"):
        await sample(fakes.FakeEngine(script=lambda request: [RuntimeError("broken")]), said(text("Hi")))
