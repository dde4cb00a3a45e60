"""The gateway's side towards its servers, as the conformance suite starts a client: `python upstream_client.py URL`.

One server at the suite's URL is put behind the gateway's `Upstreams`; then the calls are made that the scenario
(MCP_CONFORMANCE_SCENARIO) waits for, as a host's would be, and what they give is printed. Where the server wants a log-in, the
person of `portico login` is stood in for by one who follows the page's redirect.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx2
import mcp_types
from mcp.client.auth import AuthorizationCodeResult
from mcp.shared.exceptions import MCPError
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from portico_gateway.caller import Caller
from portico_gateway.config.sections import PolicyConfig
from portico_gateway.config.server_spec import OAuthClient, UpstreamSpec
from portico_gateway.errors import GatewayError
from portico_gateway.policy.rules import Policy
from portico_gateway.policy.tool_calls import ToolCalls
from portico_gateway.upstreams.oauth.authorization import Authorization
from portico_gateway.upstreams.upstreams import Upstreams
from portico_gateway.upstreams.wire import transports

SERVER = "suite"
CLIENT_METADATA = "https://conformance-test.local/client-metadata.json"  # that the suite knows
CONTEXT: dict[str, Any] = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"))
START_SECONDS = 15.0
_ALL = mcp_types.ClientCapabilities(
    elicitation=mcp_types.ElicitationCapability(form=mcp_types.FormElicitationCapability()),
    sampling=mcp_types.SamplingCapability(),
    roots=mcp_types.RootsCapability(),
)


async def accept(request: mcp_types.InputRequest, key: str = "") -> mcp_types.InputResponse:
    """A user who accepts every form as it stands."""
    if isinstance(request, mcp_types.ElicitRequest):
        schema = getattr(request.params, "requested_schema", {}) or {}
        given = {name: each["default"] for name, each in schema.get("properties", {}).items() if "default" in each}
        confirmed = {name: True for name, each in schema.get("properties", {}).items() if each.get("type") == "boolean"}
        return mcp_types.ElicitResult(action="accept", content={**confirmed, **given})
    if isinstance(request, mcp_types.ListRootsRequest):
        return mcp_types.ListRootsResult(roots=[])
    said = mcp_types.TextContent(type="text", text="Hello.")
    return mcp_types.CreateMessageResult(role="assistant", content=said, model="none")


HOST = Caller("suite", capabilities=_ALL, ask=accept)
Calls = Callable[[Upstreams, ToolCalls], Awaitable[None]]


class Person:
    """Logs in at once: the page's answer is where it redirects to."""

    def __init__(self) -> None:
        self._answer: dict[str, str] = {}

    async def show(self, page: str) -> None:
        async with httpx2.AsyncClient() as client:
            answer = await client.get(page, follow_redirects=False)
        query = parse_qs(urlsplit(answer.headers.get("location", "")).query)
        self._answer = {name: values[0] for name, values in query.items()}

    async def receive(self) -> AuthorizationCodeResult:
        given = self._answer
        return AuthorizationCodeResult(code=given.get("code", ""), state=given.get("state"), iss=given.get("iss"))


async def call(calls: ToolCalls, tool: str, **arguments: Any) -> None:
    name = next((entry.name for entry in calls.upstreams.catalog.tools if entry.tool.name == tool), None)
    if name is None:
        print(f"no tool {tool}")
        return
    try:
        print(tool, (await calls.call_tool(name, arguments, HOST)).model_dump_json(exclude_none=True))
    except (GatewayError, MCPError) as error:
        print(f"{tool}: {error}")


async def call_all(upstreams: Upstreams, calls: ToolCalls) -> None:
    """Every tool that there is, with the least that its schema takes."""
    for entry in upstreams.catalog.tools:
        properties = entry.tool.input_schema.get("properties", {})
        least = {"string": "x", "number": 1, "integer": 1, "boolean": True, "array": [], "object": {}}
        await call(calls, entry.tool.name, **{name: least.get(each.get("type"), "x") for name, each in properties.items()})


async def add(upstreams: Upstreams, calls: ToolCalls) -> None:
    await call(calls, "add_numbers", a=5, b=3)


async def everything(upstreams: Upstreams, calls: ToolCalls) -> None:
    """Tools, a resource and a prompt: what bears a name in a header."""
    await call_all(upstreams, calls)
    for resource in upstreams.catalog.resources:
        print((await calls.read_resource(resource.uri, HOST)).model_dump_json(exclude_none=True))
    for prompt in upstreams.catalog.prompts:
        given = {argument.name: "x" for argument in prompt.prompt.arguments or ()}
        print((await calls.get_prompt(prompt.name, given, HOST)).model_dump_json(exclude_none=True))


async def as_told(upstreams: Upstreams, calls: ToolCalls) -> None:
    """The calls that the scenario lists."""
    for each in CONTEXT.get("toolCalls", []):
        await call(calls, each["name"], **each["arguments"])


async def echo_schema(upstreams: Upstreams, calls: ToolCalls) -> None:
    """The first tool's schema, as it came, to the tool that takes one."""
    rich = next(entry for entry in upstreams.catalog.tools if "$schema" in entry.tool.input_schema)
    taker = next(entry for entry in upstreams.catalog.tools if "schema" in entry.tool.input_schema.get("properties", {}))
    await call(calls, taker.tool.name, schema=rich.tool.input_schema)


async def only_list(upstreams: Upstreams, calls: ToolCalls) -> None:
    print(len(upstreams.catalog.tools))


SCENARIOS: dict[str, Calls] = {
    "initialize": only_list,
    "tools_call": add,
    "json-schema-ref-no-deref": only_list,
    "json-schema-2020-12-preservation": echo_schema,
    "http-custom-headers": as_told,
    "http-standard-headers": everything,
}


async def main(url: str) -> int:
    person = Person()
    transports.Authorization = partial(Authorization, show=person.show, receive=person.receive)  # type: ignore[misc, assignment]
    known = {name: CONTEXT[name] for name in ("client_id", "client_secret") if name in CONTEXT}
    oauth = OAuthClient(**known, client_metadata_url="" if known else CLIENT_METADATA)
    old = os.environ.get("MCP_CONFORMANCE_PROTOCOL_VERSION", "") in HANDSHAKE_PROTOCOL_VERSIONS
    spec = UpstreamSpec(SERVER, transport="http", url=url, oauth=oauth, era="legacy" if old else "auto", pin_definitions=False)
    async with Upstreams([spec]) as upstreams:
        await upstreams.ready(START_SECONDS)
        (status,) = upstreams.status()
        if status.error:
            print(status.error, file=sys.stderr)
            return 1
        calls = ToolCalls(upstreams, policy=Policy(PolicyConfig(others="allow", provenance=False)))
        await SCENARIOS.get(os.environ.get("MCP_CONFORMANCE_SCENARIO", ""), call_all)(upstreams, calls)
    return 0


if __name__ == "__main__":
    sys.exit(anyio.run(main, sys.argv[1]))
