"""One MCP server's life: started, watched, and restarted with backoff when it ends.

It owns the connection, the state that it is in, and what went wrong with it, as a typed UpstreamError. `list_updates.py` reads
what the server lists. It knows nothing of calls: `upstream.py` makes them on the client that it gives.
"""

from __future__ import annotations

import enum
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import mcp_types
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.errors import UpstreamDied, UpstreamError, UpstreamFault, UpstreamTimeout, UpstreamUnavailable, first_line
from portico_gateway.upstreams.catalog import Catalog
from portico_gateway.upstreams.client import UpstreamClient
from portico_gateway.upstreams.list_updates import ListUpdates
from portico_gateway.upstreams.server_requests import ServerRequests
from portico_gateway.upstreams.wire.connection import UpstreamConnection
from portico_gateway.upstreams.wire.messages import UNREADABLE_ANSWER, own_code
from portico_gateway.upstreams.wire.transports import open_transport
from portico_servers.common.panics import is_order
from portico_servers.common.version import package_version

log = logging.getLogger(__name__)

FIRST_DELAY = 0.25  # seconds before the first restart, doubled up to LAST_DELAY
LAST_DELAY = 30.0
STABLE = 10.0  # a connection that lasted this long starts the backoff afresh
_EXIT_CODE_TIMEOUT = 1.0  # how long to wait for a dead server's exit code
_SESSION_GRACE = 1.0  # seconds that calls in flight get to end when the session has expired
_SESSION_POLL = 0.005
_LEVEL_TIMEOUT = 5.0  # seconds that a server has to take another log level
_CLIENT_INFO = mcp_types.Implementation(name="portico", version=package_version())
# Exit codes that a restart can't mend: a usage error (as argparse and click report it), not executable, not found.
_PERMANENT_EXITS = {2, 126, 127}
_MODES = {"auto": "auto", "legacy": "legacy", "modern": "2026-07-28"}


class UpstreamState(enum.StrEnum):
    """Where a server stands."""

    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"  # it ended; the next start comes after a pause
    FAILED = "failed"  # a start that is not worth repeating
    STOPPED = "stopped"


class Connected(NamedTuple):
    """A client that may be called, and the connection that it lives on."""

    client: UpstreamClient
    connection: UpstreamConnection


