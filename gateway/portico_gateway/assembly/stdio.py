"""Runs the gateway on stdin and stdout: the first answer does not wait for upstreams or a model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from portico_gateway.assembly.reload import follow
from portico_gateway.cli.options import Source
from portico_gateway.config.config import PorticoConfig
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.errors import ConfigError
from portico_gateway.mcp.ask_tool import LateEngine, ask_tool
from portico_gateway.mcp.local_sampling import LocalSampler
from portico_gateway.mcp.server import Gateway
from portico_gateway.model.installed import missing_libraries
from portico_gateway.model.options import load_options
from portico_gateway.policy.audit import audit_log
from portico_gateway.policy.rules import Policy
from portico_gateway.policy.tool_calls import Calls
from portico_gateway.upstreams.transports import nesting
from portico_gateway.upstreams.upstreams import Upstreams
from portico_servers.common.transport import serve_stdio

MOST_NESTED = 3


async def serve_gateway(
    config: PorticoConfig, specs: Sequence[UpstreamSpec], log_dir: Path, source: Source | None = None
) -> None:
    """Serve until the host hangs up or a signal comes, following `source`'s changes; every upstream has ended when it returns.

    Raises ConfigError where this gateway was started by gateways, deeper than anybody means to.
    """
    if nesting() >= MOST_NESTED:
        raise ConfigError("portico was started by portico again and again: does its configuration name portico itself?")
    engine = LateEngine(config.model.name, load_options(config.model))
    has_model = not missing_libraries()
    sampler = LocalSampler(engine.get) if has_model and config.policy.local_sampling else None
    upstreams = Upstreams(specs, log_dir=log_dir, sampler=sampler)
    with audit_log(config.audit) as audit:
        calls = Calls(upstreams, policy=Policy(config.policy), audit=audit)
        own = [ask_tool(calls, engine.get)] if has_model else []
        gateway = Gateway(
            upstreams,
            calls=calls,
            own_tools=own,
            list_timeout=config.gateway.list_timeout,
            beside=partial(follow, source, calls) if source is not None else None,
        )

        async def beside() -> None:
            try:
                async with upstreams:
                    await gateway.run()
            finally:
                await engine.aclose()

        await serve_stdio(gateway.server, beside=beside)
