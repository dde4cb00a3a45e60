"""How a server of ours meets its host: stdio or Streamable HTTP, both eras. It knows nothing of what the server does.

On stdio each era has a loop of its own over the one pipe: a request that carries the 2026-07-28 envelope goes to the modern
loop, everything else to the handshake loop. So a host may ask `server/discover` and then still `initialize`, as real hosts do;
the SDK's own loop locks on the first request and would refuse the second.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import anyio
import mcp_types
from anyio.streams.memory import MemoryObjectSendStream
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.mcpserver import MCPServer
from mcp.server.runner import serve_dual_era_loop, serve_loop
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.message import SessionMessage

from portico_servers.common.edges import HttpEdge
from portico_servers.common.host_messages import Refusal
from portico_servers.common.stdio_streams import stdio_streams

if TYPE_CHECKING:
    from starlette.applications import Starlette

EXIT_PORT_IN_USE = 1
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_ANY_ADDRESS = ("0.0.0.0", "::", "")
_STOP_GRACE = 5.0  # seconds that a signal leaves for cleaning up
_CHANGES = NotificationOptions(prompts_changed=True, resources_changed=True, tools_changed=True)

AnyServer = MCPServer[Any] | Server[Any]


def serve(server: AnyServer, *, http: int | None = None, host: str = "127.0.0.1", allowed_hosts: Sequence[str] = ()) -> None:
    """Run until the host hangs up (stdio), or the process is told to end (Streamable HTTP on port `http`, path /mcp).

    Host and Origin headers are checked on every address; `allowed_hosts` are further names that this machine is reached by.
    A port in use is one line on stderr and exit code 1.
    """
    _log_plainly()
    try:
        if http is None:
            anyio.run(serve_stdio, server)
        else:
            _serve_http(low_level(server), bind(host, http), host, allowed_hosts)
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def low_level(server: AnyServer) -> Server[Any]:
    """The SDK's low-level server; MCPServer has no public name for its own."""
    return server._lowlevel_server if isinstance(server, MCPServer) else server


# -- stdio


async def serve_stdio(
    server: AnyServer,
    *,
    beside: Callable[[], Coroutine[Any, Any, None]] | None = None,
    cleaned_up: Callable[[], None] | None = None,
) -> None:
    """Serve on fd 0 and 1 until the host closes stdin, or SIGINT or SIGTERM arrives.

    While it runs, fd 1 points at stderr for everybody else, native libraries included. `beside` runs as long as the server does
    and is cancelled at its end. After a signal the process is left by `os._exit`: a thread that reads stdin can't be woken.
    """
    low = low_level(server)
    received: list[signal.Signals] = []
    async with stdio_streams() as (read, write):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_stop_on_signal, tasks.cancel_scope, received)
            if beside is not None:
                tasks.start_soon(beside)
            async with low.lifespan(low) as state:
                await serve_both_eras(low, read, write, lifespan_state=state)
            tasks.cancel_scope.cancel()
        if cleaned_up is not None:
            cleaned_up()
        if received:
            _leave(128 + received[0])


async def _stop_on_signal(scope: anyio.CancelScope, received: list[signal.Signals]) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for number in signals:
            received.append(number)
            watchdog = threading.Timer(_STOP_GRACE, _leave, args=(128 + number,))
            watchdog.daemon = True
            watchdog.start()
            scope.cancel()
            return


def _leave(code: int) -> NoReturn:
    with suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(code)


async def serve_both_eras(server: Server[Any], read: Any, write: Any, *, lifespan_state: Any) -> None:
    """Serve one duplex stream pair until `read` ends, each request in the era that it is written in; then close `write`."""
    options = server.create_initialization_options(_CHANGES)
    to_modern, modern = anyio.create_memory_object_stream[SessionMessage | Exception](0)

    async def modern_loop() -> None:
        await serve_dual_era_loop(server, modern, _Shared(write), lifespan_state=lifespan_state, init_options=options)

    async with write, anyio.create_task_group() as tasks, to_modern:
        tasks.start_soon(modern_loop)
        handshake = _HandshakeMessages(read, write, to_modern)
        await serve_loop(server, handshake, _Shared(write), lifespan_state=lifespan_state, init_options=options)


class _HandshakeMessages:
    """What the handshake loop reads of what the host writes; it sends the modern loop's on, and answers what is no message.

    One task reads and dispatches: with a stream between the two each request would wait for two more turns of the event loop.
    """

    def __init__(self, read: Any, write: Any, to_modern: MemoryObjectSendStream[SessionMessage | Exception]) -> None:
        self._read = read
        self._write = write
        self._to_modern = to_modern

    def __aiter__(self) -> _HandshakeMessages:
        return self

    async def __anext__(self) -> SessionMessage:
        while True:
            message: SessionMessage | Refusal = await anext(self._read)
            if isinstance(message, Refusal):
                await self._write.send(SessionMessage(message.error))
                continue
            modern, handshake = _eras(message)
            if modern:
                with suppress(anyio.BrokenResourceError):
                    await self._to_modern.send(message)
            if handshake:
                return message

    async def receive(self) -> SessionMessage:
        try:
            return await anext(self)
        except StopAsyncIteration:
            raise anyio.EndOfStream from None

    async def aclose(self) -> None: ...

    async def __aenter__(self) -> _HandshakeMessages:
        return self

    async def __aexit__(self, *_: object) -> None: ...


