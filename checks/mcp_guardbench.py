"""MCP-GuardBench's attacks through the gateway, by its scripted agent, which obeys every text that it reads.

usage: python checks/mcp_guardbench.py --cases FOLDER [--json FILE]

It needs Python 3.12 and `pip install mcp-guardbench` (MIT licence, Maurya 2026); the cases are in its source distribution alone
(`pip download --no-binary mcp-guardbench --no-deps mcp-guardbench`, folder test_cases).

Each of the benchmark's servers runs behind the gateway's real policy and consents, over HTTP. Nobody allows anything, as in the
benchmark's unattended mode, so whatever is asked about does not run. What counts is what the benchmark sees on its own side:
which tools ran, what left, what the model was shown, which is what a host is: each tool's definition and whole results. Where a
server changes its tools, the gateway is started anew on the same pins. Exit code 1: a sensitive tool ran by default.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import mcp_types
import uvicorn

from portico_gateway.caller import Caller, ConsentRequest
from portico_gateway.config.sections import PolicyConfig
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.errors import GatewayError, PolicyError
from portico_gateway.policy.rules import Policy
from portico_gateway.policy.tool_calls import ToolCalls
from portico_gateway.upstreams.definition_pins import DefinitionPins
from portico_gateway.upstreams.upstreams import Upstreams
from portico_servers.common.transport import bind

NAME = "w"
POLICIES = {
    "default: every write asks": PolicyConfig(),
    "writes run, nothing asks": PolicyConfig(others="allow", provenance=False),
}
READY_SECONDS = 30.0


class Refused(Exception):
    """The gateway did not let the call through."""


@dataclass
class Gateway:
    """Stands where the benchmark has its own client: the same methods, with the gateway between."""

    fixture: Any
    url: str
    pins: DefinitionPins
    config: PolicyConfig
    asked: int = 0

    def __post_init__(self) -> None:
        self.stack = AsyncExitStack()

    async def open(self) -> None:
        """Also anew, after which the server is read again."""
        await self.stack.aclose()
        spec = UpstreamSpec(NAME, transport="http", url=self.url)
        upstreams = await self.stack.enter_async_context(Upstreams([spec], pins=self.pins))
        await upstreams.ready(READY_SECONDS)
        self.calls = ToolCalls(upstreams, policy=Policy(self.config))
        self.caller = Caller("agent", consent=self._nobody, channel="terminal")

    async def _nobody(self, request: ConsentRequest) -> bool:
        self.asked += 1
        return False

    @property
    def server_identity(self) -> Any:
        return self.fixture.identity()

    async def list_tools(self) -> list[Any]:
        from_sdk_tool = importlib.import_module("guardbench.mcp_lab.base").from_sdk_tool
        visible = [entry for entry in self.calls.upstreams.catalog.tools if self.calls.is_visible(entry, self.caller)]
        found = [from_sdk_tool(self.calls.shown(entry, self.caller)) for entry in visible]
        return [tool.model_copy(update={"name": tool.name.removeprefix(f"{NAME}__")}) for tool in found]

    async def call_tool(self, name: str, arguments: dict[str, Any] | None = None) -> Any:
        """Raises Refused."""
        base = importlib.import_module("guardbench.mcp_lab.base")
        try:
            result = await self.calls.call_tool(f"{NAME}__{name}", arguments or {}, self.caller)
        except PolicyError as error:
            raise Refused(str(error)) from None
        except GatewayError as error:
            return base.ToolCallResult(str(error), is_error=True)
        text = "\n".join(block.text for block in result.content if isinstance(block, mcp_types.TextContent))
        return base.ToolCallResult(text, is_error=result.is_error or False, structured=result.structured_content)


@asynccontextmanager
async def _served(fixture: Any) -> AsyncIterator[str]:
    server = fixture.build_server()
    with bind("127.0.0.1", 0) as sock:
        running = uvicorn.Server(uvicorn.Config(server.streamable_http_app(), log_level="error", ws="none"))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: running.serve(sockets=[sock]))
            yield f"http://127.0.0.1:{sock.getsockname()[1]}/mcp"
            running.should_exit = True


class Adapter:
    """The gateway under one policy, as the benchmark has a control to be tested."""

    version = "1"

    def __init__(self, name: str, asked: Counter[tuple[str, str]]) -> None:
        """`asked` is to count the questions, by policy and case."""
        self.name = name
        self.asked = asked

    async def prepare(self, context: Any) -> None:
        """Nothing is to be prepared."""

    async def execute(self, spec: Any, context: Any) -> Any:
        """Plays a case. What happened is the runner's own finding; nothing is claimed of what was found."""
        runner = importlib.import_module("guardbench.benchmark.runner")
        normalizer = importlib.import_module("guardbench.benchmark.result_normalizer")
        started = context.clock.now()
        names = ("fixture", "recorder", "tracker", "approvals", "policy_config", "mode", "trace", "max_response_bytes")
        run = context.run = runner.ScenarioRun(**{name: getattr(context, name) for name in names})
        with tempfile.TemporaryDirectory() as folder:
            async with _served(context.fixture) as url:
                gateway = Gateway(context.fixture, url, DefinitionPins(Path(folder) / "pins.json"), POLICIES[self.name])
                async with gateway.stack:
                    context.truth = await _runner(runner, gateway)(run, runner.PassthroughGuard()).execute(spec)
        self.asked[self.name, spec.id] = gateway.asked
        return normalizer.claim_result(
            adapter_name=self.name,
            adapter_version=self.version,
            spec=spec,
            run=run,
            started_at=started,
            completed_at=context.clock.now(),
            limitations=[],
        )

    async def cleanup(self, context: Any) -> None:
        """Nothing is left."""


