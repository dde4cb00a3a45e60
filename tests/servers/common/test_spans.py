from __future__ import annotations

from typing import Any

import pytest
from mcp.client import Client
from mcp.server.lowlevel import Server
from opentelemetry import trace

from portico_servers.common.spans import make_spans_where_wanted

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


def _server(seen: list[str]) -> Server[Any]:
    async def call_tool(ctx: Any, params: Any) -> Any:
        from mcp_types import CallToolResult

        seen.append(f"{trace.get_current_span().get_span_context().trace_id:032x}")
        return CallToolResult(content=[])

    async def list_tools(ctx: Any, params: Any) -> Any:
        from mcp_types import ListToolsResult, Tool

        return ListToolsResult(tools=[Tool(name="one", input_schema={"type": "object"})])

    server = Server[Any]("traced", on_call_tool=call_tool, on_list_tools=list_tools)
    make_spans_where_wanted(server.middleware)
    return server


@pytest.mark.anyio
async def test_a_trace_that_a_request_names_goes_on_and_without_one_no_span_is_made() -> None:
    seen: list[str] = []
    async with Client(_server(seen)) as client:
        await client.call_tool("one", {}, meta={"traceparent": PARENT})  # type: ignore[arg-type]
        await client.call_tool("one", {})
    assert seen == [TRACE, "0" * 32]


@pytest.mark.anyio
async def test_every_request_has_a_span_where_somebody_takes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    exported = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    from mcp.shared import _otel
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    spans, provider = exported.InMemorySpanExporter(), sdk.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    monkeypatch.setattr(_otel, "_tracer", provider.get_tracer("test"))
    async with Client(_server([])) as client:
        await client.call_tool("one", {})
    assert "tools/call one" in {span.name for span in spans.get_finished_spans() if span.kind is trace.SpanKind.SERVER}
