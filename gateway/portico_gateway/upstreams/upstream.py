"""One MCP server as the gateway calls it: on a supervised connection, under a deadline and a circuit breaker.

It owns the mapping of whatever goes wrong in a call to a typed UpstreamError. It knows nothing of the other servers or of who
calls, and leaves starting and restarting to `supervision.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import anyio
import mcp_types
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.errors import UpstreamError, UpstreamFault, UpstreamTimeout, UpstreamUnavailable, first_line
from portico_gateway.safe_output.redaction import know_secrets
from portico_gateway.upstreams.catalog import Catalog
from portico_gateway.upstreams.circuit_breaker import CircuitBreaker
from portico_gateway.upstreams.client import UpstreamClient
from portico_gateway.upstreams.server_requests import Sampler, ServerRequests
from portico_gateway.upstreams.supervision import Connected, Supervisor, UpstreamState
from portico_gateway.upstreams.wire.connection import UpstreamConnection
from portico_gateway.upstreams.wire.messages import HTTP_REFUSED, SESSION_EXPIRED, UNREADABLE_ANSWER, own_code

_T = TypeVar("_T")

RETIRE_GRACE = 10.0  # seconds that calls under way get when their server is taken out of the configuration
WAIT_FOR_START = 20.0  # seconds that a call waits for a server that is (re)starting


@dataclass(frozen=True, slots=True)
class UpstreamStatus:
    """One server, as `/healthz`, `portico doctor` and the agent show it. Times are seconds."""

    name: str
    state: UpstreamState
    error: str | None
    tools: int
    restarts: int = 0
    start_seconds: float | None = None
    protocol_version: str | None = None


class _SessionExpired(Exception):
    """The server does not know the connection's session any more."""

    def __init__(self, connection: UpstreamConnection, message: str) -> None:
        super().__init__(message)
        self.connection = connection


class Upstream:
    """One server. `supervisor.run` is its life; the rest may be called from any task of the same event loop."""

    def __init__(self, spec: UpstreamSpec, catalog: Catalog, log_dir: Path, sampler: Sampler | None = None) -> None:
        self.spec = spec
        secret = {} if spec.oauth is None else {"client_secret": spec.oauth.client_secret}
        know_secrets(env=spec.env, headers={**spec.headers, **secret}, args=spec.args, url=spec.url)
        self._catalog = catalog
        self._breaker = CircuitBreaker()
        self._server_requests = ServerRequests(spec.name, sampler)
        self.supervisor = Supervisor(spec, catalog, log_dir, self._server_requests, self._breaker.success)
        self._calls = 0
        self._idle = anyio.Event()
        self._last_failure: UpstreamError | None = None  # of a call; the server itself may be well

    def status(self) -> UpstreamStatus:
        """How it is now."""
        life = self.supervisor
        error = str(life.error) if life.error else None
        tools = len(self._catalog.listing(self.spec.name).tools)
        return UpstreamStatus(
            self.spec.name, life.state, error, tools, life.restarts, life.start_seconds, life.protocol_version
        )

    async def retire(self) -> None:
        """End it for good: it offers nothing any more, and its calls under way may finish, at most RETIRE_GRACE seconds."""
        self.supervisor.retire()
        with anyio.move_on_after(RETIRE_GRACE):
            while self._calls:
                self._idle = anyio.Event()
                await self._idle.wait()
        await self.supervisor.stop()

    async def call(self, operation: Callable[[UpstreamClient], Awaitable[_T]], timeout: float | None = None) -> _T:
        """Run one operation on the connection, under a deadline (seconds; default: the spec's) that doesn't count the time
        in which the server waits for an answer to its own request.

        Raises UpstreamError for what is wrong with the server, MCPError for what the server itself answered as an error.
        Cancelling the caller cancels the request at the server.
        """
        timeout = self.spec.call_timeout if timeout is None else timeout
        if not self._breaker.allow():
            pause = f"{self._breaker.retry_after:.0f} s"
            last = f". Last: {self._last_failure}" if self._last_failure else ""
            raise UpstreamUnavailable(self.spec.name, f"failed several times in a row; next try in {pause}{last}")
        self._calls += 1
        try:
            try:
                return await self._call_on(await self._connected(timeout), operation, timeout)
            except _SessionExpired as expired:  # the server refused the call before it ran, so it may be made again
                await self.supervisor.session_expired(expired.connection, lambda: self._server_requests.n_in_flight)
                return await self._call_on(await self._connected(timeout), operation, timeout)
        except _SessionExpired as expired:
            raise UpstreamUnavailable(self.spec.name, f"does not keep its sessions: {expired}") from None
        finally:
            self._calls -= 1
            self._idle.set()
            self._breaker.forget_try()  # whatever was given up before it succeeded or failed proved nothing

    async def _connected(self, timeout: float) -> Connected:
        return await self.supervisor.connected(min(timeout, WAIT_FOR_START))

    async def _call_on(self, connected: Connected, operation: Callable[[UpstreamClient], Awaitable[_T]], timeout: float) -> _T:
        try:
            with anyio.move_on_after(timeout) as deadline, self._server_requests.in_flight(deadline, timeout):
                result = await operation(connected.client)
        except MCPError as error:
            raise await self._told(connected, error) from error
        except (RuntimeError, ValidationError) as error:
            self._breaker.success()  # it is there, but what it said is wrong
            raise UpstreamFault(self.spec.name, f"gave an invalid answer: {first_line(error)}") from error
        except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise await self._lost(connected, error) from error
        if deadline.cancelled_caught:
            late = UpstreamTimeout(self.spec.name, f"did not answer within {timeout:g} s; the call was cancelled")
            self._failed(late)
            raise late
        self._breaker.success()
        return result

    async def _told(self, connected: Connected, error: MCPError) -> Exception:
        """What an error answer means: the server's own word, or something wrong with it or its connection."""
        if error.code in (mcp_types.CONNECTION_CLOSED, mcp_types.REQUEST_TIMEOUT):
            return await self._lost(connected, error)
        if error.code == SESSION_EXPIRED:
            return _SessionExpired(connected.connection, error.message)
        if error.code == HTTP_REFUSED:
            refused = UpstreamUnavailable(self.spec.name, f"answered {error.message}")
            self._failed(refused)
            return refused
        self._breaker.success()
        if error.code == UNREADABLE_ANSWER:
            return UpstreamFault(self.spec.name, f"gave an invalid answer: {error.message}")
        return MCPError(own_code(error.code), error.message, error.data)

    async def _lost(self, connected: Connected, error: Exception) -> UpstreamError:
        died = await self.supervisor.connection_lost(connected.connection, error)
        self._failed(died)
        return died

    def _failed(self, error: UpstreamError) -> None:
        self._last_failure = error
        self._breaker.failure()
