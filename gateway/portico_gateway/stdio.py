"""Runs the gateway on stdin and stdout: the first answer does not wait for upstreams or a model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from portico_gateway.ask_tool import LateEngine, ask_tool
from portico_gateway.audit import audit_log
from portico_gateway.calls import Calls
from portico_gateway.config import PorticoConfig
from portico_gateway.engine_libraries import missing_libraries
from portico_gateway.engine_options import load_options
from portico_gateway.errors import ConfigError
from portico_gateway.mcp_server import Gateway
from portico_gateway.policy import Policy
from portico_gateway.reload import follow
from portico_gateway.sampling import LocalSampler
from portico_gateway.specs import UpstreamSpec
from portico_gateway.transports import nesting
from portico_gateway.upstreams import Upstreams
from portico_gateway.workspace import Source
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
