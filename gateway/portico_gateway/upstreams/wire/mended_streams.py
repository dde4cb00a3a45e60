"""The two streams of a connection, between its wire and the SDK's client: answers are mended on their way in.

It owns the ids of the session's requests and which of them an answer belongs to, the protocol version that was agreed on, and
telling of repairs in the log; the rules of repair are `answers.py`'s, how much a server may ask `asked_requests.py`'s.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, NamedTuple

import anyio
import mcp_types
from mcp.shared.message import SessionMessage
from mcp_types import (
    CLIENT_CAPABILITIES_META_KEY,
    ClientCapabilities,
    JSONRPCError,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    RequestId,
    methods,
)
from mcp_types.version import LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION, MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from portico_gateway.upstreams.wire.answers import mend_result
from portico_gateway.upstreams.wire.asked_requests import AskedRequests, QuickAnswers
from portico_gateway.upstreams.wire.connection import UpstreamConnection
from portico_gateway.upstreams.wire.messages import id_number, scrubbed

log = logging.getLogger(__name__)

_MAX_WAITING = 10_000  # requests whose methods are remembered; answers to older ones are passed on as they are
_LISTS_CHANGED = frozenset(f"notifications/{kind}/list_changed" for kind in ("tools", "prompts", "resources"))
_MAX_TOLD = 100  # different repairs of one connection that are logged
# The SDK counts from 1. A server that sends answers ahead of what it is asked would be believed, so ids on the wire begin here.
FIRST_ID = 1 << 29


class _Waiting(NamedTuple):
    id: RequestId
    method: str


class AnswerMender:
    """Of one connection to the server named `server`."""

    def __init__(self, server: str, *, modern: bool = False, lists_changed: Callable[[], None] = lambda: None) -> None:
        """`modern`: the connection speaks 2026-07-28 without having asked. `lists_changed` is called where a server of the eras
        before says so."""
        self._server = server
        self._lists_changed = lists_changed
        self.requests = AskedRequests(server)
        self._version = LATEST_MODERN_VERSION if modern else LATEST_HANDSHAKE_VERSION
        self._waiting: OrderedDict[str, _Waiting] = OrderedDict()  # requests without an answer, by their ids on the wire
        self._told: set[str] = set()

    @property
    def waiting(self) -> Iterable[RequestId]:
        """The ids, as they are on the wire, of requests without an answer."""
        return (_wire_id(waiting.id) for waiting in self._waiting.values())

    def sent(self, message: mcp_types.JSONRPCMessage) -> None:
        """Give a request the id that it has on the wire, and remember what it asks."""
        if isinstance(message, JSONRPCRequest):
            self.requests.grant()
            waiting = _Waiting(message.id, message.method)
            message.id = _wire_id(message.id)
            self._waiting[str(message.id)] = waiting
            if len(self._waiting) > _MAX_WAITING:
                self._waiting.popitem(last=False)
        elif isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
            params = message.params or {}
            message.params = {**params, "requestId": _wire_id(params.get("requestId"))}
            self._waiting.pop(str(message.params["requestId"]), None)

    def is_wanted(self, message: mcp_types.JSONRPCMessage) -> bool:
        """Whether it is no answer, nor word of progress, to what nobody waits for. That lists have changed is told at once, and
        no more wanted: it may be said without end."""
        if isinstance(message, JSONRPCNotification) and message.method == "notifications/progress":
            return str(_wire_id((message.params or {}).get("progressToken"))) in self._waiting
        if (
            isinstance(message, JSONRPCNotification)
            and message.method in _LISTS_CHANGED
            and self._version not in MODERN_PROTOCOL_VERSIONS
        ):
            self._lists_changed()
            return False
        if not isinstance(message, JSONRPCResponse | JSONRPCError) or message.id is None or str(message.id) in self._waiting:
            return True
        if isinstance(number := id_number(message.id), int) and number < FIRST_ID:
            self._tell(f"server {self._server!r} answers what it was not asked, which is left out")
        return False  # else it comes too late

    def received(self, message: mcp_types.JSONRPCMessage) -> bool:
        """Mend an answer in place. Whether it is of use: a notification that is none (the SDK logs its traceback) is not."""
        if isinstance(message, JSONRPCNotification):
            return self._is_right(message)
        if isinstance(message, JSONRPCError) and message.id is None and len(self._waiting) == 1:
            (message.id,) = self.waiting  # a server that could not read a request can't say which; there is this one alone
        if not isinstance(message, JSONRPCResponse | JSONRPCError):
            return True
        if (asked := self._waiting.pop(str(message.id), None)) is None:
            return True
        message.id = asked.id
        if isinstance(message, JSONRPCError):
            return True
        message.result = self.mended(asked.method, message.result)
        self._take_version(asked.method, message.result)
        return True

    def mended(self, method: str, result: dict[str, Any]) -> dict[str, Any]:
        """The result of a request, as this protocol version takes it; what was odd about it is told."""
        mended = mend_result(method, result, self._version)
        for note in mended.notes:
            self._tell(f"server {self._server!r} answered {method} oddly: {note}")
        return mended.result

    def _is_right(self, message: JSONRPCNotification) -> bool:
        try:
            methods.parse_server_notification(message.method, self._version, message.params)
        except ValidationError:
            self._tell(f"server {self._server!r} told {message.method!r} oddly, which is left out")
            return False
        except (KeyError, ValueError):
            pass  # nothing is known of it
        return True

    def _take_version(self, method: str, result: dict[str, Any]) -> None:
        if method == "initialize" and isinstance(version := result.get("protocolVersion"), str):
            self._version = version
        elif method == "server/discover" and isinstance(versions := result.get("supportedVersions"), list):
            known = [version for version in MODERN_PROTOCOL_VERSIONS if version in versions]
            self._version = known[-1] if known else self._version

    def _tell(self, text: str) -> None:
        if text not in self._told and len(self._told) < _MAX_TOLD:
            self._told.add(text)
            log.warning("%s", text)


def _wire_id(identity: Any) -> Any:
    """The id that one of the session's has on the wire; names are their own."""
    number = id_number(identity)
    return FIRST_ID + number if isinstance(number, int) and not isinstance(number, bool) else identity


