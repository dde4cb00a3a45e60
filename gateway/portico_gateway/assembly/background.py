"""Sessions for the questions that a process answers for others: over servers and a model of its own, or over a gateway's.

It owns what questions share and what each has alone: its rules (`--allow`), what it has read and consented to, its agent. It
knows neither sockets nor terminals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import anyio
import anyio.to_thread

from portico_gateway.assembly.ask_session import AskParts, AskSession, Update, ask_session, open_ask_parts
from portico_gateway.caller import Caller
from portico_gateway.config.portico_config import PorticoConfig
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.model.lazy_engine import GetEngine
from portico_gateway.policy.rules import Policy
from portico_gateway.policy.tool_calls import ToolCalls
from portico_servers.common.collector import resume_collector

if TYPE_CHECKING:
    from portico_gateway.agent.select import Guidance

ReadConfig = Callable[[], tuple[PorticoConfig, Sequence[UpstreamSpec]]]  # raises ConfigError
NEW_SERVERS_TIMEOUT = 3.0  # seconds that a question waits for servers that were not there at the last one


class QuestionSessions(Protocol):
    """Where a question gets its session. `update` hears how far what it waits for is. Raises GatewayError, EngineError."""

    async def session(self, caller: Caller, allow: Sequence[str], update: Update) -> AskSession: ...


def _session(parts: AskParts, config: PorticoConfig, caller: Caller, allow: Sequence[str]) -> AskSession:
    rules = config.policy.model_copy(update={"allow": [*config.policy.allow, *allow]})
    return ask_session(replace(parts, tool_calls=parts.tool_calls.under(Policy(rules))), caller)


class GatewaySessions:
    """Over the servers and the model of a gateway that runs anyway: `portico serve`, `portico stdio`."""

    def __init__(self, tool_calls: ToolCalls, get_engine: GetEngine, guidance: Guidance = "auto") -> None:
        self._tool_calls, self._get_engine, self._guidance = tool_calls, get_engine, guidance

    async def session(self, caller: Caller, allow: Sequence[str], update: Update) -> AskSession:
        update("model", "loading")
        parts = AskParts(self._tool_calls, await self._get_engine(), self._guidance)
        policy = self._tool_calls.policy.config
        return _session(parts, PorticoConfig(policy=policy), caller, allow)


class OwnSessions:
    """Over servers and a model of its own, opened once by `hold`; the first questions wait for them."""

    def __init__(self, read: ReadConfig, on_failure: Callable[[], None]) -> None:
        """`on_failure` hears that they can't be had, which every question is told."""
        self._read, self._on_failure = read, on_failure
        self._opened = anyio.Event()
        self._parts: AskParts | None = None
        self._failure: Exception | None = None
        self._specs: Sequence[UpstreamSpec] = ()
        self._progress: dict[str, str] = {}
        self._listeners: list[Update] = []
        self._replacing = anyio.Lock()

    async def hold(self) -> None:
        """Open everything and keep it open, until cancelled."""
        try:
            config, self._specs = await anyio.to_thread.run_sync(self._read)
            async with open_ask_parts(config, self._specs, self._update) as self._parts:
                resume_collector()
                self._opened.set()
                await anyio.sleep_forever()
        except Exception as error:  # noqa: BLE001 - told to every question, by its kind
            self._failure = error
            self._opened.set()
            self._on_failure()

    async def session(self, caller: Caller, allow: Sequence[str], update: Update) -> AskSession:
        with self._listening(update):
            await self._opened.wait()
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        assert self._parts is not None
        return _session(self._parts, await self._config_of_now(self._parts), caller, allow)

    async def _config_of_now(self, parts: AskParts) -> PorticoConfig:
        """Files that the configuration names and databases of the workspace may have changed since the last question."""
        config, specs = await anyio.to_thread.run_sync(self._read)
        async with self._replacing:
            if list(specs) != list(self._specs):
                self._specs = specs
                await parts.tool_calls.upstreams.replace(specs)
                await parts.tool_calls.upstreams.ready(NEW_SERVERS_TIMEOUT)
        return config

    def _update(self, what: str, state: str) -> None:
        self._progress[what] = state
        for listener in list(self._listeners):
            listener(what, state)

    @contextmanager
    def _listening(self, update: Update) -> Iterator[None]:
        if not self._opened.is_set():
            for what, state in list(self._progress.items()):
                update(what, state)
        self._listeners.append(update)
        try:
            yield
        finally:
            self._listeners.remove(update)
