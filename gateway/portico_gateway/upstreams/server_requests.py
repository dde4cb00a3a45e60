"""What one upstream asks while it is called (elicitation, sampling, roots), brought to whoever called, and the answer back.

It owns finding the caller and stopping the call's clock meanwhile. A server of 2026-07-28 asks within the call's own answer;
one of 2025-11-25 sends a request that names no call, so where several callers are at work nobody is asked, rather than the
wrong one.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import anyio
import mcp_types
from mcp.shared.exceptions import MCPError
from mcp_types import ClientCapabilities, ErrorData

from portico_gateway.caller import Caller, current_caller, on_behalf_of, supports_elicitation
from portico_gateway.errors import GatewayError, UpstreamError
from portico_gateway.upstreams.names import RELATED_TASK, task_name

Sampler: TypeAlias = Callable[[mcp_types.CreateMessageRequestParams], Awaitable[mcp_types.CreateMessageResult]]
# They tell of a connection's end, here of the host's: as an answer to a server they would be taken for the server's own end.
_CONNECTION_CODES = (mcp_types.CONNECTION_CLOSED, mcp_types.REQUEST_TIMEOUT)
log = logging.getLogger(__name__)
_TELL_TIMEOUT = 1.0  # seconds that a host has to take a notification
_MAX_PAGES = 100  # pages that users were sent to by one server and that aren't done yet
MAX_REQUESTS = 32  # of one call, answered or not: a server that needs more asks in circles
MAX_OPEN_REQUESTS = 4  # of one call at once
MAX_PAUSE = 3600.0  # seconds that a call's clock stands still in all, while others are asked
_T = TypeVar("_T")
_Response = TypeVar("_Response", bound=mcp_types.InputResponse)


class TooManyRequests(UpstreamError):
    """The server asks more than one call may."""


class CallEnded(GatewayError):
    """Nobody waits for the answer any more."""


@dataclass(eq=False, slots=True)
class _CallInFlight:
    """A call in flight at the upstream."""

    caller: Caller | None
    deadline: anyio.CancelScope
    timeout: float
    n_open_requests: int = 0
    n_requests: int = 0
    paused: float = 0.0  # seconds in all
    paused_since: float = 0.0
    open_requests: list[anyio.CancelScope] = field(default_factory=list)


_NOTHING = ClientCapabilities()  # of a host that can be asked nothing
_own_call: ContextVar[_CallInFlight | None] = ContextVar("own_call", default=None)


class ServerRequests:
    """The requests of the server named `server`. Its methods named after capabilities are the SDK client's callbacks."""

    def __init__(self, server: str, sampler: Sampler | None = None) -> None:
        """`sampler` answers sampling requests where the host can't; it may raise GatewayError."""
        self._server = server
        self._sampler = sampler
        self._calls: list[_CallInFlight] = []
        self._declared = ClientCapabilities()
        self._declared_of: ClientCapabilities | None = None  # whose capabilities those are
        self._sent_to_pages: dict[str, Caller] = {}  # by elicitation, the oldest first

    @property
    def n_in_flight(self) -> int:
        """Calls that the server has not answered."""
        return len(self._calls)

    @contextmanager
    def in_flight(self, deadline: anyio.CancelScope, timeout: float) -> Iterator[None]:
        """A call runs within the block, for the current caller; `deadline` is its clock, of `timeout` seconds."""
        call = _CallInFlight(current_caller.get(), deadline, timeout)
        self._calls.append(call)
        token = _own_call.set(call)
        try:
            yield
        finally:
            _own_call.reset(token)
            self._calls.remove(call)
            for request in list(call.open_requests):
                request.cancel()

    @contextmanager
    def _counted(self, call: _CallInFlight) -> Iterator[None]:
        """Count one request against the call that it belongs to, whose clock stands still. Raises TooManyRequests."""
        if call.n_requests >= MAX_REQUESTS:
            raise TooManyRequests(self._server, f"has asked {MAX_REQUESTS} things within one call, which is the most")
        if call.n_open_requests >= MAX_OPEN_REQUESTS:
            raise TooManyRequests(self._server, f"asks {MAX_OPEN_REQUESTS} things at once within one call, which is the most")
        call.n_requests += 1
        with _deadline_stopped(call):
            yield

    def declared(self) -> ClientCapabilities | None:
        """What whoever makes the running call can be asked, the local model's sampling with it; None outside of calls. Servers
        of 2026-07-28 are told so with each request."""
        call = _own_call.get()
        if call is None or call.caller is None:
            return None
        can = call.caller.capabilities if call.caller.ask is not None else _NOTHING
        if can is not self._declared_of:  # mostly it is the same host that calls again
            sampling = can.sampling or (mcp_types.SamplingCapability() if self._sampler is not None else None)
            self._declared = ClientCapabilities(elicitation=can.elicitation, sampling=sampling, roots=can.roots)
            self._declared_of = can
        return self._declared

    async def elicitation(self, context: Any, params: mcp_types.ElicitRequestParams) -> mcp_types.ElicitResult | ErrorData:
        """Ask the host's user."""
        call = self._call_of_request()
        is_page = isinstance(params, mcp_types.ElicitRequestURLParams) and params.elicitation_id is not None
        if call is not None and call.caller is not None and is_page:
            assert isinstance(params, mcp_types.ElicitRequestURLParams)
            self._sent_to_pages[str(params.elicitation_id)] = call.caller
            if len(self._sent_to_pages) > _MAX_PAGES:
                del self._sent_to_pages[next(iter(self._sent_to_pages))]
        if call is None or call.caller is None or not supports_elicitation(call.caller.capabilities, params.mode):
            url = mcp_types.UrlElicitationCapability() if params.mode == "url" else None
            form = mcp_types.FormElicitationCapability() if params.mode == "form" else None
            needed = ClientCapabilities(elicitation=mcp_types.ElicitationCapability(form=form, url=url))
            return self._unanswerable(f"asks the user for input ({params.mode})", needed)
        return await self._ask(call, mcp_types.ElicitRequest(params=params), mcp_types.ElicitResult, context)

    async def sampling(
        self, context: Any, params: mcp_types.CreateMessageRequestParams
    ) -> mcp_types.CreateMessageResult | mcp_types.CreateMessageResultWithTools | ErrorData:
        """Ask the host's model, or the local one where the host offers none."""
        call = self._call_of_request()
        caller = call.caller if call else None
        can = caller.capabilities.sampling if caller else None
        if can is not None and (not params.tools or can.tools is not None):
            request = mcp_types.CreateMessageRequest(params=params)
            if params.tools:
                return await self._ask(call, request, mcp_types.CreateMessageResultWithTools, context)
            return await self._ask(call, request, mcp_types.CreateMessageResult, context)
        if self._sampler is None or params.tools:
            tools = mcp_types.SamplingToolsCapability() if params.tools else None
            needed = ClientCapabilities(sampling=mcp_types.SamplingCapability(tools=tools))
            return self._unanswerable("asks for a model's answer" + (" with tools" if params.tools else ""), needed)
        charged = call or (self._calls[-1] if self._calls else None)  # the model's time is some call's, whosever
        if charged is None:
            return self._unanswerable("asks for a model's answer while nobody calls it", ClientCapabilities())
        try:
            with self._counted(charged), on_behalf_of(charged.caller or Caller()):
                return await _while_called(charged, self._sampler(params))
        except TooManyRequests as error:
            return ErrorData(code=mcp_types.INVALID_REQUEST, message=str(error))
        except GatewayError as error:
            return ErrorData(code=mcp_types.INTERNAL_ERROR, message=f"the local model can't answer: {error}")

    async def roots(self, context: Any) -> mcp_types.ListRootsResult | ErrorData:
        """The host's roots; none where it has none to tell, or the server asks outside of a call."""
        call = self._call_of_request()
        if call is None or call.caller is None or call.caller.capabilities.roots is None:
            return mcp_types.ListRootsResult(roots=[])
        return await self._ask(call, mcp_types.ListRootsRequest(), mcp_types.ListRootsResult, context)

    async def log_message(self, params: mcp_types.LoggingMessageNotificationParams) -> None:
        """To the host whose call it belongs to; one that names no call, while several callers are at work, to nobody."""
        call = self._call_of_request()
        if call is None or call.caller is None:
            log.debug("server %r logs to nobody: %s", self._server, params.level)
            return
        name = f"{self._server}/{params.logger}" if params.logger else self._server
        params = params.model_copy(update={"logger": name})
        await _tell(call.caller, mcp_types.LoggingMessageNotification(params=params))

    async def on_message(self, message: object) -> None:
        """A notification of the server's: that what a user was sent to a page for is done goes to whoever was asked."""
        if isinstance(message, mcp_types.ElicitCompleteNotification):
            caller = self._sent_to_pages.pop(message.params.elicitation_id, None)
            if caller is not None:
                await _tell(caller, message)

    def _call_of_request(self) -> _CallInFlight | None:
        """The call that a question belongs to: the task's own, else that of the only caller at work."""
        if own := _own_call.get():
            return own
        callers = {(call.caller.name, call.caller.conversation) for call in self._calls if call.caller is not None}
        return self._calls[-1] if len(callers) == 1 and all(call.caller for call in self._calls) else None

    async def _ask(
        self, call: _CallInFlight | None, request: mcp_types.InputRequest, kind: type[_Response], context: Any
    ) -> _Response | ErrorData:
        assert call is not None
        assert call.caller is not None
        if call.caller.ask is None:
            return self._unanswerable(f"sends {request.method}", ClientCapabilities())
        try:
            with self._counted(call):
                answer = await _while_called(call, call.caller.ask(self._of_task(request), _key(context)))
        except (TooManyRequests, CallEnded) as error:
            return ErrorData(code=mcp_types.INVALID_REQUEST, message=str(error))
        except MCPError as error:
            code = mcp_types.INTERNAL_ERROR if error.code in _CONNECTION_CODES else error.code
            return error.error.model_copy(update={"code": code})
        if not isinstance(answer, kind):
            return ErrorData(
                code=mcp_types.INVALID_PARAMS, message=f"the host answered {request.method} with something of another kind"
            )
        return answer

    def _of_task(self, request: mcp_types.InputRequest) -> mcp_types.InputRequest:
        """The request with the gateway's name for the task that it belongs to, where it says one."""
        meta = dict((request.params.meta if request.params is not None else None) or {})
        related: Any = meta.get(RELATED_TASK)
        own = related.get("taskId") if isinstance(related, dict) else None
        if request.params is None or not isinstance(own, str):
            return request
        meta[RELATED_TASK] = {"taskId": task_name(self._server, own)}
        return request.model_copy(update={"params": request.params.model_copy(update={"meta": meta})})

    def _unanswerable(self, what: str, needed: ClientCapabilities) -> ErrorData:
        required = mcp_types.MissingRequiredClientCapabilityErrorData(required_capabilities=needed)
        return ErrorData(
            code=mcp_types.MISSING_REQUIRED_CLIENT_CAPABILITY,
            message=f"server {self._server!r} {what}, and {self._why_unanswerable()}",
            data=required.model_dump(mode="json", by_alias=True, exclude_none=True),
        )

    def _why_unanswerable(self) -> str:
        if len(self._calls) > 1 and self._call_of_request() is None:
            return "it does not say for which call, while several callers are at work there"
        return "neither the caller nor this gateway can answer that"