class MendedReadStream:
    """A read stream whose answers are mended, and which tells its connection when it ends. Requests beyond what is allowed are
    refused by `answers`, where it isn't said by whoever reads pipes."""

    def __init__(
        self, inner: Any, mender: AnswerMender, connection: UpstreamConnection, answers: QuickAnswers | None = None
    ) -> None:
        self._inner = inner
        self._mender = mender
        self._connection = connection
        self._answers = answers

    @property
    def last_context(self) -> Any:
        return getattr(self._inner, "last_context", None)

    async def receive(self) -> Any:
        while True:
            try:
                item = await self._inner.receive()
            except (anyio.EndOfStream, anyio.ClosedResourceError):
                if self._connection.pid is None:  # a process's end is told by whoever watches the process
                    self._connection.ended.set()
                raise
            if not isinstance(item, SessionMessage):
                return item
            if not self._mender.is_wanted(item.message):
                continue
            if self._answers is not None and not self._mender.requests.admit(item.message):
                if isinstance(item.message, JSONRPCRequest):
                    await self._answers.refuse(item.message)
                continue
            if self._mender.received(item.message):
                return item

    async def aclose(self) -> None:
        await self._inner.aclose()

    def __aiter__(self) -> MendedReadStream:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> MendedReadStream:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        result: bool | None = await self._inner.__aexit__(exc_type, exc, traceback)
        return result


class WatchedWriteStream:
    """A write stream that tells the mender what is asked, and the server what may be asked back."""

    def __init__(
        self, inner: Any, mender: AnswerMender, declared: Callable[[], ClientCapabilities | None] = lambda: None
    ) -> None:
        self._inner = inner
        self._mender = mender
        self._declared = declared

    async def send(self, item: SessionMessage) -> None:
        self._mender.sent(item.message)
        if isinstance(item.message, JSONRPCRequest):
            self._declare(item.message)
        if isinstance(item.message, JSONRPCRequest | JSONRPCNotification) and item.message.params is not None:
            item.message.params = scrubbed(item.message.params)
        elif isinstance(item.message, JSONRPCResponse):
            item.message.result = scrubbed(item.message.result)
        await self._inner.send(item)

    def _declare(self, message: JSONRPCRequest) -> None:
        """A request of 2026-07-28 carries capabilities, which the SDK's client takes from its connection: put the sender's in
        their place."""
        meta = (message.params or {}).get("_meta")
        if isinstance(meta, dict) and CLIENT_CAPABILITIES_META_KEY in meta and (can := self._declared()) is not None:
            own = can.model_dump(by_alias=True, mode="json", exclude_none=True)
            assert message.params is not None
            message.params = {**message.params, "_meta": {**meta, CLIENT_CAPABILITIES_META_KEY: own}}

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def __aenter__(self) -> WatchedWriteStream:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        result: bool | None = await self._inner.__aexit__(exc_type, exc, traceback)
        return result
