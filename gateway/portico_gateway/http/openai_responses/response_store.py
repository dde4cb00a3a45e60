"""The last responses that clients had stored, in memory: to go on from, to be read again, to be deleted."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

from portico_gateway.http.errors import ApiError
from portico_gateway.http.generation.request import Turn

MAX_RESPONSES = 256
MAX_CHARACTERS = 64 << 20


class StoredResponse(NamedTuple):
    """A response object, and the conversation up to its end."""

    response: dict[str, Any]
    turns: Sequence[Turn]
    size: int


class ResponseStore:
    """At most MAX_RESPONSES responses of MAX_CHARACTERS together; the oldest go first, and none survives a restart."""

    def __init__(self) -> None:
        self._stored: OrderedDict[str, StoredResponse] = OrderedDict()
        self._characters = 0

    def put(self, response: dict[str, Any], turns: Sequence[Turn]) -> None:
        size = sum(_size(turn) for turn in turns)
        self._stored[response["id"]] = StoredResponse(response, turns, size)
        self._characters += size
        while len(self._stored) > MAX_RESPONSES or self._characters > MAX_CHARACTERS:
            _, gone = self._stored.popitem(last=False)
            self._characters -= gone.size

    def get(self, name: str, *, param: str | None = None) -> StoredResponse:
        """Raises ApiError (404 for a response asked for, 400 for one to go on from)."""
        if name not in self._stored:
            message = f"there is no response {name!r} here; the last {MAX_RESPONSES} are kept in memory, unless store is false"
            raise ApiError(404 if param is None else 400, message, param=param, code="response_not_found")
        return self._stored[name]

    def delete(self, name: str) -> None:
        """Raises ApiError where it isn't there."""
        self._characters -= self.get(name).size
        del self._stored[name]


def _size(turn: Turn) -> int:
    """Its characters."""
    return len(turn.content) + sum(len(call.name) + len(call.arguments) for call in turn.tool_calls)
