"""How a process answers questions for commands elsewhere: on its own socket, with `portico ask`'s own words on their terminals.

It joins the rooms: the socket's server asks for an answer, the assembly has the session, the command's view shows it.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from portico_engine.errors import EngineError
from portico_gateway.assembly.background import GatewaySessions, OwnSessions, QuestionSessions
from portico_gateway.background.client import request
from portico_gateway.background.key import BackgroundKey
from portico_gateway.background.protocol import AskedQuestion
from portico_gateway.background.remote_terminal import RemoteTerminal
from portico_gateway.background.server import BackgroundKind, BackgroundServer
from portico_gateway.background.socket_place import BackgroundUnavailable, SocketPlace, only_one, socket_place
from portico_gateway.cli import exit_codes
from portico_gateway.cli.ask_background import key_of
from portico_gateway.cli.asking import AskOptions, answer
from portico_gateway.cli.background_list import running
from portico_gateway.cli.screen import remote_screen
from portico_gateway.config.logs import set_up_logging
from portico_gateway.config.portico_config import PorticoConfig, parse_config
from portico_gateway.config.workspace import workspace_specs
from portico_gateway.errors import ConfigError, GatewayError
from portico_gateway.policy.terminal_consent import remote_terminal_caller
from portico_gateway.safe_output.inert import inert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portico_gateway.agent.select import Guidance
    from portico_gateway.assembly.ask_session import AskSession, Update
    from portico_gateway.config.server_spec import UpstreamSpec
    from portico_gateway.model.lazy_engine import GetEngine
    from portico_gateway.policy.tool_calls import ToolCalls

log = logging.getLogger(__name__)

MOST_PROCESSES = 3  # of a user; beyond that the longest idle ends


def run_background(place: SocketPlace, key: BackgroundKey, options: AskOptions) -> None:
    """Answer questions until idle, stopped or SIGTERM. The caller holds the place's lock."""
    try:
        config = parse_config(options.config, flags=options.flags)
    except ConfigError:  # which the question is told
        config = PorticoConfig()
    set_up_logging("background", config.log)
    anyio.run(_run, place, key, options, config)


async def _run(place: SocketPlace, key: BackgroundKey, options: AskOptions, config: PorticoConfig) -> None:
    kind = BackgroundKind("background", str(key.folder), config.background.idle_minutes * 60)
    sessions = OwnSessions(partial(_read, options), on_failure=lambda: server.end_when_told())
    server = BackgroundServer(place, kind, partial(_answer, sessions))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_end_at_sigterm, tasks.cancel_scope)
        tasks.start_soon(sessions.hold)
        tasks.start_soon(partial(anyio.to_thread.run_sync, _make_room, place, abandon_on_cancel=True))
        await server.run()
        tasks.cancel_scope.cancel()


def _read(options: AskOptions) -> tuple[PorticoConfig, Sequence[UpstreamSpec]]:
    config = parse_config(options.config, flags=options.flags)
    return config, workspace_specs(config, options.root, options.docs, options.db)


async def _end_at_sigterm(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            scope.cancel()


def _make_room(own: SocketPlace) -> None:
    """End the processes that nobody has asked for longest, where there are more than a machine's memory should hold."""
    others = [(status.idle, place) for place, status in running() if place != own and status.kind == "background"]
    for _, place in sorted(others, key=lambda each: each[0])[MOST_PROCESSES - 1 :]:
        with suppress(GatewayError):
            request(place, "stop")


async def listen_beside(
    options: AskOptions, kind: str, tool_calls: ToolCalls, get_engine: GetEngine, *, guidance: Guidance = "auto"
) -> None:
    """Answer questions over a gateway that runs anyway, until cancelled. Where that can't be, the gateway goes on without."""
    try:
        key = key_of(options)
        place = socket_place(key)
        with only_one(place) as alone:
            if alone:
                answering = partial(_answer, GatewaySessions(tool_calls, get_engine, guidance))
                await BackgroundServer(place, BackgroundKind(kind, str(key.folder)), answering).run()
    except (BackgroundUnavailable, OSError) as error:
        log.info("commands in this workspace are not answered by this process: %s", error)


async def _answer(sessions: QuestionSessions, question: AskedQuestion, terminal: RemoteTerminal) -> int:
    """One question, as the command would answer it itself, mistakes included."""
    screen = remote_screen(terminal)
    caller = remote_terminal_caller("portico ask", terminal.looks.can_be_asked, terminal.confirm)

    @asynccontextmanager
    async def session(update: Update) -> AsyncIterator[AskSession]:
        yield await sessions.session(caller, question.allow, update)

    try:
        return await answer(session, question, screen)
    except (GatewayError, EngineError) as error:
        terminal.stderr.write(inert(f"portico: {error}\n"))
        return exit_codes.NO_MODEL if isinstance(error, EngineError) else exit_codes.of_error(error)
