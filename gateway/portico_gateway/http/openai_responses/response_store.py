"""The last responses that clients had stored, in memory: to go on from, to be read again, to be deleted."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

from portico_gateway.http.errors import ApiError
from portico_gateway.http.openai_chat.body import Message

MOST = 256
MOST_BYTES = 64 << 20


class Kept(NamedTuple):
    """A response object, and the conversation up to its end."""

    response: dict[str, Any]
    turns: Sequence[Message]
    size: int


class KeptResponses:
    """At most MOST responses of MOST_BYTES of text together; the oldest go first, and none survives a restart."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._bytes = 0

    def keep(self, response: dict[str, Any], turns: Sequence[Message]) -> None:
        size = sum(len(turn.model_dump_json()) for turn in turns)
        self._kept[response["id"]] = Kept(response, turns, size)
        self._bytes += size
        while len(self._kept) > MOST or self._bytes > MOST_BYTES:
            _, gone = self._kept.popitem(last=False)
            self._bytes -= gone.size

    def get(self, name: str, *, param: str | None = None) -> Kept:
        """Raises ApiError (404 for a response asked for, 400 for one to go on from)."""
        if name not in self._kept:
            message = f"there is no response {name!r} here; the last {MOST} are kept in memory, unless store is false"
            raise ApiError(404 if param is None else 400, message, param=param, code="response_not_found")
        return self._kept[name]

    def drop(self, name: str) -> None:
        """Raises ApiError where it isn't there."""
        self._bytes -= self.get(name).size
        del self._kept[name]
