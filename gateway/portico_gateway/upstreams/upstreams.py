"""All MCP servers behind the gateway: one supervised, persistent connection each, and one catalog of what they offer.

It owns starting and ending them together and finding the right one for a name. Whatever happens to one, the others go on.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote

import anyio
import mcp_types
from anyio.abc import TaskGroup
from mcp.shared.dispatcher import ProgressFnT
from pydantic import ConfigDict

from portico_gateway.caller import current_caller
from portico_gateway.config.logs import log_folder
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.errors import ConfigError, UnknownName, UpstreamUnavailable
from portico_gateway.upstreams.catalog import Catalog
from portico_gateway.upstreams.client import UpstreamClient
from portico_gateway.upstreams.definition_pins import DefinitionPins, server_identity
from portico_gateway.upstreams.resource_watches import ResourceWatches
from portico_gateway.upstreams.server_requests import Sampler
from portico_gateway.upstreams.upstream import Upstream, UpstreamStatus

_Result = TypeVar("_Result", bound=mcp_types.Result)


class _AnyResult(mcp_types.Result):
    """Of a method that the SDK does not dispatch."""

    model_config = ConfigDict(extra="allow")


class Upstreams:
    """An async context manager: entering starts every server (and waits for none), leaving ends them all, groups and all.

    Must be entered and left in the same task. Everything else may be called from any task of the event loop.
    """

    def __init__(
        self,
        specs: Sequence[UpstreamSpec],
        *,
        log_dir: Path | None = None,
        sampler: Sampler | None = None,
        pins: DefinitionPins | None = None,
    ) -> None:
        """`sampler` answers servers' sampling requests where the caller can't. Without `pins`, what tools said of themselves is
        known in this process alone."""
        self.catalog = Catalog(_names(specs), pins)
        self._log_dir = log_dir or log_folder()
        self._sampler = sampler
        self._servers = {spec.name: self._upstream(spec) for spec in specs}
        self._tasks: TaskGroup | None = None
        self._watches = ResourceWatches(self.catalog, lambda: {name: each.supervisor for name, each in self._servers.items()})

    def _upstream(self, spec: UpstreamSpec) -> Upstream:
        self.catalog.begin(spec.name, server_identity(spec), own=spec.own is not None)
        return Upstream(spec, self.catalog, self._log_dir, self._sampler)

    async def __aenter__(self) -> Upstreams:
        self._tasks = await anyio.create_task_group().__aenter__()
        for server in self._servers.values():
            self._start(server)
        return self

    def _start(self, server: Upstream) -> None:
        assert self._tasks is not None
        self._tasks.start_soon(server.supervisor.run, name=f"upstream {server.spec.name}")

    async def replace(self, specs: Sequence[UpstreamSpec]) -> None:
        """Go on with these servers: what is gone or changed offers nothing more and ends after its calls, what is new starts.

        Raises ConfigError where two have one name; then nothing is changed.
        """
        assert self._tasks is not None
        names = _names(specs)
        before = self._servers
        kept = {spec.name: before[spec.name] for spec in specs if spec.name in before and before[spec.name].spec == spec}
        self._servers = {spec.name: kept.get(spec.name) or self._upstream(spec) for spec in specs}
        self.catalog.arrange(names)
        for name, server in before.items():
            if name not in kept:
                server.supervisor.retire()
                self._tasks.start_soon(server.retire, name=f"last calls of {name}")
        for name, server in self._servers.items():
            if name not in kept:
                self._start(server)

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        assert self._tasks is not None
        self._tasks.cancel_scope.cancel()
        if exc is None or isinstance(exc, anyio.get_cancelled_exc_class()):
            return await self._tasks.__aexit__(exc_type, exc, traceback)
        await self._tasks.__aexit__(None, None, None)  # so that the caller's own error leaves as it is, not in a group
        return None

    async def ready(self, timeout: float | None = None) -> list[UpstreamStatus]:
        """Wait until each server is up or has failed to start once, at most `timeout` seconds; then say how they are."""
        with anyio.move_on_after(timeout):
            for server in self._servers.values():
                await server.supervisor.settled.wait()
        return self.status()

    def starting(self) -> list[str]:
        """Names of the servers whose first start is still being tried."""
        return [name for name, server in self._servers.items() if not server.supervisor.settled.is_set()]

    async def one_ready(self) -> None:
        """Wait until any of the servers is up, for ever where none gets there."""
        async with anyio.create_task_group() as tasks:

            async def wait(server: Upstream) -> None:
                await server.supervisor.until_ready()
                tasks.cancel_scope.cancel()

            for server in self._servers.values():
                tasks.start_soon(wait, server)

    def watch(self, uris: Collection[str]) -> None:
        """These resources, by gateway URI, are to be watched, and no others: what changes comes to the catalog's listeners."""
        if self._tasks is not None:
            self._watches.want(uris, self._tasks)

    async def set_log_level(self, level: mcp_types.LoggingLevel) -> None:
        """Have the servers of the handshake eras log from this level on; those of 2026-07-28 are told with each call. One that
        is down or refuses stays as it is."""
        for server in self._servers.values():
            await server.supervisor.set_log_level(level)

    def status(self) -> list[UpstreamStatus]:
        """How every server is, in configured order."""
        return [server.status() for server in self._servers.values()]

    async def call_tool(
        self,
        name: str,
        arguments: dict[str, Any] | None = None,
        *,
        timeout: float | None = None,
        progress: ProgressFnT | None = None,
        definition: str | None = None,
        task: mcp_types.TaskMetadata | None = None,
    ) -> mcp_types.CallToolResult:
        """Call a tool by its gateway name. `progress(progress, total, message)` hears of its progress. With `definition` it is
        called only while that is its digest; with `task` it is to run as a task, which is then a part of the result that the
        SDK does not know.

        A tool's own failure is a result with `is_error`. Raises UnknownName, UpstreamError, or MCPError where the server
        answered with a protocol error.
        """
        entry = self.catalog.tool(name)

        async def call(client: UpstreamClient) -> mcp_types.CallToolResult:
            if definition is not None and self.catalog.tool(name).digest != definition:  # the server came back as another
                raise UpstreamUnavailable(entry.server, f"has changed the tool {name} since it was looked up; call it again")
            if task is not None:
                params = mcp_types.CallToolRequestParams(name=entry.tool.name, arguments=arguments or {}, task=task)
                request = mcp_types.CallToolRequest(params=params)
                return await client.session.send_request(request, mcp_types.CallToolResult, progress_callback=progress)
            return await client.call_tool_directly(entry.tool.name, arguments or {}, progress=progress, meta=_log_meta())

        return _without_server_info(await self._server(entry.server, "tool", name).call(call, timeout))

    async def ask_of_task(
        self, server: str, request: mcp_types.Request[Any, Any], *, timeout: float | None = None
    ) -> dict[str, Any]:
        """What a server says to a request about one of its tasks, as it came. Raises as `call_tool`."""
        known = self._server(server, "server", server)
        result = await known.call(lambda client: client.session.send_request(request, _AnyResult), timeout)
        return result.model_dump(by_alias=True, mode="json", exclude_unset=True)

    def is_own_and_up(self, server: str) -> bool:
        """Is it one of Portico's own servers, started by this gateway, and ready?"""
        known = self._servers.get(server)
        return known is not None and known.spec.own is not None and known.status().state == "ready"

    async def read_question(self, name: str, question: str, *, timeout: float | None = None) -> str | None:
        """How the server of a tool reads a question, as JSON text; None where it reads none. For the built-in model alone: no
        host can ask for it. Raises as `call_tool`."""
        entry = self.catalog.tool(name)
        if entry.question_reader is None:
            return None
        uri = f"{entry.question_reader}?question={quote(question, safe='')}"
        result = await self._server(entry.server, "tool", name).call(lambda client: client.read_resource(uri), timeout)
        return "".join(block.text for block in result.contents if isinstance(block, mcp_types.TextResourceContents))

    async def read_resource(self, uri: str, *, timeout: float | None = None) -> mcp_types.ReadResourceResult:
        """Read a resource by its gateway URI. The contents carry the server's own URIs. Raises as `call_tool`."""
        server, own = self._owner(uri)
        return _without_server_info(await server.call(lambda client: client.read_resource(own), timeout))

    async def get_prompt(
        self, name: str, arguments: dict[str, str] | None = None, *, timeout: float | None = None
    ) -> mcp_types.GetPromptResult:
        """Render a prompt by its gateway name. Raises as `call_tool`."""
        entry = self.catalog.prompt(name)
        server = self._server(entry.server, "prompt", name)
        return _without_server_info(await server.call(lambda client: client.get_prompt(entry.prompt.name, arguments), timeout))

    async def complete(
        self,
        ref: mcp_types.PromptReference | mcp_types.ResourceTemplateReference,
        argument: dict[str, str],
        context: dict[str, str] | None = None,
        *,
        timeout: float | None = None,
    ) -> mcp_types.CompleteResult:
        """Complete an argument of a prompt or resource template, given by its gateway name. Raises as `call_tool`."""
        own: mcp_types.PromptReference | mcp_types.ResourceTemplateReference
        if isinstance(ref, mcp_types.PromptReference):
            entry = self.catalog.prompt(ref.name)
            server = self._server(entry.server, "prompt", ref.name)
            own = mcp_types.PromptReference(type="ref/prompt", name=entry.prompt.name)
        else:
            server, uri = self._owner(ref.uri)
            own = mcp_types.ResourceTemplateReference(type="ref/resource", uri=uri)
        return _without_server_info(await server.call(lambda client: client.complete(own, argument, context), timeout))

    def _owner(self, uri: str) -> tuple[Upstream, str]:
        name, own = self.catalog.resource_owner(uri)
        return self._server(name, "resource", uri), own

    def _server(self, name: str, kind: str, wanted: str) -> Upstream:
        """The server of this name; `wanted` is what was asked of it. Raises UnknownName where it was taken away."""
        if name not in self._servers:
            raise UnknownName(kind, wanted)
        return self._servers[name]


def _log_meta() -> Any:
    """How much a server of 2026-07-28 is to log during this call, where its host wants that."""
    caller = current_caller.get()
    return {mcp_types.LOG_LEVEL_META_KEY: caller.log_level} if caller is not None and caller.log_level is not None else None


def _names(specs: Sequence[UpstreamSpec]) -> list[str]:
    names = [spec.name for spec in specs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError(f"two servers are named {twice!r}; names must differ", key=f"servers.{twice}")
    return names


def _without_server_info(result: _Result) -> _Result:
    """The result, which nobody else has yet, without its server's stamp: what the gateway passes on, it answers for."""
    if result.meta and mcp_types.SERVER_INFO_META_KEY in result.meta:
        del result.meta[mcp_types.SERVER_INFO_META_KEY]
        result.meta = result.meta or None
    return result
