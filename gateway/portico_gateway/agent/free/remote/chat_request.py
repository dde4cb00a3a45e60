"""A conversation and its tools as a chat completion's request, in the words that every OpenAI-compatible server takes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from portico_engine import Tool
from portico_gateway.agent.free.prompts import SYSTEM
from portico_gateway.agent.free.turn_model import TurnRequest
from portico_gateway.agent.free.turns import ModelTurn, ResultTurn, Turn, UserTurn, WrittenCall

Message = dict[str, Any]


def chat_request(model: str, turns: Sequence[Turn], tools: Sequence[Tool], asked: TurnRequest) -> dict[str, Any]:
    """The body. Where no call may be made the tools stay, so that the prompt does, and their use is forbidden."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "system", "content": SYSTEM}, *map(_message, turns)],
        "max_tokens": asked.max_tokens,
        "stream": False,
    }
    if offered := [_tool(tool) for tool in tools if tool.name not in asked.without]:
        body |= {"tools": offered, "tool_choice": "auto" if asked.may_call else "none"}
    return body


def _message(turn: Turn) -> Message:
    match turn:
        case UserTurn(text):
            return {"role": "user", "content": text}
        case ResultTurn():
            return {"role": "tool", "tool_call_id": turn.call.id, "content": turn.shown}
        case ModelTurn():
            message: Message = {"role": "assistant", "content": turn.text}
            if turn.thought and not turn.past:  # templates show it where the turn called, and leave it out elsewhere
                message["reasoning_content"] = turn.thought
            if turn.calls:
                message["tool_calls"] = [_call(call) for call in turn.calls]
            return message


def _call(call: WrittenCall) -> Message:
    arguments = json.dumps(call.arguments, ensure_ascii=False)
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _tool(tool: Tool) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)},
    }
