"""The two streams of a connection, between its wire and the SDK's client: answers are mended on their way in.

It owns which request an answer belongs to, how many of the server's own are under way, the protocol version that was agreed on,
and telling of repairs in the log; the rules of repair are `answers.py`'s.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
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
from portico_gateway.upstreams.wire.connection import UpstreamConnection
from portico_gateway.upstreams.wire.messages import scrubbed

log = logging.getLogger(__name__)

_MAX_WAITING = 10_000  # requests whose methods are remembered; answers to older ones are passed on as they are
_MAX_TOLD = 100  # different repairs of one connection that are logged
_MAX_ASKED = 64  # requests of the server's (pings among them) that are answered at once; the next one waits
_PATIENCE = 1.0  # seconds that it waits at most: one that is never answered slows the server's others, and stops nothing


class AskedRequests:
    """What a server has asked and has no answer to yet: it is read no faster than it is answered."""

    def __init__(self) -> None:
        self._open: set[str] = set()
        self._changed = anyio.Event()

    async def asked(self, message: mcp_types.JSONRPCMessage) -> None:
        """Returns when there is room for it."""
        if isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
            self._open.discard(str((message.params or {}).get("requestId")))
        if not isinstance(message, JSONRPCRequest):
            return
        with anyio.move_on_after(_PATIENCE):
            while len(self._open) >= _MAX_ASKED:
                await self._changed.wait()
        self._open.add(str(message.id))

    def answered(self, message: mcp_types.JSONRPCMessage) -> None:
        if isinstance(message, JSONRPCResponse | JSONRPCError):
            self._open.discard(str(message.id))
            self._changed.set()
            self._changed = anyio.Event()


class _Waiting(NamedTuple):
    id: RequestId
    method: str


class AnswerMender:
    """Of one connection to the server named `server`."""

    def __init__(self, server: str, *, modern: bool = False) -> None:
        """`modern`: the connection speaks 2026-07-28 without having asked."""
        self._server = server
        self.requests = AskedRequests()
        self._version = LATEST_MODERN_VERSION if modern else LATEST_HANDSHAKE_VERSION
        self._waiting: OrderedDict[str, _Waiting] = OrderedDict()  # requests without an answer
        self._told: set[str] = set()

    @property
    def n_waiting(self) -> int:
        """Requests without an answer."""
        return len(self._waiting)

    def sent(self, message: mcp_types.JSONRPCMessage) -> None:
        """Remember what a request asks."""
        if isinstance(message, JSONRPCRequest):
            self._waiting[str(message.id)] = _Waiting(message.id, message.method)
            if len(self._waiting) > _MAX_WAITING:
                self._waiting.popitem(last=False)
        elif isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
            self._waiting.pop(str((message.params or {}).get("requestId")), None)

    def received(self, message: mcp_types.JSONRPCMessage) -> bool:
        """Mend an answer in place. Whether it is of use: a notification that is none (the SDK logs its traceback) is not."""
        if isinstance(message, JSONRPCNotification):
            return self._is_right(message)
        if isinstance(message, JSONRPCError) and message.id is None and len(self._waiting) == 1:
            (waiting,) = self._waiting.values()
            message.id = waiting.id  # a server that could not read a request can't say which; there is this one alone
        if not isinstance(message, JSONRPCResponse | JSONRPCError):
            return True
        asked = self._waiting.pop(str(message.id), None)
        if asked is None or isinstance(message, JSONRPCError):
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


class MendedReadStream:
    """A read stream whose answers are mended, and which tells its connection when it ends."""

    def __init__(self, inner: Any, mender: AnswerMender, connection: UpstreamConnection) -> None:
        self._inner = inner
        self._mender = mender
        self._connection = connection

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
            if self._mender.received(item.message):
                await self._mender.requests.asked(item.message)
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
        self._mender.requests.answered(item.message)

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
