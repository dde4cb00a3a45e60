from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.gateway.agent.fakes import FakeEngine, FakeHost, nothing

from portico_engine import Tool
from portico_gateway.agent.catalog_warmup import warm_catalog
from portico_gateway.agent.guided.loop import Agent
from portico_gateway.guidance.tool_retrieval import ToolRetriever

pytestmark = pytest.mark.anyio


class WordEngine(FakeEngine):
    """Whose tokens are numbers of words."""

    async def render_chat(self, messages: Sequence[dict[str, str]], tools: object = None) -> tuple[int, ...]:  # type: ignore[override]
        text = " ".join(f"<{message['role']}> {message['content']}" for message in messages)
        return tuple(sum(word.encode()) for word in text.split())


async def test_what_is_computed_beforehand_is_what_a_question_keeps() -> None:
    engine, host = WordEngine("", ""), FakeHost()
    tokens = await warm_catalog(engine, host)  # type: ignore[arg-type]
    (warmed,) = engine.requests
    assert len(warmed.prompt) == warmed.keep == warmed.shared_prefix_tokens == tokens > 20
    assert warmed.max_tokens == 1
    retriever = ToolRetriever(host.tools(), {tool.name: "code" for tool in host.tools()}, {}, nothing)
    agent = Agent(engine, host, retriever)  # type: ignore[arg-type]
    question = await agent.requests.request(await agent.requests.catalog(()), [{"role": "user", "content": "Where is free?"}])
    assert question.keep == warmed.keep
    assert question.prompt[: question.keep] == warmed.prompt


async def test_without_tools_nothing_is_computed() -> None:
    class Bare(FakeHost):
        def tools(self) -> Sequence[Tool]:
            return []

    engine = WordEngine()
    assert await warm_catalog(engine, Bare()) == 0  # type: ignore[arg-type]
    assert engine.requests == []
