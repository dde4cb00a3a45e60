"""GET /metrics: what `/healthz` knows, and how requests went, in Prometheus' text format.

Engines and servers are read when they are asked for; requests are counted as they end. Paths are those of routes, so that a
client can't make up series. No question, argument or result is in it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portico_gateway.agent.question_looks import QuestionLooks
from portico_gateway.http.middleware.model_metrics import ModelReading, model_metrics, read_models
from portico_gateway.model.host import ModelHost
from portico_gateway.upstreams.upstreams import Upstreams

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.02, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """One application's registry."""

    def __init__(self, upstreams: Upstreams, models: Sequence[ModelHost] = (), looks: QuestionLooks | None = None) -> None:
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
        self._models = models
        self._looks = looks

    async def text(self) -> bytes:
        state = CollectorRegistry()
        state.register(_State(self._upstreams, await read_models(self._models), self._looks))
        return generate_latest(self._registry) + generate_latest(state)

    def answered(self, path: str, status: int, seconds: float) -> None:
        self._requests.labels(path, status).inc()
        self._seconds.labels(path).observe(seconds)


class _State(Collector):
    """The engines and the servers as they are now."""

    def __init__(self, upstreams: Upstreams, models: Sequence[ModelReading], looks: QuestionLooks | None) -> None:
        self._upstreams = upstreams
        self._models = models
        self._looks = looks

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("portico_upstream_up", "Whether an MCP server is ready.", labels=["server"])
        tools = GaugeMetricFamily("portico_upstream_tools", "Tools that it has.", labels=["server"])
        restarts = CounterMetricFamily("portico_upstream_restarts", "Times that it was started again.", labels=["server"])
        for status in self._upstreams.status():
            up.add_metric([status.name], float(status.state == "ready"))
            tools.add_metric([status.name], status.tools)
            restarts.add_metric([status.name], status.restarts)
        yield from (up, tools, restarts)
        if self._looks is not None:
            counted = CounterMetricFamily(
                "portico_guidance_looks",
                "Questions that one of Portico's servers was asked before the model answered, by what came of it.",
                labels=["server", "outcome"],
            )
            for (server, outcome), count in self._looks.counts.items():
                counted.add_metric([server, outcome], count)
            yield counted
        yield from model_metrics(self._models)


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