def _runner(runner: Any, gateway: Gateway) -> Any:
    """The benchmark's runner, whose agent has the gateway before its servers."""

    class ThroughTheGateway(runner.ScenarioRunner):  # type: ignore[misc]
        async def _connect(self) -> None:
            await gateway.open()
            self._conn = gateway

        async def _execute(self, tool_name: str, arguments: dict[str, Any]) -> None:
            try:
                await super()._execute(tool_name, arguments)
            except Refused:
                self._run.blocked += 1

    return ThroughTheGateway


async def _all(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """By policy, what happened in each case, in the benchmark's words."""
    try:
        orchestrator = importlib.import_module("guardbench.benchmark.orchestrator")
    except ImportError as error:
        raise SystemExit(f"MCP-GuardBench can't be imported ({error}): Python 3.12, and pip install mcp-guardbench") from None
    loader = importlib.import_module("guardbench.benchmark.test_case_loader")
    policies = importlib.import_module("guardbench.policy.models")
    config = orchestrator.BenchmarkConfig(adapters=tuple(POLICIES))
    cases = loader.load_test_cases(folder, allowed_root=folder)
    asked: Counter[tuple[str, str]] = Counter()
    made = orchestrator.Orchestrator(cases, policies.load_policy(), adapter_factory=lambda name: Adapter(name, asked))
    outcome = await made.run(config)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in POLICIES}
    for result in outcome.results:
        if result.error:
            raise SystemExit(f"{result.test_case_id}: {result.error}")
        found[result.adapter_name].append(
            {
                "case": result.test_case_id,
                "attack": outcome.cases[result.test_case_id].expected.should_block,
                "unsafe": result.unsafe_outcomes,
                "calls": result.tool_calls,
                "asked": asked[result.adapter_name, result.test_case_id],
            }
        )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, required=True, metavar="FOLDER", help="test_cases of the source distribution")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    args = parser.parse_args()
    found = anyio.run(_all, args.cases.resolve())
    for policy, cases in found.items():
        print(policy)
        for case in cases:
            happened = ", ".join(case["unsafe"]) or "nothing unsafe"
            print(f"    {case['case']}: {happened}; {case['calls']} calls, {case['asked']} asked about")
    if args.json:
        Path(args.json).write_text(json.dumps(found, indent=1))
    default = next(iter(found.values()))
    return any("sensitive_tool_executed" in case["unsafe"] for case in default)


if __name__ == "__main__":
    sys.exit(main())
