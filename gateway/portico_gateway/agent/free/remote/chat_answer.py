"""A chat completion as a turn. Servers differ in where a thought stands and in how whole a call is: what is no call is kept as
one that can't be made, so that the model is told."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from portico_engine import Usage
from portico_gateway.agent.free.turn_model import WrittenTurn
from portico_gateway.agent.free.turns import ModelTurn, WrittenCall
from portico_gateway.errors import ModelServerError

_ENDED = ("stop", "tool_calls", "function_call")  # by the model; "length" and others cut it
_THOUGHT = re.compile(r"\s*(?:<think>)?(?P<thought>.*?)</think>", re.DOTALL)  # where the server leaves it in the text


def turn_of(answer: Any, most_calls: int) -> WrittenTurn:
    """The first choice's. Calls beyond `most_calls` are not made. Raises ModelServerError where it is no chat completion."""
    choice = _first(answer)
    message, reason = choice["message"], choice.get("finish_reason")
    thought, text = _parted(message)
    ended = reason in _ENDED
    written = message.get("tool_calls") or []
    calls = [*_calls(written if isinstance(written, Sequence) else [], most_calls)]
    if not ended and calls:
        calls.pop()  # it may say less than it was to say, however whole it looks
    return WrittenTurn(ModelTurn(text, thought, tuple(calls)), ended)


def usage_of(answer: Mapping[str, Any], seconds: float) -> Usage:
    """What the server says of it, zeros where it says nothing; it took `seconds`."""
    said = answer.get("usage")
    said = said if isinstance(said, Mapping) else {}
    details = said.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else None
    prompt, completion = (_count(said.get(name)) for name in ("prompt_tokens", "completion_tokens"))
    return Usage(prompt, _count(cached), completion, 0, completion, seconds, seconds)


def _first(answer: Any) -> Mapping[str, Any]:
    choices = answer.get("choices") if isinstance(answer, Mapping) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, Mapping) or not isinstance(choice.get("message"), Mapping):
        raise ModelServerError(f"it answered with something that is no chat completion: {str(answer)[:200]}")
    return choice


def _parted(message: Mapping[str, Any]) -> tuple[str, str]:
    """Thought and text."""
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    text = content if isinstance(content, str) else ""
    thought = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(thought, str):
        return thought.strip(), text.strip()
    inside = _THOUGHT.match(text)
    return (inside["thought"].strip(), text[inside.end() :].strip()) if inside else ("", text.strip())


def _calls(written: Sequence[Any], most: int) -> Iterator[WrittenCall]:
    ids: set[str] = set()
    for number, each in enumerate(written):
        function = each.get("function") if isinstance(each, Mapping) else None
        function = function if isinstance(function, Mapping) else {}
        name, (arguments, problem) = str(function.get("name") or ""), _arguments(function.get("arguments"))
        if number >= most:
            problem = f"a turn may make {most} calls at most"
        id = each.get("id") if isinstance(each, Mapping) else None
        if isinstance(id, str) and id and id not in ids:
            ids.add(id)
            yield WrittenCall(name, arguments, id, problem=problem)
        else:
            yield WrittenCall(name, arguments, problem=problem)


def _arguments(written: Any) -> tuple[dict[str, Any], str]:
    """The arguments, and why they are none."""
    if isinstance(written, str):
        try:
            written = json.loads(written or "{}")
        except (ValueError, RecursionError) as error:
            return {}, f"its arguments are no JSON: {error}"
    if written is None:
        return {}, ""
    return (written, "") if isinstance(written, dict) else ({}, "its arguments must be a JSON object")


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
