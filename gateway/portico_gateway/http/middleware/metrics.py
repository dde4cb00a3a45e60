"""GET /metrics: what `/healthz` knows, and how requests went, in Prometheus' text format.

Engine and servers are read when they are asked for; requests are counted as they end. Paths are those of routes, so that a
client can't make up series. No question, argument or result is in it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portico_engine.request import EXPERT_TOKENS, STEP_PARTS
from portico_gateway.model.host import ModelHost
from portico_gateway.model.remote.engine import RemoteEngine
from portico_gateway.model.remote.server import ModelServer
from portico_gateway.upstreams.upstreams import Upstreams

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.02, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class _Stat(NamedTuple):
    """Which of the engine's stats a series shows."""

    name: str
    help: str
    labels: Mapping[str, str]  # one label and its value, or none
    key: str


_GAUGES = (
    _Stat("portico_engine_requests", "Requests in the engine.", {"state": "running"}, "running"),
    _Stat("portico_engine_requests", "", {"state": "waiting"}, "waiting"),
    _Stat("portico_engine_requests", "", {"state": "paused"}, "paused"),
    _Stat("portico_kv_blocks", "KV blocks of 16 tokens.", {"state": "free"}, "blocks_free"),
    _Stat("portico_kv_blocks", "", {"state": "cached"}, "blocks_cached"),
    _Stat("portico_kv_blocks", "", {"state": "held"}, "blocks_held"),
    _Stat("portico_kv_blocks_pinned", "Cached blocks that others go before.", {}, "blocks_pinned"),
)
_COUNTERS = (
    _Stat("portico_engine_steps", "Batches that the model ran.", {}, "steps"),
    *(
        _Stat("portico_engine_step_seconds", "Time that they took, by what it went to.", {"part": part}, f"step_seconds_{part}")
        for part in STEP_PARTS
    ),
    _Stat("portico_tokens_generated", "Tokens of answers, forced ones among them.", {}, "generated_tokens"),
    _Stat("portico_tokens_forced", "Tokens that a grammar left no choice about: they were not sampled.", {}, "forced_tokens"),
    _Stat("portico_prompt_tokens", "Tokens of prompts.", {}, "prompt_tokens"),
    _Stat(
        "portico_prompt_tokens_cached",
        "Tokens of prompts whose keys and values were there.",
        {"tier": "memory"},
        "prompt_tokens_cached_memory",
    ),
    _Stat("portico_prompt_tokens_cached", "", {"tier": "host"}, "prompt_tokens_cached_host"),
    _Stat("portico_prompt_tokens_cached", "", {"tier": "disk"}, "prompt_tokens_cached_disk"),
    _Stat("portico_preemptions", "Requests that gave up their blocks and were computed again.", {}, "preemptions"),
    _Stat("portico_kv_evictions", "Cached blocks that made room.", {}, "evictions"),
    _Stat("portico_kv_offloads", "Blocks that went to the host's memory.", {}, "kv_offloads"),
    _Stat("portico_kv_fetches", "Blocks that came from there.", {}, "kv_fetches"),
    _Stat("portico_kv_saves", "Blocks that went to disk.", {}, "kv_saves"),
    _Stat("portico_kv_saves_lost", "Blocks that the disk was too slow for, or failed on.", {}, "kv_saves_lost"),
    _Stat("portico_kv_loads", "Blocks that came from disk.", {}, "kv_loads"),
    _Stat("portico_kv_load_seconds", "Time that reading and checking them took.", {}, "kv_load_seconds"),
)


