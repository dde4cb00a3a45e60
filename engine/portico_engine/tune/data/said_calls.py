"""The calls in an answer's text, as our own form writes them. It knows no tools: whether one is valid, others say."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple


class SaidCall(NamedTuple):
    """A call as an answer has it. `arguments` may be anything."""

    name: str
    arguments: Any


def read_calls(answer: str) -> list[SaidCall] | str:
    """The calls of a text that begins as one does; or what is wrong with it."""
    try:
        said = json.loads(answer)
    except (ValueError, RecursionError):
        return "no JSON"
    found = []
    for call in said if isinstance(said, list) else [said]:
        if not isinstance(call, dict) or not isinstance(call.get("name"), str):
            return "no call"
        found.append(SaidCall(call["name"], call.get("arguments")))
    return found


def same_calls(one: Sequence[SaidCall], other: Sequence[SaidCall]) -> bool:
    """Are they the same, whatever their order? 1 and 1.0 are."""
    return Counter(map(_key, one)) == Counter(map(_key, other))


def _key(call: SaidCall) -> str:
    return json.dumps([call.name, plain(call.arguments)], sort_keys=True)


def plain(value: Any) -> Any:
    """Numbers that are whole as integers, so that equal ones are written alike."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
