"""Spans of a server's requests, made only where they lead somewhere: where somebody takes spans, or the request names a trace
that is to go on. The SDK makes one for each message, in a context of its own, whether anybody looks or not.
"""

from __future__ import annotations

from typing import Any

from mcp.server._otel import OpenTelemetryMiddleware
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from opentelemetry import propagate, trace

_sdk = OpenTelemetryMiddleware()
_NO_SPANS = (trace.ProxyTracerProvider, trace.NoOpTracerProvider)


def make_spans_where_wanted(middleware: list[ServerMiddleware[Any]]) -> None:
    """Put `wanted_spans` in the place of the SDK's own, in a server's middleware."""
    middleware[:] = [wanted_spans if isinstance(each, OpenTelemetryMiddleware) else each for each in middleware]


async def wanted_spans(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Middleware: the SDK's span, or none."""
    if spans_are_taken() or (ctx.meta and not ctx.meta.keys().isdisjoint(propagate.get_global_textmap().fields)):
        return await _sdk(ctx, call_next)
    return await call_next(ctx)


def spans_are_taken() -> bool:
    """Whether anybody has asked for spans in this process."""
    return not isinstance(trace.get_tracer_provider(), _NO_SPANS)
