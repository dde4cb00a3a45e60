"""Everything that one `portico ask` needs, started side by side: the servers, the model, the retriever over their tools."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from portico_engine import EngineClient, EngineError, find_model
from portico_gateway.agent.guided.loop import Agent
from portico_gateway.agent.upstream_tool_host import UpstreamToolHost, embedder, retriever_of
from portico_gateway.assembly.gateway import open_tool_calls
from portico_gateway.caller import Caller
from portico_gateway.config.portico_config import PorticoConfig
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.guidance.tool_retrieval import ToolRetriever
from portico_gateway.model.options import load_options
from portico_gateway.model.start import start_engine
from portico_gateway.upstreams.upstreams import Upstreams

READY_TIMEOUT = 30.0  # seconds
Update = Callable[[str, str], None]  # (what, its state), from any thread


@dataclass(frozen=True, slots=True)
class AskSession:
    """A loaded model in front of running servers."""

    agent: Agent
    host: UpstreamToolHost
    upstreams: Upstreams
    engine: EngineClient
    retriever: ToolRetriever
    model: str

    def failures(self) -> dict[str, str]:
        """The servers that are not there, and why."""
        return {s.name: s.error or s.state for s in self.upstreams.status() if s.error is not None}


@asynccontextmanager
async def open_ask_session(
    config: PorticoConfig, specs: Sequence[UpstreamSpec], update: Update, *, caller: Caller | None = None
) -> AsyncIterator[AskSession]:
    """Start the servers, load the model meanwhile, build the retriever. The model calls tools for `caller`.

    Raises ModelError where there is no such model.
    """
    path = find_model(config.model.name)
    engines: list[EngineClient] = []
    failed: list[EngineError] = []

    async def load(tasks: TaskGroup) -> None:
        def report(stage: str, fraction: float) -> None:
            update("model", f"{stage} {fraction:.0%}")

        try:
            engine = await start_engine(path, load_options(config.model), report)
            stack.push_async_callback(engine.aclose)
            engines.append(engine)
            update("model", f"{engine.info.name} ready")
        except EngineError as error:
            failed.append(error)
            tasks.cancel_scope.cancel()

    with open_tool_calls(config, specs) as tool_calls:
        async with tool_calls.upstreams as upstreams, AsyncExitStack() as stack:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(load, tasks)
                tasks.start_soon(anyio.to_thread.run_sync, embedder().embed, ["warm"])
                for status in await upstreams.ready(READY_TIMEOUT):
                    update(status.name, f"{status.tools} tools" if status.error is None else "failed")
            if failed:
                raise failed[0]
            host = UpstreamToolHost(upstreams, tool_calls=tool_calls, caller=caller)
            retriever = retriever_of(host)
            engine = engines[0]
            agent = Agent(engine, host, retriever, raw=config.model.guidance == "off")
            yield AskSession(agent, host, upstreams, engine, retriever, engine.info.name)
