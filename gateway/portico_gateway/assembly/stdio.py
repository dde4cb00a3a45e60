"""Runs the gateway on stdin and stdout: the first answer does not wait for upstreams or a model."""

from __future__ import annotations

from collections.abc import Sequence

from portico_gateway.assembly.gateway import Beside, open_gateway
from portico_gateway.config.portico_config import PorticoConfig
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.config.workspace import ConfigSource
from portico_gateway.errors import ConfigError
from portico_gateway.model.installed import missing_libraries
from portico_gateway.model.lazy_engine import LazyEngine
from portico_gateway.upstreams.wire.child_process import gateway_depth
from portico_servers.common.transport import serve_stdio

MAX_GATEWAY_DEPTH = 3


async def serve_stdio_gateway(
    config: PorticoConfig, specs: Sequence[UpstreamSpec], source: ConfigSource | None = None, beside: Beside | None = None
) -> None:
    """Serve until the host hangs up or a signal comes, following `source`'s changes; every upstream has ended when it returns.
    `beside` runs meanwhile, where the engine is installed.

    Raises ConfigError where this gateway was started by gateways, deeper than anybody means to.
    """
    if gateway_depth() >= MAX_GATEWAY_DEPTH:
        raise ConfigError("portico was started by portico again and again: does its configuration name portico itself?")
    engine = LazyEngine(config.model, config.engine)
    get_engine = None if missing_libraries() else engine.get
    with open_gateway(config, specs, get_engine=get_engine, source=source, beside=beside) as gateway:

        async def run() -> None:
            try:
                async with gateway.upstreams:
                    await gateway.server.run()
            finally:
                await engine.aclose()

        await serve_stdio(gateway.server.server, beside=run)
