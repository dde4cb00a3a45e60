"""Every text that the agent itself says to the model. It knows no template: the engine renders messages to tokens."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from portico_gateway.agent.events import ToolCallFinished
from portico_gateway.agent.tool_signatures import CatalogText

Message = Mapping[str, str]

PROMPT_VERSION = 1  # of every text here and of tools' signatures: adapters are trained on them, and name it

SYSTEM = "You answer questions about the user's files and data. Call the tool that fits the question best.\n\nTools:\n"
CALL_FORM = '\n\nA call is JSON: {"name":"TOOL","arguments":{...}}'


def with_system(catalog: CatalogText, turns: Sequence[Message]) -> list[Message]:
    """The turns behind the instructions and the tools."""
    return [{"role": "system", "content": SYSTEM + catalog.text + CALL_FORM}, *turns]


def stable_system(catalog: CatalogText) -> str:
    """The beginning of the system message that is the same for every question."""
    return SYSTEM + catalog.stable + ("" if catalog.abridged else CALL_FORM)


def refused_call(tool: str, arguments: Mapping[str, Any], violation: str, question: str) -> list[Message]:
    """A call that its schema does not take, and what to do about it."""
    return [
        {"role": "assistant", "content": _call(tool, arguments)},
        {"role": "user", "content": f"That call is not valid, {violation}. Call again: {question}"},
    ]


def finished_call(call: ToolCallFinished, question: str) -> list[Message]:
    """A call with its result, and what to do with it."""
    return [
        {"role": "assistant", "content": _call(call.tool, call.arguments)},
        {"role": "user", "content": _result(call, question)},
    ]


def _call(tool: str, arguments: Mapping[str, Any]) -> str:
    return json.dumps({"name": tool, "arguments": arguments}, ensure_ascii=False, separators=(",", ":"))


def _result(call: ToolCallFinished, question: str) -> str:
    if call.error is not None:
        return f"{call.tool} failed: {call.error}\n\nTry another tool for: {question}"
    if not call.result.found:
        return f"{call.tool} found nothing.\n\nTry another tool for: {question}"
    return f"Result of {call.tool}:\n{call.result.text}\n\nAnswer in one or two sentences, from this result alone: {question}"
