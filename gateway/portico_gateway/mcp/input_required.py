"""Operations that stop to ask the host something, in the era without server-to-client requests (2026-07-28).

The operation goes on living here while its questions travel as an `InputRequiredResult` and the answers come with the host's
next request. It owns suspended operations, their binding to who began them, and their end; it knows no tools.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import anyio
import anyio.lowlevel
import mcp_types
from anyio.abc import TaskGroup
from mcp.shared.dispatcher import ProgressFnT
from mcp.shared.exceptions import MCPError

from portico_servers.common.panics import is_order

Binding: TypeAlias = tuple[str, ...]  # caller, method, name, digest of the arguments: what a resumption must match
MAX_PENDING = 64  # operations of one caller that wait for a host's answers
MAX_ALL_PENDING = 4096  # of all callers


class PendingOperation:
    """One operation. `ask` and `progress` are for the operation itself, from whatever task."""

    def __init__(self, binding: Binding, answer_timeout: float, early: mcp_types.InputResponses) -> None:
        """`early`: what the host has answered before it was asked, by the server's own names for its questions."""
        self.binding = binding
        self._early = dict(early)
        self.report: ProgressFnT | None = None  # of the host's latest request
        self._answer_timeout = answer_timeout
        self._scope = anyio.CancelScope()
        self._changed = anyio.Event()
        self._requests: dict[str, mcp_types.InputRequest] = {}
        self._responses: dict[str, mcp_types.InputResponse] = {}
        self._answered = anyio.Event()
        self._n_requests = 0
        self._outcome: tuple[Any, BaseException | None] | None = None

    async def progress(self, progress: float, total: float | None, message: str | None) -> None:
        if self.report is not None:
            await self.report(progress, total, message)

    async def ask(self, request: mcp_types.InputRequest, key: str = "") -> mcp_types.InputResponse:
        """Ask the host, under the server's `key` where it has one that is free. Raises MCPError where no answer comes in time,
        or one of another kind."""
        self._n_requests += 1
        if key in self._early:
            return self._early.pop(key)
        if not key or key in self._requests or key in self._responses:
            key = f"{request.method}-{self._n_requests}"
        self._requests[key] = request
        self._changed.set()
        try:
            with anyio.fail_after(self._answer_timeout):
                while key not in self._responses:
                    await self._answered.wait()
        except TimeoutError:
            text = f"the host did not answer {request.method} within {self._answer_timeout:g} s"
            raise MCPError(mcp_types.REQUEST_TIMEOUT, text) from None
        finally:
            self._requests.pop(key, None)
        return self._responses.pop(key)

    async def run(self, operation: Callable[[PendingOperation], Awaitable[mcp_types.Result]]) -> None:
        """Run the operation to its end, whatever that is; `next_result` tells it."""
        with self._scope:
            try:
                self._outcome = await operation(self), None
            except BaseException as error:  # the outermost frame of this task: `next_result` raises it for the host
                if is_order(error):
                    raise
                self._outcome = None, error
        self._changed.set()

    def take_responses(self, responses: mcp_types.InputResponses) -> None:
        """Take the host's answers; those to nothing that is asked are dropped."""
        for key, response in responses.items():
            if key in self._requests:
                self._responses[key] = response
                del self._requests[key]
        self._answered.set()
        self._answered = anyio.Event()

    async def next_result(self) -> mcp_types.Result | None:
        """The operation's result, or None where it has questions (`input_requests`). Cancelling this cancels the operation."""
        try:
            while self._outcome is None and not self._requests:
                await self._changed.wait()
                self._changed = anyio.Event()
            await anyio.lowlevel.checkpoint()  # what it asks at the same moment goes out together
        except anyio.get_cancelled_exc_class():
            self.cancel()
            raise
        if self._outcome is None:
            return None
        result, error = self._outcome
        if error is not None:
            raise error
        assert isinstance(result, mcp_types.Result)
        return result

    @property
    def input_requests(self) -> mcp_types.InputRequests:
        return dict(self._requests)

    @property
    def ended(self) -> bool:
        return self._outcome is not None

    def cancel(self) -> None:
        self._scope.cancel()


class PendingOperations:
    """All of one gateway. `run` must run beside the server."""

    def __init__(self, answer_timeout: float = 300.0) -> None:
        """An operation that has waited for an answer for `answer_timeout` seconds goes on without one."""
        self._answer_timeout = answer_timeout
        self._tasks: TaskGroup | None = None
        self._suspended: dict[str, PendingOperation] = {}

    async def run(self) -> None:
        """Keep operations alive between a host's requests, until cancelled."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            try:
                await anyio.sleep_forever()
            finally:
                self._tasks = None
                tasks.cancel_scope.cancel()

    async def start(
        self,
        binding: Binding,
        report: ProgressFnT,
        operation: Callable[[PendingOperation], Awaitable[mcp_types.Result]],
        early: mcp_types.InputResponses | None = None,
    ) -> mcp_types.Result:
        """Start an operation; its result, or an InputRequiredResult with what it asks and `early` does not answer."""
        if self._tasks is None:
            raise RuntimeError("GatewayServer.run() must run beside the server")
        self._suspended = {token: pending for token, pending in self._suspended.items() if not pending.ended}
        n_own = sum(pending.binding[0] == binding[0] for pending in self._suspended.values())
        if n_own >= MAX_PENDING:
            raise MCPError(
                mcp_types.INTERNAL_ERROR, f"{MAX_PENDING} of your calls wait for answers already; answer one or try again later"
            )
        if len(self._suspended) >= MAX_ALL_PENDING:
            raise MCPError(mcp_types.INTERNAL_ERROR, f"{MAX_ALL_PENDING} calls wait for answers already; try again later")
        pending = PendingOperation(binding, self._answer_timeout, early or {})
        self._tasks.start_soon(pending.run, operation)
        return await self._next_result(pending, report)

    async def resume(
        self, state: str, binding: Binding, responses: mcp_types.InputResponses, report: ProgressFnT
    ) -> mcp_types.Result:
        """Go on with the answers to an InputRequiredResult. Raises MCPError where `state` is not of this very request."""
        pending = self._suspended.get(state)
        if pending is None or pending.binding != binding:
            raise MCPError(
                mcp_types.INVALID_PARAMS,
                "requestState is unknown here, expired or of another request; send the request anew, without it",
            )
        del self._suspended[state]
        pending.take_responses(responses)
        return await self._next_result(pending, report)

    async def _next_result(self, pending: PendingOperation, report: ProgressFnT) -> mcp_types.Result:
        pending.report = report
        result = await pending.next_result()
        if result is not None:
            return result
        pending.report = None
        state = secrets.token_urlsafe(24)
        self._suspended[state] = pending
        return mcp_types.InputRequiredResult(input_requests=pending.input_requests, request_state=state)
