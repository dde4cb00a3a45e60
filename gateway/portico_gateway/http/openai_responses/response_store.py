"""The last responses that clients had stored, in memory: to go on from, to read again, to delete, each for its maker alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from portico_gateway.http.errors import ApiError
from portico_gateway.http.generation.request import Turn
from portico_gateway.http.json_text import json_text
from portico_gateway.http.openai_responses.tools import CalledTool

MAX_RESPONSES = 256  # of one caller
MAX_BYTES = 32 << 20  # of one caller's: what one body may have
MAX_BYTES_OF_ALL = 256 << 20  # access tokens may name any number of callers
_TURN_BYTES = 200  # of a turn's objects, about


class StoredResponse(NamedTuple):
    """A response object, and the conversation up to its end, of which `asked` turns were its input. `tools` are those of its
    request by the names that the model calls them by; `size` is in bytes, about."""

    response: dict[str, Any]
    turns: Sequence[Turn]
    size: int = 0
    asked: int = 0
    tools: Mapping[str, CalledTool] = MappingProxyType({})


@dataclass(slots=True)
class _Shelf:
    """One caller's responses, oldest first."""

    stored: OrderedDict[str, StoredResponse] = field(default_factory=OrderedDict)
    size: int = 0

    def drop_oldest(self) -> None:
        _, gone = self.stored.popitem(last=False)
        self.size -= gone.size


class ResponseStore:
    """At most MAX_RESPONSES responses of MAX_BYTES together for each caller; the oldest go first, and none survives a restart.

    Another caller's response is as one that isn't there. Where all together are too much, the oldest of whoever has most go.
    """

    def __init__(self) -> None:
        self._shelves: dict[str, _Shelf] = {}

    def put(self, caller: str, stored: StoredResponse) -> None:
        """Keep it; its size is worked out here. The tools are in the response too, and count once."""
        size = len(json_text(stored.response).encode()) + sum(_size(turn) for turn in stored.turns)
        shelf = self._shelves.setdefault(caller, _Shelf())
        shelf.stored[stored.response["id"]] = stored._replace(size=size)
        shelf.size += size
        while len(shelf.stored) > MAX_RESPONSES or shelf.size > MAX_BYTES:
            shelf.drop_oldest()
        while sum(each.size for each in self._shelves.values()) > MAX_BYTES_OF_ALL:
            max(self._shelves.values(), key=lambda each: each.size).drop_oldest()
        self._shelves = {name: each for name, each in self._shelves.items() if each.stored}

    def get(self, caller: str, name: str, *, param: str | None = None) -> StoredResponse:
        """Raises ApiError (404 for a response asked for, 400 for one to go on from)."""
        shelf = self._shelves.get(caller)
        if shelf is None or name not in shelf.stored:
            message = (
                f"there is no response {name!r} of yours here; the last {MAX_RESPONSES} ({MAX_BYTES >> 20} MiB) are kept in "
                "memory, unless store is false"
            )
            raise ApiError(404 if param is None else 400, message, param=param, code="response_not_found")
        return shelf.stored[name]

    def delete(self, caller: str, name: str) -> None:
        """Raises ApiError where it isn't there."""
        size = self.get(caller, name).size
        shelf = self._shelves[caller]
        del shelf.stored[name]
        shelf.size -= size


def _size(turn: Turn) -> int:
    """Its bytes; those of ASCII count four times where one character isn't, as Python keeps them."""
    texts = [turn.content, *(text for call in turn.tool_calls for text in (call.name, call.arguments))]
    return _TURN_BYTES + sum(len(text) if text.isascii() else 4 * len(text) for text in texts)