class Metrics:
    """One application's registry."""

    def __init__(self, upstreams: Upstreams, model: ModelHost | None) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "portico_http_requests", "HTTP requests answered.", ("path", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "portico_http_seconds",
            "Time from a request to the end of its answer.",
            ("path",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._upstreams = upstreams
        self._model = model

    async def text(self) -> bytes:
        state = CollectorRegistry()
        stats = None if self._model is None else await self._model.stats()
        state.register(_State(self._upstreams, self._model, stats))
        return generate_latest(self._registry) + generate_latest(state)

    def answered(self, path: str, status: int, seconds: float) -> None:
        self._requests.labels(path, status).inc()
        self._seconds.labels(path).observe(seconds)


class _State(Collector):
    """The engine and the servers as they are now."""

    def __init__(self, upstreams: Upstreams, model: ModelHost | None, stats: Mapping[str, float] | None) -> None:
        self._upstreams = upstreams
        self._model = model
        self._stats = stats

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("portico_upstream_up", "Whether an MCP server is ready.", labels=["server"])
        tools = GaugeMetricFamily("portico_upstream_tools", "Tools that it has.", labels=["server"])
        restarts = CounterMetricFamily("portico_upstream_restarts", "Times that it was started again.", labels=["server"])
        for status in self._upstreams.status():
            up.add_metric([status.name], float(status.state == "ready"))
            tools.add_metric([status.name], status.tools)
            restarts.add_metric([status.name], status.restarts)
        yield from (up, tools, restarts)
        if self._model is not None:
            ready = GaugeMetricFamily("portico_model_ready", "Whether the model is loaded.", labels=["model"])
            ready.add_metric([self._model.name], float(self._model.loaded is not None))
            yield ready
            restarts = CounterMetricFamily("portico_engine_restarts", "Times that the engine was started again.")
            restarts.add_metric([], self._model.status.restarts)
            yield restarts
        if self._model is not None and self._model.loaded is not None:
            yield _fallbacks(self._model.loaded.info.fallbacks)
        if self._model is not None and isinstance(self._model.loaded, RemoteEngine):
            yield from _model_servers(self._model.loaded.servers)
        if self._stats:
            yield from _families(GaugeMetricFamily, _GAUGES, self._stats)
            yield from _families(CounterMetricFamily, _COUNTERS, self._stats)
            yield _experts(self._stats)


def _model_servers(servers: Sequence[ModelServer]) -> Iterator[Metric]:
    """The servers whose model answers in the engine's place."""
    up = GaugeMetricFamily("portico_model_server_up", "Whether a model server is well.", labels=["url"])
    running = GaugeMetricFamily("portico_model_server_requests_running", "Requests that it answers now.", labels=["url"])
    requests = CounterMetricFamily("portico_model_server_requests", "Requests that it got.", labels=["url"])
    failures = CounterMetricFamily("portico_model_server_failures", "Requests that it failed, and looks at it.", labels=["url"])
    for server in servers:
        up.add_metric([server.url], float(server.problem is None))
        running.add_metric([server.url], server.in_flight)
        requests.add_metric([server.url], server.requests)
        failures.add_metric([server.url], server.failures)
    yield from (up, running, requests, failures)


def _fallbacks(kinds: Iterable[str]) -> Metric:
    found = GaugeMetricFamily(
        "portico_engine_fallbacks", "1 for what the engine does instead of something better.", labels=["kind"]
    )
    for kind in kinds:
        found.add_metric([kind], 1.0)
    return found


def _experts(stats: Mapping[str, float]) -> Metric:
    """Of a mixture of experts; without samples where the model is none."""
    found = CounterMetricFamily("portico_expert_tokens", "Tokens that an expert took.", labels=["layer", "expert"])
    for key, value in stats.items():
        if key.startswith(EXPERT_TOKENS):
            found.add_metric(key.removeprefix(EXPERT_TOKENS).split("."), value)
    return found


def _families(
    kind: type[GaugeMetricFamily] | type[CounterMetricFamily], shown: tuple[_Stat, ...], stats: Mapping[str, float]
) -> Iterator[Metric]:
    families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
    for name, text, labels, key in shown:
        if name not in families:
            families[name] = kind(name, text, labels=list(labels))
        families[name].add_metric(list(labels.values()), stats[key])
    yield from families.values()


class MetricsMiddleware:
    """Counts requests by their route, status and time."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            path = getattr(scope.get("route"), "path", "other")
            self._metrics.answered(path, status or 500, time.perf_counter() - began)
