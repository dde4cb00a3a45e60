"""A model that goes round in a circle: the same call, with the same result, again and again. It stops nobody."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field

from portico_gateway.agent.free.turns import WrittenCall


def call_key(call: WrittenCall) -> str:
    """The same for calls that mean the same: the order of arguments doesn't count."""
    return f"{call.name}({json.dumps(call.arguments, sort_keys=True, ensure_ascii=False)}){call.problem}"


@dataclass(slots=True)
class RepeatedCalls:
    """Counts calls by what they are and what they gave. Calls between them don't matter: circles are often of two."""

    _seen: Counter[str] = field(default_factory=Counter)

    def count(self, call: WrittenCall, result: str) -> int:
        """How often this call has now given this result."""
        key = hashlib.sha256(f"{call_key(call)}\0{result}".encode()).hexdigest()
        self._seen[key] += 1
        return self._seen[key]
