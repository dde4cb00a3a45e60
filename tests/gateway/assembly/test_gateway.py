"""The one place that builds a gateway: what it has with a model, without one, and what the configuration switches off."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from mcp.client.client import Client

from portico_gateway.assembly.gateway import open_gateway, open_tool_calls
from portico_gateway.config.portico_config import PorticoConfig
from portico_gateway.config.sections import AuditConfig, PolicyConfig
from portico_gateway.errors import GatewayError

if TYPE_CHECKING:
    from portico_engine import EngineClient

pytestmark = pytest.mark.anyio
SILENT = PorticoConfig(audit=AuditConfig(enabled=False))


async def no_engine() -> EngineClient:
    raise GatewayError("no model in this test")


async def test_a_gateway_with_a_model_has_the_tool_ask() -> None:
    with open_gateway(SILENT, [], get_engine=no_engine) as gateway:
        async with Client(gateway.server.server, cache=None) as host:
            assert [tool.name for tool in (await host.list_tools()).tools] == ["ask"]


async def test_a_gateway_without_a_model_has_none() -> None:
    with open_gateway(SILENT, []) as gateway:
        async with Client(gateway.server.server, cache=None) as host:
            assert (await host.list_tools()).tools == []


async def test_tool_calls_follow_the_configured_policy() -> None:
    config = SILENT.model_copy(update={"policy": PolicyConfig(deny=["files__*"])})
    with open_tool_calls(config, []) as tool_calls:
        assert tool_calls.policy.config == config.policy


def writers() -> int:
    return sum(thread.name == "audit log" for thread in threading.enumerate())


async def test_the_audit_log_is_closed_with_the_gateway_and_is_none_where_it_is_off() -> None:
    before = writers()
    with open_gateway(PorticoConfig(), []):
        assert writers() == before + 1
    assert writers() == before
    with open_gateway(SILENT, []):
        assert writers() == before
