"""The one place where a gateway is put together: upstreams, policy, audit log, tool calls, tools of its own, MCP server.

It owns which part gets which, from the configuration alone, and the order in which they are closed. `stdio.py`, `serve.py` and
`ask_session.py` use it, and add what only they have. It starts nothing: the upstreams are started by whoever enters them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import anyio

from portico_gateway.assembly.config_reload import follow_config
from portico_gateway.config.logs import log_folder
from portico_gateway.config.portico_config import PorticoConfig
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.config.workspace import ConfigSource
from portico_gateway.mcp.ask_tool import ask_tool
from portico_gateway.mcp.local_sampling import LocalSampler
from portico_gateway.mcp.server import GatewayServer
from portico_gateway.model.lazy_engine import GetEngine
from portico_gateway.policy.audit import audit_log
from portico_gateway.policy.idle_patterns import idle_patterns
from portico_gateway.policy.remembered import RememberedChoices, choices_file
from portico_gateway.policy.rules import Policy
from portico_gateway.policy.tool_calls import ToolCalls
from portico_gateway.upstreams.definition_pins import DefinitionPins, pins_file
from portico_gateway.upstreams.upstreams import Upstreams
from portico_servers.common.collector import calm_collector

log = logging.getLogger(__name__)

Beside: TypeAlias = Callable[[ToolCalls, GetEngine], Coroutine[Any, Any, None]]  # runs until it is cancelled


@dataclass(frozen=True, slots=True)
class GatewayParts:
    """What a gateway is made of: the servers behind it, the one path of every tool call, and the MCP server in front."""

    upstreams: Upstreams
    tool_calls: ToolCalls
    server: GatewayServer


@contextmanager
def open_gateway(
    config: PorticoConfig,
    specs: Sequence[UpstreamSpec],
    *,
    get_engine: GetEngine | None = None,
    takes_approvals: bool = False,
    source: ConfigSource | None = None,
    on_config: Callable[[PorticoConfig], None] = lambda config: None,
    beside: Beside | None = None,
) -> Iterator[GatewayParts]:
    """A gateway over the servers of `specs`; its audit log is closed at the end of the block.

    With `get_engine` it has the local model: the tool `ask`, and sampling for servers where the policy lets it.
    `takes_approvals`: this process has an API that decides pending ones. Changes of `source` are followed while the MCP server
    runs, and `on_config` hears of them; with a model `beside` runs meanwhile.
    """
    with open_tool_calls(config, specs, get_engine=get_engine, takes_approvals=takes_approvals) as tool_calls:

        async def background() -> None:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_calm_when_ready, tool_calls.upstreams)
                if source is not None:
                    tasks.start_soon(partial(follow_config, source, tool_calls, on_config=on_config))
                if beside is not None and get_engine is not None:
                    tasks.start_soon(beside, tool_calls, get_engine)

        server = GatewayServer(
            tool_calls.upstreams,
            tool_calls=tool_calls,
            own_tools=[] if get_engine is None else [ask_tool(tool_calls, get_engine, config.model.guidance)],
            list_timeout=config.gateway.list_timeout,
            background=background,
            expose=config.gateway.expose,
        )
        yield GatewayParts(tool_calls.upstreams, tool_calls, server)


async def _calm_when_ready(upstreams: Upstreams) -> None:
    await upstreams.ready()
    calm_collector()


@contextmanager
def open_tool_calls(
    config: PorticoConfig,
    specs: Sequence[UpstreamSpec],
    *,
    get_engine: GetEngine | None = None,
    takes_approvals: bool = False,
) -> Iterator[ToolCalls]:
    """A gateway without an MCP server in front, for callers in this very process; else as `open_gateway`."""
    for said in idle_patterns(config, specs):
        log.warning("%s", said)
    sampler = LocalSampler(get_engine) if get_engine is not None and config.policy.local_sampling else None
    pins = DefinitionPins(pins_file())
    upstreams = Upstreams(specs, log_dir=log_folder(config.log), sampler=sampler, pins=pins)
    with audit_log(config.audit, for_training=config.tune.use_log) as audit:
        choices = RememberedChoices(choices_file())
        yield ToolCalls(upstreams, policy=Policy(config.policy), audit=audit, takes_approvals=takes_approvals, choices=choices)
