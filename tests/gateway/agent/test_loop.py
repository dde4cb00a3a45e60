from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import anyio
import mcp_types as types
import numpy as np
import numpy.typing as npt
import pytest

from portico_engine import Delta, FinishReason, Request, Tool, Usage
from portico_engine.grammar.ir import Text
from portico_gateway.agent.loop import Agent, AnswerText, CallFinished, CallStarted, Event, Finished
from portico_gateway.errors import GatewayError, UpstreamDied
from portico_gateway.guidance.tool_retrieval import Router

SEARCH = Tool(
    "code__search",
    "Search source code.",
    {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
)
LIST = Tool("docs__list", "List pages.", {"type": "object", "properties": {}})
HIT = {"root": "r", "path": "a.py", "start_line": 3, "text": "def free(self):"}
SEARCH_CALL = json.dumps({"name": "code__search", "arguments": {"query": "free"}})
LIST_CALL = json.dumps({"name": "docs__list", "arguments": {}})


def nothing(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    return np.zeros((len(texts), 4), np.float32)


class FakeHost:
    """Two tools; `answers` holds what each call returns or raises, in order."""

    def __init__(self, *answers: types.CallToolResult | Exception) -> None:
        self.answers = list(answers)
        self.called: list[tuple[str, dict[str, Any]]] = []

    def tools(self) -> Sequence[Tool]:
        return [SEARCH, LIST]

    def server_of(self, tool: str) -> str:
        return tool.split("__")[0]

    def profiles(self) -> Mapping[str, Sequence[str]]:
        return {}

    def templates(self, server: str) -> Sequence[str]:
        return ["code://{root}/{+path}"] if server == "code" else []

    async def call_tool(self, name: str, arguments: Mapping[str, Any]) -> types.CallToolResult:
        self.called.append((name, dict(arguments)))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def read_text(self, server: str, uri: str) -> str:
        return "\n\ndef free(self):\n"


class FakeEngine:
    """Says `texts` one after the other; a (text, reason) pair ends for another reason than stop."""

    def __init__(self, *texts: str | tuple[str, FinishReason], parameters: int = 135_000_000) -> None:
        self.texts = list(texts)
        self.requests: list[Request] = []
        self.info = SimpleNamespace(context_length=4096, parameters=parameters)

    async def tokenize(self, text: str) -> Sequence[str]:
        return text.split()

    async def render_chat(self, messages: Sequence[Any]) -> tuple[int, ...]:
        return tuple(range(len(messages)))

    async def generate(self, request: Request) -> AsyncIterator[Delta]:
        self.requests.append(request)
        said = self.texts.pop(0)
        text, reason = said if isinstance(said, tuple) else (said, FinishReason.STOP)
        yield Delta(request.id, text=text, tokens=(1, 2))
        usage = Usage(prompt_tokens=10, completion_tokens=4, forced_tokens=1, sampled_steps=3, decode_seconds=0.5)
        yield Delta(request.id, finish_reason=reason, usage=usage, error="it broke" if reason is FinishReason.ERROR else None)


def hits(*found: dict[str, Any]) -> types.CallToolResult:
    return types.CallToolResult(content=[], structured_content={"hits": list(found)})


def run(engine: FakeEngine, host: FakeHost, **options: Any) -> list[Event]:
    router = Router(host.tools(), {t.name: host.server_of(t.name) for t in host.tools()}, {}, nothing)

    async def collect() -> list[Event]:
        with anyio.fail_after(5):
            return [event async for event in Agent(engine, host, router).ask("Where is it freed?", **options)]  # type: ignore[arg-type]

    return anyio.run(collect)


def kinds(events: Sequence[Event]) -> list[type]:
    return [type(event) for event in events]


def test_a_question_becomes_a_call_a_result_an_answer_and_sources() -> None:
    host = FakeHost(hits(HIT))
    events = run(FakeEngine(SEARCH_CALL, "In a.py."), host)
    assert kinds(events) == [CallStarted, CallFinished, AnswerText, Finished]
    end = events[-1]
    assert isinstance(end, Finished)
    assert (end.found, end.answer) == (True, "In a.py.")
    assert [s.label for s in end.sources] == ["a.py:3"]
    assert host.called == [("code__search", {"query": "free"})]


def test_every_call_is_made_under_a_grammar_and_a_small_model_answers_in_quotations() -> None:
    engine = FakeEngine(SEARCH_CALL, "a.py:3: def free(self):")
    run(engine, FakeHost(hits(HIT)))
    answer = engine.requests[1].grammar
    assert engine.requests[0].grammar is not None
    assert answer is not None
    assert answer.ir is not None
    assert answer.ir.rules["root"] == Text("a.py:3: def free(self):")


def test_instructions_and_tools_are_kept_and_a_call_waits_for_its_result_in_memory() -> None:
    engine = FakeEngine(SEARCH_CALL, "a.py:3: def free(self):")
    run(engine, FakeHost(hits(HIT)))
    assert [(len(r.prompt), r.keep, r.pin > 0) for r in engine.requests] == [(2, 2, True), (4, 2, False)]


def test_a_larger_model_answers_in_its_own_words() -> None:
    engine = FakeEngine(SEARCH_CALL, "In a.py.", parameters=8_000_000_000)
    run(engine, FakeHost(hits(HIT)))
    assert [r.grammar is not None for r in engine.requests] == [True, False]


def test_an_empty_result_leads_to_another_tool_and_then_to_not_found() -> None:
    engine = FakeEngine(SEARCH_CALL, LIST_CALL)
    events = run(engine, FakeHost(hits(), hits()), max_steps=2)
    assert kinds(events) == [CallStarted, CallFinished, CallStarted, CallFinished, Finished]
    end = events[-1]
    assert isinstance(end, Finished)
    assert (end.found, end.answer) == (False, "")
    second = engine.requests[1].grammar
    assert second is not None
    assert "code__search" not in second.text, "a tool that found nothing is not asked again"


def test_a_server_that_dies_in_mid_call_is_named_and_the_others_go_on() -> None:
    events = run(
        FakeEngine(SEARCH_CALL, LIST_CALL, "Listed."), FakeHost(UpstreamDied("code", "ended (exit code 1)"), hits(HIT))
    )
    failed = events[1]
    assert isinstance(failed, CallFinished)
    assert failed.error == "server 'code' ended (exit code 1)"
    end = events[-1]
    assert isinstance(end, Finished)
    assert end.found


def test_an_error_result_is_not_shown_as_found() -> None:
    broken = types.CallToolResult(content=[types.TextContent(type="text", text="no such table")], is_error=True)
    events = run(FakeEngine(SEARCH_CALL), FakeHost(broken), max_steps=1)
    end = events[-1]
    assert isinstance(end, Finished)
    assert (end.found, end.calls[0].error) == (False, "no such table")


def test_a_call_that_was_cut_by_length_is_never_run() -> None:
    host = FakeHost()
    events = run(FakeEngine(('{"name":"code__search","argu', FinishReason.LENGTH)), host)
    assert kinds(events) == [CallFinished, Finished]
    assert host.called == []


def test_a_call_that_its_schema_refuses_gets_one_more_try_and_is_never_run() -> None:
    host = FakeHost()
    wrong = json.dumps({"name": "code__search", "arguments": {"query": 3}})
    engine = FakeEngine(wrong, wrong)
    events = run(engine, host)
    assert kinds(events) == [CallFinished, Finished]
    end = events[-1]
    assert isinstance(end, Finished)
    assert "not valid" in (end.calls[0].error or "")
    assert (len(engine.requests), host.called) == (2, [])


def test_a_valid_second_try_is_run() -> None:
    host = FakeHost(hits(HIT))
    wrong = json.dumps({"name": "code__search", "arguments": {"query": 3}})
    run(FakeEngine(wrong, SEARCH_CALL, "In a.py."), host)
    assert len(host.called) == 1


def test_a_failing_engine_is_an_error_of_ours_with_its_reason() -> None:
    with pytest.raises((GatewayError, ExceptionGroup), match="it broke"):
        run(FakeEngine(("", FinishReason.ERROR)), FakeHost())


def test_figures_add_up_over_the_generations() -> None:
    events = run(FakeEngine(SEARCH_CALL, "In a.py."), FakeHost(hits(HIT)))
    end = events[-1]
    assert isinstance(end, Finished)
    figures = end.figures
    assert (figures.completion_tokens, figures.sampled_steps, figures.forced_share) == (8, 6, 0.25)
    assert figures.tokens_per_second == 8.0
