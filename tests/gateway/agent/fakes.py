"""A host of two tools and an engine that says what it is told to, for the agent's tests."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import anyio
import mcp_types as types
import numpy as np
import numpy.typing as npt

from portico_engine import Delta, FinishReason, Request, Tool, Usage
from portico_gateway.agent.events import Event
from portico_gateway.agent.guided.loop import Agent
from portico_gateway.guidance.question_readings import Reading
from portico_gateway.guidance.tool_retrieval import ToolRetriever
from portico_gateway.guidance.weights import DEFAULT_WEIGHTS, Weights

SEARCH = Tool(
    "code__search",
    "Search source code.",
    {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
)
LIST = Tool(
    "docs__list",
    "List pages.",
    {"type": "object", "properties": {"library": {"type": "string", "default": "free"}}, "required": ["library"]},
)
HIT = {"root": "r", "path": "a.py", "start_line": 3, "text": "def free(self):"}
SEARCH_CALL = json.dumps({"name": "code__search", "arguments": {"query": "free"}})
LIST_CALL = json.dumps({"name": "docs__list", "arguments": {"library": "free"}})


EVER_SO_UNSURE = replace(DEFAULT_WEIGHTS, confidence=replace(DEFAULT_WEIGHTS.confidence, threshold=0.0))


def nothing(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    return np.zeros((len(texts), 4), np.float32)


class FakeHost:
    """Two tools; `answers` holds what each call returns or raises, in order."""

    def __init__(self, *answers: types.CallToolResult | Exception) -> None:
        self.answers = list(answers)
        self.writes: set[str] = set()
        self.called: list[tuple[str, dict[str, Any]]] = []
        self.readings: dict[str, Reading] = {}

    def tools(self) -> Sequence[Tool]:
        return [SEARCH, LIST]

    def server_of(self, tool: str) -> str:
        return tool.split("__")[0]

    def is_read_only(self, tool: str) -> bool:
        return tool not in self.writes

    def profiles(self) -> Mapping[str, Sequence[str]]:
        return {}

    def templates(self, server: str) -> Sequence[str]:
        return ["code://{root}/{+path}"] if server == "code" else []

    def may_run_concurrently(self, tool: str) -> bool:
        return tool not in self.writes

    async def call_tool(self, name: str, arguments: Mapping[str, Any]) -> types.CallToolResult:
        self.called.append((name, dict(arguments)))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def read_question(self, tool: str, question: str) -> Reading | None:
        return self.readings.get(tool)

    async def read_text(self, server: str, uri: str) -> str:
        return "\n\ndef free(self):\n"


class FakeEngine:
    """Says `texts` one after the other; a (text, reason) pair ends for another reason than stop."""

    def __init__(self, *texts: str | tuple[str, FinishReason], parameters: int = 135_000_000) -> None:
        self.texts = list(texts)
        self.requests: list[Request] = []
        self.rendered: list[Any] = []
        self.prompts: list[list[Any]] = []  # the messages of each request
        self.info = SimpleNamespace(context_length=4096, parameters=parameters)

    async def tokenize(self, text: str) -> Sequence[str]:
        return text.split()

    async def render_chat(self, messages: Sequence[Any]) -> tuple[int, ...]:
        if messages[-1]["content"]:  # else it is asked how much of a prompt never changes
            self.rendered = list(messages)
        return tuple(range(len(messages)))

    async def generate(self, request: Request) -> AsyncIterator[Delta]:
        self.requests.append(request)
        self.prompts.append(self.rendered)
        said = self.texts.pop(0)
        text, reason = said if isinstance(said, tuple) else (said, FinishReason.STOP)
        yield Delta(request.id, text=text, tokens=(1, 2))
        usage = Usage(prompt_tokens=10, completion_tokens=4, forced_tokens=1, sampled_steps=3, decode_seconds=0.5)
        yield Delta(request.id, finish_reason=reason, usage=usage, error="it broke" if reason is FinishReason.ERROR else None)


def hits(*found: dict[str, Any]) -> types.CallToolResult:
    return types.CallToolResult(content=[], structured_content={"hits": list(found)})


def run(
    engine: FakeEngine,
    host: FakeHost,
    question: str = "Where is free defined?",
    *,
    weights: Weights = EVER_SO_UNSURE,
    **options: Any,
) -> list[Event]:
    servers = {t.name: host.server_of(t.name) for t in host.tools()}
    retriever = ToolRetriever(host.tools(), servers, {}, nothing, weights)

    async def collect() -> list[Event]:
        with anyio.fail_after(60):
            return [event async for event in Agent(engine, host, retriever).ask(question, **options)]  # type: ignore[arg-type]

    return anyio.run(collect)


def kinds(events: Sequence[Event]) -> list[type]:
    return [type(event) for event in events]
