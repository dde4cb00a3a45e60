"""The gateway's own MCP tool: a host's model hands a whole question to the local model and gets the answer with its sources.

It owns the tool's definition and how an answer becomes its result. It knows neither where the engine comes from nor the loop.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import mcp_types as types
from mcp.shared.dispatcher import ProgressFnT

from portico_gateway.caller import Caller, current_caller
from portico_gateway.errors import GatewayError
from portico_gateway.mcp.server import OwnTool
from portico_gateway.model.lazy_engine import GetEngine
from portico_gateway.policy.tool_calls import ToolCalls

if TYPE_CHECKING:
    from portico_engine import EngineClient
    from portico_gateway.agent.events import RunFinished
    from portico_gateway.agent.select import Guidance

TOOL = types.Tool(
    name="ask",
    title="Ask the local model",
    description="Answer a question about the user's code, documents and databases, by a model on this machine, with sources.",
    input_schema={
        "type": "object",
        "properties": {"question": {"type": "string", "minLength": 1, "maxLength": 4000}},
        "required": ["question"],
        "additionalProperties": False,
    },
    output_schema={
        "type": "object",
        "properties": {
            "answer": {"type": "string"},
            "found": {"type": "boolean"},
            "evidence": {"type": "string"},
            "sources": {"type": "array", "items": {"type": "string"}},
            "verdict": {"enum": ["answered", "no answer", "not found", "denied"]},
            "confidence": {"type": ["number", "null"], "description": "That the answer is right, 0 to 1"},
            "unused_words": {"type": "array", "items": {"type": "string"}, "description": "Of the question, not accounted for"},
        },
        "required": ["answer", "found", "evidence", "sources", "verdict", "confidence", "unused_words"],
    },
    annotations=types.ToolAnnotations(read_only_hint=True, open_world_hint=False),
)


def ask_tool(tool_calls: ToolCalls, get_engine: GetEngine, guidance: Guidance = "auto") -> OwnTool:
    """The tool, answering through `tool_calls` with the engine that `get_engine` gives, guided or not. It calls read-only
    tools alone, for whoever calls it."""

    async def call(arguments: dict[str, Any], progress: ProgressFnT | None) -> types.CallToolResult:
        question = arguments.get("question")
        if not isinstance(question, str) or not question.strip():
            raise GatewayError("'question' must be a text that is not empty")
        if progress is not None:
            await progress(0.0, None, "loading the model")
        asks = current_caller.get() or Caller()
        caller = Caller(name=asks.name, client="ask", conversation=asks.conversation)
        return await _answer(tool_calls, await get_engine(), question.strip(), caller, progress, guidance)

    return OwnTool(TOOL, call)


async def _answer(
    tool_calls: ToolCalls,
    engine: EngineClient,
    question: str,
    caller: Caller,
    progress: ProgressFnT | None,
    guidance: Guidance,
) -> types.CallToolResult:
    from portico_engine import EngineDied, EngineError
    from portico_gateway.agent.events import RunFinished, ToolCallStarted
    from portico_gateway.agent.select import select_agent
    from portico_gateway.agent.upstream_tool_host import UpstreamToolHost

    host = UpstreamToolHost(tool_calls.upstreams, tool_calls=tool_calls, caller=caller, read_only=True)
    host.question = question
    agent = await anyio.to_thread.run_sync(partial(select_agent, engine, host, guidance=guidance, caller=caller.name))
    steps = 0
    try:
        async for event in agent.ask(question):
            if isinstance(event, ToolCallStarted) and progress is not None:
                steps += 1
                await progress(float(steps), None, f"calling {event.tool}")
            if isinstance(event, RunFinished):
                return _result(event)
    except EngineDied as error:
        raise GatewayError(f"{error}; it is started again, so ask again in a moment") from None
    except EngineError as error:
        raise GatewayError(str(error)) from None
    raise AssertionError("the loop ended without an end")


def _result(end: RunFinished) -> types.CallToolResult:
    evidence = "\n\n".join(call.result.text for call in end.tool_calls if call.result.found)
    sources = [f"{source.label} ({source.server})" for source in end.citations]
    judgement = end.judgement
    head = end.answer if judgement.answered else _no_answer(end)
    text = "\n\n".join([head, evidence, "Sources: " + ", ".join(sources) if sources else "", *judgement.incomplete]).strip()
    data = {
        "answer": end.answer,
        "found": judgement.answered,
        "evidence": evidence,
        "sources": sources,
        "verdict": judgement.verdict.value,
        "confidence": judgement.confidence,
        "unused_words": list(judgement.coverage.unused),
    }
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], structured_content=data)


def _no_answer(end: RunFinished) -> str:
    """Why there is none, in a line."""
    searched = ", ".join(call.tool for call in end.tool_calls if call.tool) or "nothing"
    errors = "; ".join(call.error for call in end.tool_calls if call.error)
    unused = ", ".join(end.judgement.coverage.unused)
    said = end.judgement.verdict.value.capitalize()
    return (
        f"{said}. Searched with: {searched}."
        + (f" Words not used: {unused}." if unused else "")
        + (f" Errors: {errors}" if errors else "")
    )
