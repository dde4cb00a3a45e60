"""A call of the log, made again under today's policy, and whether its result is the same."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import mcp_types

from portico_gateway.assembly.gateway import open_tool_calls
from portico_gateway.config.portico_config import PorticoConfig
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.errors import GatewayError, UnknownName
from portico_gateway.policy.audit import result_digest
from portico_gateway.policy.terminal_consent import terminal_caller
from portico_gateway.safe_output.redaction import REDACTED

WAIT = 30.0  # seconds for the server


class CannotReplay(GatewayError):
    """The log does not hold what a call needs."""


class Replayed(NamedTuple):
    """What came of the call now; `same`: its result is what it was, None where the log doesn't say what that was."""

    arguments: dict[str, Any]
    result: mcp_types.CallToolResult
    same: bool | None


async def replay(row: Mapping[str, Any], config: PorticoConfig, specs: Sequence[UpstreamSpec]) -> Replayed:
    """Make the call of a row again, asked for at this terminal where the policy asks. Raises GatewayError."""
    arguments = _arguments(row)
    own = [spec for spec in specs if spec.name == row["server"]]
    if not own:
        raise UnknownName("server", str(row["server"]))
    with open_tool_calls(config, own) as tool_calls:
        async with tool_calls.upstreams as upstreams:
            await upstreams.ready(WAIT)
            result = await tool_calls.call_tool(str(row["tool"]), arguments, terminal_caller("portico audit"))
    before = row.get("result_sha256")
    return Replayed(arguments, result, None if before is None else result_digest(result) == before)


def _arguments(row: Mapping[str, Any]) -> dict[str, Any]:
    if row.get("kind") not in (None, "tool"):
        raise CannotReplay(f"row {row['id']} is no call of a server's tool, but of the kind {row['kind']!r}")
    if not row["arguments"]:
        raise CannotReplay("the log keeps a digest of its arguments alone; arguments = true under [audit] keeps them")
    if REDACTED in row["arguments"]:
        raise CannotReplay("its arguments held secrets, which the log does not keep")
    found = json.loads(row["arguments"])
    assert isinstance(found, dict)
    return found