def _eras(message: SessionMessage) -> tuple[bool, bool]:
    """Whether the modern loop, and whether the handshake loop takes a message."""
    inner = message.message
    if isinstance(inner, mcp_types.JSONRPCRequest):
        meta = (inner.params or {}).get("_meta")
        enveloped = isinstance(meta, dict) and mcp_types.PROTOCOL_VERSION_META_KEY in meta and inner.method != "initialize"
        return enveloped, not enveloped
    cancels = isinstance(inner, mcp_types.JSONRPCNotification) and inner.method == "notifications/cancelled"
    return cancels, True  # a cancellation names a request of either; the other one doesn't know the id


class _Shared:
    """A write stream that one of its users can't close for the other."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def send(self, item: SessionMessage, /) -> None:
        await self._inner.send(item)

    async def aclose(self) -> None: ...

    async def __aenter__(self) -> _Shared:
        return self

    async def __aexit__(self, *_: object) -> None: ...


# -- Streamable HTTP


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Exits with one line where the address can't be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named: asyncio turns Nagle's algorithm off for connections of such a socket alone, and with it on every
    # answer on a kept connection waits for the client's delayed acknowledgement (40 ms).
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # Linux: accepted sockets inherit it
    try:
        sock.bind((host, port))
        sock.listen()  # without it a second process could bind the same address
    except OSError as error:
        sock.close()
        print(f"{_program()}: can't listen on {host}:{port}: {error.strerror or error}; choose another port", file=sys.stderr)
        raise SystemExit(EXIT_PORT_IN_USE) from None
    return sock


def security(
    host: str, port: int, allowed_hosts: Sequence[str] = (), allowed_origins: Sequence[str] = ()
) -> TransportSecuritySettings:
    """Which Host and Origin headers are answered: this address by its names, and what is allowed beside it.

    On 0.0.0.0 these are the loopback names and this machine's own name; other names must be allowed by the user.
    """
    names = [*_LOOPBACK]
    if host in _ANY_ADDRESS:
        names += [socket.gethostname(), socket.getfqdn()]
    else:
        names.append(f"[{host}]" if ":" in host else host)
    hosts = list(dict.fromkeys(form for name in names for form in (f"{name}:{port}", *((name,) if port in (80, 443) else ()))))
    hosts += [form for name in allowed_hosts for form in ((name,) if _has_port(name) else (name, f"{name}:{port}"))]
    origins = [f"{scheme}://{name}" for name in hosts for scheme in ("http", "https")]
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True, allowed_hosts=hosts, allowed_origins=[*origins, *allowed_origins]
    )


def _has_port(name: str) -> bool:
    return name.rpartition(":")[2].isdigit() and not name.endswith("]")


def http_app(server: Server[Any], settings: TransportSecuritySettings) -> Starlette:
    """The server as an application, behind an `HttpEdge`; `settings` say which Host and Origin are answered."""
    from starlette.applications import Starlette

    from portico_servers.common.mcp_sessions import McpSessions

    sessions = McpSessions(server, settings)
    return Starlette(routes=[sessions.route], lifespan=lambda _: sessions.run())


def _serve_http(server: Server[Any], sock: socket.socket, host: str, allowed_hosts: Sequence[str]) -> None:
    import uvicorn

    from portico_servers.common.http_connection import IDLE_SECONDS, BoundedConnection

    port = sock.getsockname()[1]
    config = uvicorn.Config(
        HttpEdge(http_app(server, security(host, port, allowed_hosts))),
        loop="asyncio",
        http=BoundedConnection,
        ws="none",
        log_level="warning",
        access_log=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=2,
    )
    print(f"{_program()}: MCP over Streamable HTTP on http://{host}:{port}/mcp", file=sys.stderr, flush=True)
    with sock:
        uvicorn.Server(config).run(sockets=[sock])


def _program() -> str:
    path = Path(sys.argv[0])
    package = path.parent.name
    return path.name if path.name != "__main__.py" else "portico" if package == "portico_gateway" else f"portico-{package}"


def _log_plainly() -> None:
    """Warnings go to stderr, a line each: MCPServer sets up a wide, wrapped format that a gateway's log can't quote."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    level = logging.getLevelNamesMapping().get(os.environ.get("PORTICO_LOG_LEVEL", "").upper(), logging.WARNING)
    logging.basicConfig(level=level, handlers=[handler], force=True)
