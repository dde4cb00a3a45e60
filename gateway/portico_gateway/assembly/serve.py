"""Runs the gateway behind HTTP, as `portico serve` does: the served model, the app, and uvicorn around them."""

from __future__ import annotations

import gc
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio
from mcp.server.transport_security import TransportSecuritySettings
from platformdirs import user_state_path

from portico_gateway.agent.question_looks import QuestionLooks
from portico_gateway.assembly.gateway import Beside, open_gateway
from portico_gateway.assembly.listening import check_tls, listening
from portico_gateway.caller import Caller
from portico_gateway.config.logs import set_up_logging
from portico_gateway.config.loopback import is_loopback
from portico_gateway.config.portico_config import PorticoConfig
from portico_gateway.config.sections import KeyConfig
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.config.workspace import ConfigSource
from portico_gateway.errors import ConfigError, GatewayError
from portico_gateway.http.app import create_app
from portico_gateway.http.draining import Drain
from portico_gateway.http.limits import RUNNING_OF_A_KEY, RUNNING_WITHOUT_KEYS, CallerLimits
from portico_gateway.http.quotas import KeyQuotas
from portico_gateway.http.server.server import HttpServer
from portico_gateway.model.chosen_adapter import AdaptedEngine
from portico_gateway.model.host import LoadStatus, ModelHost, model_host, model_on_demand, remote_host
from portico_gateway.model.pool import ModelPool
from portico_gateway.model.remote.errors import ModelServerFault
from portico_gateway.policy.tool_calls import ToolCalls
from portico_gateway.safe_output.inert import inert
from portico_gateway.tracing import send_traces
from portico_servers.common.collector import calm_collector
from portico_servers.common.transport import security

if TYPE_CHECKING:
    from portico_engine import EngineClient
    from portico_gateway.guidance.call_guide import CallGuide


log = logging.getLogger(__name__)
_WARM_SECONDS = 20.0  # that a model which is loaded waits for servers and for the instructions to be computed
_MODELS_SHARE = 0.6  # of the machine's memory that models on demand may take together, where nothing is said


class ServeFailed(GatewayError):
    """The server stopped because its model can't be loaded."""


def run_server(
    config: PorticoConfig,
    specs: Sequence[UpstreamSpec],
    *,
    with_model: bool = True,
    source: ConfigSource | None = None,
    beside: Beside | None = None,
) -> None:
    """Serve until interrupted, following `source`'s changes; `beside` runs meanwhile, where there is a model.

    Raises ConfigError where the address is open to strangers, ModelError or ServeFailed where the model can't be had; exits
    with 1 on a port in use.
    """
    _refuse_strangers(config)
    check_tls(config.serve)
    with listening(config.serve) as sock, ExitStack() as stack:
        port = 0 if config.serve.socket is not None else sock.getsockname()[1]
        set_up_logging("serve", config.log)
        if config.log.traces:
            stack.callback(send_traces(config.log.traces))
        ended: list[LoadStatus] = []

        def on_end(status: LoadStatus) -> None:
            ended.append(status)
            if status.state == "failed":
                server.should_exit = True
            else:
                gc.collect()
                calm_collector()  # all that stands by now stays: streams would pause while it is looked through for garbage
                _say(f"model {model.name if model else ''} ready after {status.seconds:.1f} s")

        model = _model(config, on_end) if with_model else None
        get_engine = partial(_loaded_engine, model, config.serve.load_timeout) if model else None
        keys = dict(config.keys)
        parts = open_gateway(
            config,
            specs,
            get_engine=get_engine,
            takes_approvals=True,
            source=source,
            on_config=partial(_use_keys, keys),
            beside=beside,
        )
        gateway = stack.enter_context(parts)
        if model is not None and not config.engine.urls:
            model.before_ready = partial(_warm, gateway.tool_calls, config, model.adapter)
        rules = _rules(config, port)
        drain, quotas = Drain(), KeyQuotas(keys, user_state_path("portico", appauthor=False) / "quotas.db")
        stack.callback(quotas.close)
        app = create_app(
            gateway.upstreams,
            gateway.server,
            _pool(model, config) if with_model else None,
            security=rules,
            load_timeout=config.serve.load_timeout,
            tool_calls=gateway.tool_calls,
            keys=keys,
            oauth=config.oauth,
            limits=_limits(config, keys, quotas),
            guide=_guide(config) if with_model else None,
            looks=QuestionLooks(gateway.tool_calls) if with_model and config.model.guidance == "auto" else None,
            drain=drain,
            origins=config.serve.allowed_origins,
        )
        tls = (config.serve.tls_cert, config.serve.tls_key) if config.serve.tls_cert and config.serve.tls_key else None
        server = HttpServer(app, drain=drain, drain_seconds=config.serve.drain_seconds, tls=tls)
        where = _address(config, port)
        _say(f"OpenAI API on {where}/v1, MCP on {where}/mcp" + (f"; loading {model.name}" if model else "; without a model"))
        if not (_is_private(config) or _has_keys(config)):
            _say(f"whoever reaches {config.serve.host} is served: there are no keys in portico.toml (portico key new NAME)")
        with _stopped_by_sigterm():
            server.run(sockets=[sock])
    if ended and ended[0].state == "failed":
        raise ServeFailed(f"the model can't be loaded: {ended[0].error}")


