"""One supervised MCP server: started, listed, kept, restarted with backoff, and called under a deadline.

It owns one connection's life and the mapping of whatever goes wrong to a typed UpstreamError. It puts its lists into a catalog,
and knows nothing of the other servers or of who calls.
"""

from __future__ import annotations

import enum
import importlib.metadata
import logging
import math
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import anyio
import mcp_types
from mcp.client.client import Client
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.errors import UpstreamDied, UpstreamError, UpstreamFault, UpstreamTimeout, UpstreamUnavailable
from portico_gateway.upstreams.catalog import Catalog
from portico_gateway.upstreams.circuit_breaker import Breaker
from portico_gateway.upstreams.listing import fetch
from portico_gateway.upstreams.server_requests import Questions, Sampler
from portico_gateway.upstreams.transports import Link, open_transport

log = logging.getLogger(__name__)

_T = TypeVar("_T")

FIRST_DELAY = 0.25  # seconds before the first restart, doubled up to LAST_DELAY
LAST_DELAY = 30.0
STABLE = 10.0  # a connection that lasted this long starts the backoff afresh
WAIT_FOR_START = 20.0  # how long a call waits for a server that is (re)starting
REFRESH_PAUSE = 0.1  # between two readings of its lists: a server may announce a change with every reading
_END_NOTICE = 1.0  # how long to wait for a dead server's exit code
_CLIENT_INFO = mcp_types.Implementation(name="portico", version=importlib.metadata.version("portico-mcp"))
# Exit codes that a restart can't mend: a usage error (as argparse and click report it), not executable, not found.
_HOPELESS_EXITS = {2, 126, 127}
_MODES = {"auto": "auto", "legacy": "legacy", "modern": "2026-07-28"}


class State(enum.StrEnum):
    """Where a server stands."""

    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"  # it ended; the next start comes after a pause
    FAILED = "failed"  # a start that is not worth repeating
    STOPPED = "stopped"