class Supervisor:
    """Of one server. `run` is the server's life; the rest may be called from any task of the same event loop."""

    def __init__(
        self, spec: UpstreamSpec, catalog: Catalog, log_dir: Path, requests: ServerRequests, on_ready: Callable[[], None]
    ) -> None:
        """`requests` answers what the server asks; `on_ready()` hears of every connection that is up."""
        self.spec = spec
        self.state = UpstreamState.STARTING
        self.error: UpstreamError | None = None
        self.restarts = 0
        self.start_seconds: float | None = None
        self.protocol_version: str | None = None
        self.pid: int | None = None
        self.settled = anyio.Event()  # it was ready once, or its first start failed
        self._lists = ListUpdates(spec, catalog)
        self._log_dir = log_dir
        self._server_requests = requests
        self._on_ready = on_ready
        self._client: UpstreamClient | None = None
        self._connection = UpstreamConnection()
        self._life: anyio.CancelScope | None = None  # of `run`, once that is under way
        self._stopped = False
        self._ended = anyio.Event()
        self._changed = anyio.Event()
        self._wake = anyio.Event()

    # -- life

    async def run(self) -> None:
        """Start and restart until stopped or cancelled, or until a start fails in a way that repeating can't mend."""
        try:
            with anyio.CancelScope() as self._life:
                if not self._stopped:
                    await self._supervise()
        finally:
            self._ended.set()

    def retire(self) -> None:
        """It is configured no more: what it lists counts for nothing, and it isn't restarted; calls under way go on."""
        self._lists.retired = True

    async def stop(self) -> None:
        """End it, and return when it has ended. `run` must have been started."""
        self._stopped = True
        if self._life is not None:
            self._life.cancel()
        await self._ended.wait()

    async def _supervise(self) -> None:
        delay = FIRST_DELAY
        try:
            while True:
                begun = time.monotonic()
                self._set_state(UpstreamState.STARTING)
                try:
                    await self._connect()
                    error: UpstreamError = UpstreamDied(self.spec.name, self._connection.describe_end())
                except UpstreamError as known:
                    error = known
                except BaseException as unknown:  # the outermost loop of this server's task: the others go on
                    if is_order(unknown):
                        raise
                    error = self._start_error(unknown)
                self._client = None
                log.log(logging.DEBUG if str(error) == str(self.error) else logging.WARNING, "%s", error)
                self.error = error
                if self._is_permanent_failure() or self._lists.retired:
                    self._set_state(UpstreamState.FAILED)
                    return
                delay = FIRST_DELAY if time.monotonic() - begun > STABLE else delay
                self._set_state(UpstreamState.RESTARTING)
                self._wake = anyio.Event()
                with anyio.move_on_after(delay):
                    await self._wake.wait()
                delay = min(2 * delay, LAST_DELAY)
                self.restarts += 1
        finally:
            self._client = None
            if self.state is not UpstreamState.FAILED:
                self._set_state(UpstreamState.STOPPED)

    async def _connect(self) -> None:
        """Serve one connection until it ends. Raises where it can't be made."""
        begun = time.monotonic()
        self._connection = connection = UpstreamConnection()
        connection.lists_changed = self._lists.have_changed
        if self.spec.problem:
            raise UpstreamUnavailable(self.spec.name, f"can't be used: {self.spec.problem}")
        with anyio.CancelScope(deadline=anyio.current_time() + self.spec.start_timeout) as starting:
            client = UpstreamClient(
                open_transport(self.spec, connection, self._log_dir, self._server_requests.declared),
                mode=_MODES[self.spec.era],
                cache=None,  # the catalog is the cache
                client_info=_CLIENT_INFO,
                message_handler=self._on_message,
                elicitation_callback=self._server_requests.elicitation,
                sampling_callback=self._server_requests.sampling,
                sampling_capabilities=mcp_types.SamplingCapability(tools=mcp_types.SamplingToolsCapability()),
                list_roots_callback=self._server_requests.roots,
                logging_callback=self._server_requests.log_message,
                connection=connection,
                declared=self._server_requests.declared,
            )
            async with client:
                _leave_promises_to_hosts(client)
                self.pid = connection.pid
                self.protocol_version = client.protocol_version
                await self._lists.read(client)
                starting.deadline = math.inf
                self._client, self.error = client, None
                self.start_seconds = time.monotonic() - begun
                self._on_ready()
                self._set_state(UpstreamState.READY)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._lists.follow, client, connection)
                    await connection.ended.wait()
                    self._disconnected()
                    tasks.cancel_scope.cancel()
        if starting.cancelled_caught:
            raise UpstreamTimeout(
                self.spec.name,
                f"did not get ready within {self.spec.start_timeout:g} s{_last_said(connection.last_stderr_line())}",
            )

    async def _on_message(self, message: Any) -> None:
        await self._lists.on_message(message)
        await self._server_requests.on_message(message)

    def _disconnected(self) -> None:
        """From the moment that the connection ended no call may try it, though winding it down takes a while."""
        self._client = None
        self._set_state(UpstreamState.RESTARTING)

    def _set_state(self, state: UpstreamState) -> None:
        self.state = state
        if state is not UpstreamState.STARTING:
            self.settled.set()
        self._changed.set()
        self._changed = anyio.Event()

    def _start_error(self, error: BaseException) -> UpstreamError:
        cause = _root_cause(error)
        name, spec = self.spec.name, self.spec
        if isinstance(cause, FileNotFoundError | NotADirectoryError) and self._connection.pid is None:
            missing = spec.cwd if spec.cwd and not Path(spec.cwd).is_dir() else spec.command
            hint = "; what stands behind the program goes into args" if missing == spec.command and " " in missing else ""
            return UpstreamUnavailable(name, f"can't be started: there is no {missing!r}{hint}")
        if isinstance(cause, OSError) and self._connection.pid is None and spec.transport == "stdio":
            return UpstreamUnavailable(name, f"can't be started: {cause.strerror or cause} ({spec.command})")
        if self._connection.ended.is_set() and self._connection.pid is not None and not self._connection.left:
            return UpstreamDied(name, f"{self._connection.describe_end()} (at start)")
        if isinstance(cause, MCPError) and cause.code == UNREADABLE_ANSWER:
            return UpstreamFault(name, f"answered with something that is no valid MCP: {cause.message}")
        if isinstance(cause, MCPError) and cause.message.startswith("HTTP "):
            return UpstreamUnavailable(name, f"refused the connection: {cause.message}")
        if isinstance(cause, MCPError):
            return UpstreamFault(name, f"refused the connection: {cause.message} (code {own_code(cause.code)})")
        if isinstance(cause, ValidationError):
            return UpstreamFault(name, f"answered with something that is no valid MCP: {first_line(cause)}")
        where = f" at {spec.url}" if spec.url else ""
        return UpstreamUnavailable(name, f"can't be reached{where}: {first_line(cause)}")

    def _is_permanent_failure(self) -> bool:
        """Is a restart useless? Only judged of servers that never got ready: one that worked may work again."""
        if self.start_seconds is not None:
            return False
        spawned = self._connection.pid is not None
        return (self.spec.transport == "stdio" and not spawned) or self._connection.exit_code in _PERMANENT_EXITS

    async def until_ready(self) -> None:
        """Wait until the server is up, for as long as it takes."""
        while self.state is not UpstreamState.READY:
            await self._changed.wait()

    async def set_log_level(self, level: mcp_types.LoggingLevel) -> None:
        """Of a server of a handshake era, where it is up and serves that."""
        client = self._client
        if client is None or client.protocol_version in MODERN_PROTOCOL_VERSIONS or not client.server_capabilities.logging:
            return
        request = mcp_types.SetLevelRequest(params=mcp_types.SetLevelRequestParams(level=level))
        with anyio.move_on_after(_LEVEL_TIMEOUT):
            try:
                await client.session.send_request(request, mcp_types.EmptyResult)
            except MCPError as error:
                log.debug("server %r keeps its log level: %s", self.spec.name, first_line(error))

    # -- for calls

    async def connected(self, timeout: float) -> Connected:
        """The client, waited for at most `timeout` seconds while the server (re)starts. Raises UpstreamError."""
        if self._client is None:
            with anyio.move_on_after(timeout):
                while self._client is None and self.state in (UpstreamState.STARTING, UpstreamState.RESTARTING):
                    self._wake.set()
                    await self._changed.wait()
        if self._client is not None:
            return Connected(self._client, self._connection)
        if self.state in (UpstreamState.FAILED, UpstreamState.STOPPED):
            raise self.error.with_traceback(None) if self.error else UpstreamUnavailable(self.spec.name, f"is {self.state}")
        raise UpstreamUnavailable(self.spec.name, f"is still {self.state}" + (f". Last: {self.error}" if self.error else ""))

    async def session_expired(self, connection: UpstreamConnection, n_in_flight: Callable[[], int]) -> None:
        """The server does not know the connection's session: no new call is made on it, those in flight get a moment to end,
        then it is replaced."""
        if connection is self._connection and not connection.ended.is_set():
            log.info("server %r has ended the session; it gets a new one", self.spec.name)
            self._disconnected()
            with anyio.move_on_after(_SESSION_GRACE):
                while n_in_flight():  # noqa: ASYNC110 - calls end in many places
                    await anyio.sleep(_SESSION_POLL)
        connection.ended.set()

    async def connection_lost(self, connection: UpstreamConnection, error: Exception) -> UpstreamDied:
        """A call found that its connection broke, with `error`: how it ended, with the exit code where there is one."""
        with anyio.move_on_after(_EXIT_CODE_TIMEOUT):
            if connection.pid is not None:
                await connection.ended.wait()
        how = connection.describe_end() if connection.pid is not None else f"lost the connection: {first_line(error)}"
        connection.ended.set()
        if connection is self._connection:
            self._disconnected()
        return UpstreamDied(self.spec.name, f"{how} (in the middle of a call)")


def _root_cause(error: BaseException) -> BaseException:
    """The first leaf of what a task group raised."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _leave_promises_to_hosts(client: UpstreamClient) -> None:
    """A result without the structured content that its tool promises is passed on, with a warning: hosts judge it, and the
    tool has run. The SDK's check refuses it, and runs the server's patterns on the server's text for as long as they take."""
    session = client.session

    async def warn(name: str, result: mcp_types.CallToolResult) -> None:
        if session._tool_output_schemas.get(name) is not None and result.structured_content is None:
            log.warning("the tool %s promises structured content and gave none", name)

    session.validate_tool_result = warn  # type: ignore[method-assign]


def _last_said(line: str) -> str:
    return f"; it last said: {line}" if line else ""