def _key(context: Any) -> str:
    """What a server of 2026-07-28 calls its question; before, a question is a request with a number of its own."""
    key = getattr(context, "request_id", None)
    return key if isinstance(key, str) and _own_call.get() is not None else ""


async def _tell(
    caller: Caller, notification: mcp_types.LoggingMessageNotification | mcp_types.ElicitCompleteNotification
) -> None:
    """A host that is gone or takes nothing costs the server nothing."""
    if caller.tell is None:
        return
    with anyio.move_on_after(_TELL_TIMEOUT):
        try:
            await caller.tell(notification)
        except (MCPError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass


@contextmanager
def _deadline_stopped(call: _CallInFlight) -> Iterator[None]:
    """The call's clock stands still while somebody else is asked, MAX_PAUSE seconds in all, and starts afresh with the last
    answer."""
    if not call.n_open_requests:
        call.paused_since = anyio.current_time()
        call.deadline.deadline = call.paused_since + max(call.timeout, MAX_PAUSE - call.paused)
    call.n_open_requests += 1
    try:
        yield
    finally:
        call.n_open_requests -= 1
        if not call.n_open_requests:
            now = anyio.current_time()
            call.paused += now - call.paused_since
            call.deadline.deadline = now + call.timeout


async def _while_called(call: _CallInFlight, answer: Awaitable[_T]) -> _T:
    """The answer, unless the call that it is for ends first: then whoever is asked is left in peace.

    Raises CallEnded there."""
    with anyio.CancelScope() as scope:
        call.open_requests.append(scope)
        try:
            return await answer
        finally:
            call.open_requests.remove(scope)
    raise CallEnded("the call that this was for has ended")