class Upstream:
    """One server. `run` is its life; the rest may be called from any task of the same event loop."""

    def __init__(self, spec: UpstreamSpec, catalog: Catalog, log_dir: Path, sampler: Sampler | None = None) -> None:
        self.spec = spec
        self._questions = Questions(spec.name, sampler)
        self.state = State.STARTING
        self.error: UpstreamError | None = None
        self.restarts = 0
        self.start_seconds: float | None = None
        self.protocol_version: str | None = None
        self.pid: int | None = None
        self.settled = anyio.Event()  # it was ready once, or its first start failed
        self._catalog = catalog
        self._log_dir = log_dir
        self._client: Client | None = None
        self._link = Link()
        self._breaker = Breaker()
        self._last_failure: UpstreamError | None = None  # of a call; the server itself may be well
        self._life: anyio.CancelScope | None = None  # of `run`, once that is under way
        self._stopped = False
        self._ended = anyio.Event()
        self._changed = anyio.Event()
        self._wake = anyio.Event()
        self._stale = anyio.Event()

    # -- life

    async def run(self) -> None:
        """Start and restart until stopped or cancelled, or until a start fails in a way that repeating can't mend."""
        try:
            with anyio.CancelScope() as self._life:
                if not self._stopped:
                    await self._supervise()
        finally:
            self._ended.set()

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
                self._enter(State.STARTING)
                try:
                    await self._connect()
                    error: UpstreamError = UpstreamDied(self.spec.name, self._link.describe_end())
                except UpstreamError as known:
                    error = known
                except Exception as unknown:  # noqa: BLE001 - the outermost loop of this server's task: the others go on
                    error = self._start_error(unknown)
                self._client = None
                log.log(logging.DEBUG if str(error) == str(self.error) else logging.WARNING, "%s", error)
                self.error = error
                if self._is_hopeless():
                    self._enter(State.FAILED)
                    return
                delay = FIRST_DELAY if time.monotonic() - begun > STABLE else delay
                self._enter(State.RESTARTING)
                self._wake = anyio.Event()
                with anyio.move_on_after(delay):
                    await self._wake.wait()
                delay = min(2 * delay, LAST_DELAY)
                self.restarts += 1
        finally:
            self._client = None
            if self.state is not State.FAILED:
                self._enter(State.STOPPED)

    async def _connect(self) -> None:
        """Serve one connection until it ends. Raises where it can't be made."""
        begun = time.monotonic()
        self._link = link = Link()
        with anyio.CancelScope(deadline=anyio.current_time() + self.spec.start_timeout) as starting:
            async with Client(
                open_transport(self.spec, link, self._log_dir),
                mode=_MODES[self.spec.era],
                cache=None,  # the catalog is the cache
                client_info=_CLIENT_INFO,
                message_handler=self._on_message,
                elicitation_callback=self._questions.elicitation,
                sampling_callback=self._questions.sampling,
                list_roots_callback=self._questions.roots,
            ) as client:
                self.pid = link.pid
                self.protocol_version = client.protocol_version
                self._catalog.put(self.spec.name, await fetch(client))
                starting.deadline = math.inf
                self._client, self.error = client, None
                self.start_seconds = time.monotonic() - begun
                self._breaker.success()
                self._enter(State.READY)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._listen, client)
                    tasks.start_soon(self._refresh_when_stale, client)
                    await link.ended.wait()
                    self._gone()
                    tasks.cancel_scope.cancel()
        if starting.cancelled_caught:
            raise UpstreamTimeout(
                self.spec.name, f"did not get ready within {self.spec.start_timeout:g} s{_said(link.last_words())}"
            )

    def _gone(self) -> None:
        """From the moment that the connection ended no call may try it, though winding it down takes a while."""
        self._client = None
        self._enter(State.RESTARTING)

    def _enter(self, state: State) -> None:
        self.state = state
        if state is not State.STARTING:
            self.settled.set()
        self._changed.set()
        self._changed = anyio.Event()

    def _start_error(self, error: Exception) -> UpstreamError:
        cause = _root_cause(error)
        name, spec = self.spec.name, self.spec
        if isinstance(cause, FileNotFoundError | NotADirectoryError) and self._link.pid is None:
            missing = spec.cwd if spec.cwd and not Path(spec.cwd).is_dir() else spec.command
            return UpstreamUnavailable(name, f"can't be started: there is no {missing!r}")
        if isinstance(cause, OSError) and self._link.pid is None and spec.transport == "stdio":
            return UpstreamUnavailable(name, f"can't be started: {cause.strerror or cause} ({spec.command})")
        if self._link.ended.is_set() and self._link.pid is not None:
            return UpstreamDied(name, f"{self._link.describe_end()} (at start)")
        if isinstance(cause, MCPError):
            return UpstreamFault(name, f"refused the connection: {cause.message} (code {cause.code})")
        if isinstance(cause, ValidationError):
            return UpstreamFault(name, f"answered with something that is no valid MCP: {_first_line(cause)}")
        where = f" at {spec.url}" if spec.url else ""
        return UpstreamUnavailable(name, f"can't be reached{where}: {_first_line(cause)}")

    def _is_hopeless(self) -> bool:
        """Is a restart useless? Only judged of servers that never got ready: one that worked may work again."""
        if self.start_seconds is not None:
            return False
        spawned = self._link.pid is not None
        return (self.spec.transport == "stdio" and not spawned) or self._link.exit_code in _HOPELESS_EXITS

    # -- its lists

    async def _on_message(self, message: Any) -> None:
        """Change notifications of the handshake eras; newer servers tell through `_listen`."""
        if isinstance(
            message,
            mcp_types.ToolListChangedNotification
            | mcp_types.PromptListChangedNotification
            | mcp_types.ResourceListChangedNotification,
        ):
            self._stale.set()

    async def _listen(self, client: Client) -> None:
        while True:
            try:
                async with client.listen(
                    tools_list_changed=True, prompts_list_changed=True, resources_list_changed=True
                ) as changes:
                    self._stale.set()  # what changed between listing and listening
                    async for _ in changes:
                        self._stale.set()
            except (ListenNotSupportedError, MCPError):
                return
            except SubscriptionLost:
                pass
            await anyio.sleep(1.0)

    async def _refresh_when_stale(self, client: Client) -> None:
        while True:
            await self._stale.wait()
            self._stale = anyio.Event()
            try:
                with anyio.fail_after(self.spec.call_timeout):
                    self._catalog.put(self.spec.name, await fetch(client))
            except (MCPError, TimeoutError, ValidationError) as error:
                level = logging.DEBUG if self._link.ended.is_set() else logging.WARNING  # its end is reported once, by `run`
                log.log(level, "server %r: its lists could not be read again: %s", self.spec.name, _first_line(error))
            await anyio.sleep(REFRESH_PAUSE)

    # -- calls

    async def use(self, operation: Callable[[Client], Awaitable[_T]], timeout: float | None = None) -> _T:
        """Run one operation on the connection, under a deadline (seconds; default: the spec's) that doesn't count the time
        in which the server waits for an answer to its own question.

        Raises UpstreamError for what is wrong with the server, MCPError for what the server itself answered as an error.
        Cancelling the caller cancels the request at the server.
        """
        timeout = self.spec.call_timeout if timeout is None else timeout
        if not self._breaker.allow():
            pause = f"{self._breaker.retry_after:.0f} s"
            last = f". Last: {self._last_failure}" if self._last_failure else ""
            raise UpstreamUnavailable(self.spec.name, f"failed several times in a row; next try in {pause}{last}")
        link = self._link
        try:
            client = await self._ready_client(min(timeout, WAIT_FOR_START))
            link = self._link
            with anyio.move_on_after(timeout) as deadline, self._questions.during(deadline, timeout):
                result = await operation(client)
        except MCPError as error:
            if error.code in (mcp_types.CONNECTION_CLOSED, mcp_types.REQUEST_TIMEOUT):
                raise await self._lost(link, error) from error
            self._breaker.success()
            raise
        except (RuntimeError, ValidationError) as error:
            self._breaker.success()  # it is there, but what it said is wrong
            raise UpstreamFault(self.spec.name, f"gave an invalid answer: {_first_line(error)}") from error
        except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise await self._lost(link, error) from error
        except BaseException:
            self._breaker.forget_try()
            raise
        if deadline.cancelled_caught:
            late = UpstreamTimeout(self.spec.name, f"did not answer within {timeout:g} s; the call was cancelled")
            self._failed(late)
            raise late
        self._breaker.success()
        return result

    async def _ready_client(self, patience: float) -> Client:
        with anyio.move_on_after(patience):
            while self._client is None and self.state in (State.STARTING, State.RESTARTING):
                self._wake.set()
                await self._changed.wait()
        if self._client is not None:
            return self._client
        if self.state in (State.FAILED, State.STOPPED):
            raise self.error.with_traceback(None) if self.error else UpstreamUnavailable(self.spec.name, f"is {self.state}")
        raise UpstreamUnavailable(self.spec.name, f"is still {self.state}" + (f". Last: {self.error}" if self.error else ""))

    async def _lost(self, link: Link, error: Exception) -> UpstreamError:
        """The error for a connection that broke in mid-call, with the exit code where there is one."""
        with anyio.move_on_after(_END_NOTICE):
            if link.pid is not None:
                await link.ended.wait()
        how = link.describe_end() if link.pid is not None else f"lost the connection: {_first_line(error)}"
        link.ended.set()
        if link is self._link:
            self._gone()
        died = UpstreamDied(self.spec.name, f"{how} (in the middle of a call)")
        self._failed(died)
        return died

    def _failed(self, error: UpstreamError) -> None:
        self._last_failure = error
        self._breaker.failure()


def _root_cause(error: BaseException) -> BaseException:
    """The first leaf of what a task group raised."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _said(words: str) -> str:
    return f"; it last said: {words}" if words else ""