async def _warm(tool_calls: ToolCalls, config: PorticoConfig, adapter: str | None, engine: EngineClient) -> None:
    """What the tool `ask` says to the model before each question is computed before the first one, if that is done soon."""
    from portico_engine import EngineError
    from portico_gateway.agent.catalog_warmup import warm_catalog
    from portico_gateway.agent.upstream_tool_host import UpstreamToolHost

    if not engine.info.generates:
        return
    host = UpstreamToolHost(tool_calls.upstreams, tool_calls=tool_calls, caller=Caller(client="ask"), read_only=True)
    try:
        with anyio.move_on_after(_WARM_SECONDS):
            await tool_calls.upstreams.ready()
            tokens = await warm_catalog(AdaptedEngine(engine, adapter) if adapter else engine, host, config.model.guidance)
            log.info("%d tokens of instructions and tools are known", tokens)
    except EngineError as error:
        log.warning("instructions and tools could not be computed beforehand: %s", error)


def _model(config: PorticoConfig, on_end: Callable[[LoadStatus], None]) -> ModelHost:
    """This machine's own, or the one behind the configured servers. Raises ModelError, ServeFailed."""
    if not config.engine.urls:
        return model_host(config.model, config.engine, on_end=on_end)
    try:
        return remote_host(config.engine, on_end=on_end)
    except ModelServerFault as error:
        raise ServeFailed(str(error)) from None


def _pool(model: ModelHost | None, config: PorticoConfig) -> ModelPool:
    """The default model, and those of [models] within their bound."""
    from portico_engine import memory_bytes

    others = [model_on_demand(name, entry, config.engine) for name, entry in config.models.items()]
    bound = config.engine.models_gib * 2**30 if config.engine.models_gib else _MODELS_SHARE * memory_bytes()
    return ModelPool(model, others, memory=int(bound))


def _has_keys(config: PorticoConfig) -> bool:
    return bool(config.keys or config.oauth.issuer)


def _use_keys(keys: dict[str, KeyConfig], config: PorticoConfig) -> None:
    """Those of the file as it is now: a key that isn't in it any more opens nothing from here on."""
    keys.clear()
    keys.update(config.keys)


def _refuse_strangers(config: PorticoConfig) -> None:
    """An address that others reach needs keys, or somebody's word that it is meant so. Raises ConfigError."""
    host = config.serve.host
    if not (_is_private(config) or _has_keys(config) or config.serve.without_keys):
        raise ConfigError(
            f"on {host} whoever reaches this machine would be served, for there are no keys: make one with portico key new "
            "NAME, or start with --without-keys (without_keys = true under [serve]) if that is meant",
            key="serve.host",
        )


def _guide(config: PorticoConfig) -> CallGuide | None:
    """What helps a small model with its calls; None where it is to be left to itself."""
    from portico_gateway.agent.upstream_tool_host import embedder
    from portico_gateway.guidance.call_guide import CallGuide

    if config.model.guidance != "auto":
        return None
    return CallGuide(embedder().embed, information=embedder().information)


def _address(config: PorticoConfig, port: int) -> str:
    """As a client writes it."""
    if config.serve.socket is not None:
        return f"unix:{config.serve.socket}:"
    scheme = "http" if config.serve.tls_cert is None else "https"
    return f"{scheme}://{f'[{config.serve.host}]' if ':' in config.serve.host else config.serve.host}:{port}"


def _rules(config: PorticoConfig, port: int) -> TransportSecuritySettings:
    """Which Host and Origin are answered. Over a Unix socket clients write what they like for a host; a page reaches none."""
    hosts = [*config.serve.allowed_hosts, *(("localhost", "portico", "unix") if config.serve.socket is not None else ())]
    return security(config.serve.host, port, hosts, config.serve.allowed_origins)


def _limits(config: PorticoConfig, keys: dict[str, KeyConfig], quotas: KeyQuotas) -> CallerLimits:
    running = config.serve.running_per_key or (RUNNING_OF_A_KEY if _has_keys(config) else RUNNING_WITHOUT_KEYS)
    return CallerLimits(running=running, waiting=config.serve.waiting_per_key, keys=keys, quotas=quotas)


def _is_private(config: PorticoConfig) -> bool:
    """Does this machine alone reach it?"""
    return config.serve.socket is not None or is_loopback(config.serve.host)


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """SIGTERM is how a service is stopped, so it ends the process with exit code 0. uvicorn cleans up and then raises the
    signal anew, which would kill it."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers, and signals go there
        return
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


async def _loaded_engine(model: ModelHost, timeout: float) -> EngineClient:
    engine = await model.engine(timeout)
    if engine is None:
        raise GatewayError(f"the model is still {model.status.state} after {timeout:g} s; ask again in a moment")
    return engine if model.adapter is None else AdaptedEngine(engine, model.adapter)


def _say(text: str) -> None:
    print(inert(f"portico: {text}"), file=sys.stderr, flush=True)
