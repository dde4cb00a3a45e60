"""Which request is being worked on: its id, for logs and answers, and its trace, for OpenTelemetry.

Spans are made through OpenTelemetry's API, which does nothing until `send_traces` names a collector. It owns the names of spans
and where they go, and knows neither HTTP nor MCP. Nothing that was asked, called or answered is in a span. OpenTelemetry is
imported where a span is made: commands start without it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from portico_gateway.errors import GatewayError

if TYPE_CHECKING:
    from opentelemetry.trace import Span

Attributes: TypeAlias = Mapping[str, str | int | float | bool]
current_request_id: ContextVar[str] = ContextVar("current_request_id", default="")
_NAME = "portico"
_NANOSECONDS = 1_000_000_000


def request_span(name: str, headers: Mapping[bytes, bytes], attributes: Attributes) -> AbstractContextManager[Span]:
    """A request's span, within its caller's trace where the headers name one (W3C traceparent)."""
    if not _is_recorded() and _propagated().isdisjoint(headers):
        return _no_span()
    return _request_span(name, headers, attributes)


@contextmanager
def _request_span(name: str, headers: Mapping[bytes, bytes], attributes: Attributes) -> Iterator[Span]:
    from opentelemetry import propagate, trace
    from opentelemetry.trace import SpanKind

    parent = propagate.extract({key.decode("latin-1"): value.decode("latin-1") for key, value in headers.items()})
    with trace.get_tracer(_NAME).start_as_current_span(name, parent, SpanKind.SERVER, attributes) as span:
        yield span


def call_span(tool: str, server: str) -> AbstractContextManager[Span]:
    """A tool call's; its decision is added when it is made."""
    if not _is_recorded():
        return _no_span()
    from opentelemetry import trace
    from opentelemetry.trace import SpanKind

    attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": tool, "portico.server": server}
    return trace.get_tracer(_NAME).start_as_current_span(f"execute_tool {tool}", kind=SpanKind.CLIENT, attributes=attributes)


def _is_recorded() -> bool:
    """Does anybody take spans? Else none is made: each takes a context of its own."""
    return _spans_are_taken()()


@cache  # of what is imported here, which each call would look for anew
def _spans_are_taken() -> Callable[[], bool]:
    from portico_servers.common.spans import spans_are_taken

    return spans_are_taken


@cache
def _no_span() -> AbstractContextManager[Span]:
    """Stands where nobody takes spans; used again and again."""
    from opentelemetry import trace

    return nullcontext(trace.INVALID_SPAN)


@cache
def _propagated() -> frozenset[bytes]:
    """The headers that a caller's trace comes in."""
    from opentelemetry import propagate

    return frozenset(name.encode() for name in propagate.get_global_textmap().fields)


class GenerationSpan:
    """An answer's, from its request to its last token; what the engine says of its steps becomes spans below it.

    It is not made current: an answer is read from other tasks than it is begun in.
    """

    def __init__(self, model: str, attributes: Attributes) -> None:
        from opentelemetry import trace
        from opentelemetry.trace import SpanKind

        self._tracer = trace.get_tracer(_NAME)
        self._began = time.time_ns()
        named = {"gen_ai.operation.name": "chat", "gen_ai.request.model": model, **attributes}
        self._span = self._tracer.start_span(f"chat {model}", kind=SpanKind.CLIENT, attributes=named)

    def steps(self, first: float, decode: float, attributes: Attributes) -> None:
        """`first` and `decode` are the engine's seconds to the first token and from there to the last."""
        from opentelemetry import trace

        self._span.set_attributes(dict(attributes))
        here = trace.set_span_in_context(self._span)
        begins = self._began
        for name, seconds in (("engine prefill", first), ("engine decode", decode)):
            ends = begins + int(seconds * _NANOSECONDS)
            self._tracer.start_span(name, here, start_time=begins).end(ends)
            begins = ends

    def end(self, failure: type[BaseException] | None = None) -> None:
        from opentelemetry.trace import StatusCode

        if failure is not None:
            self._span.set_status(StatusCode.ERROR, failure.__name__)
        self._span.end()


def carry_trace(meta: dict[str, Any]) -> None:
    """Name the current trace, and whatever else goes with a request, in the `_meta` of one to a server."""
    if (api := sys.modules.get("opentelemetry.context")) is not None and api.get_current():
        from opentelemetry.propagate import inject

        inject(meta)


def trace_id() -> str:
    """Of the current trace, in hex; empty where there is none."""
    if (api := sys.modules.get("opentelemetry.trace")) is None:
        return ""  # nobody has begun one
    context = api.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else ""


def send_traces(url: str) -> Callable[[], None]:
    """From now on spans go to the collector at `url` (OTLP over HTTP); the result sends what is left and ends that. Raises
    GatewayError where the extra is not installed."""
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise GatewayError('traces under [log] need OpenTelemetry\'s SDK: pip install "portico-mcp[otel]"') from None
    provider = TracerProvider(resource=Resource.create({"service.name": _NAME}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{url.rstrip('/')}/v1/traces")))
    trace.set_tracer_provider(provider)
    shutdown: Callable[[], None] = provider.shutdown
    return shutdown
