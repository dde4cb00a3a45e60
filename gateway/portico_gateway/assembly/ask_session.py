"""Everything that questions at the terminal need, started side by side: the servers, the model, the retriever over their tools.

It owns who waits for what: a question waits for the model and for the servers that are quick, and names the others.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from portico_gateway.assembly.gateway import open_tool_calls
from portico_gateway.caller import Caller
from portico_gateway.config.portico_config import PorticoConfig
from portico_gateway.config.server_spec import UpstreamSpec
from portico_gateway.errors import GatewayError, ModelServerError
from portico_gateway.model.options import device_options, load_options
from portico_gateway.policy.tool_calls import ToolCalls
from portico_gateway.upstreams.supervision import UpstreamState
from portico_gateway.upstreams.upstream import UpstreamStatus
from portico_gateway.upstreams.upstreams import Upstreams

if TYPE_CHECKING:
    from portico_engine import EngineClient, EngineError
    from portico_gateway.agent.free.remote.remote_model import RemoteModel
    from portico_gateway.agent.select import Guidance, QuestionAgent
    from portico_gateway.agent.upstream_tool_host import UpstreamToolHost
    from portico_gateway.guidance.tool_retrieval import ToolRetriever

READY_TIMEOUT = 30.0  # seconds for the first server to be there
LATE_GRACE = 1.0  # seconds that the last servers get once the model and another server are there; then the question goes on
Update = Callable[[str, str], None]  # (what, its state), from any thread


@dataclass(frozen=True, slots=True)
class AskParts:
    """What all questions share: running servers under policy and audit, and a loaded model."""

    tool_calls: ToolCalls
    engine: EngineClient | RemoteModel
    guidance: Guidance = "auto"
    schema_tokens: int | None = None  # that tools may fill of a prompt


@dataclass(frozen=True, slots=True)
class AskSession:
    """A loaded model in front of running servers."""

    agent: QuestionAgent
    host: UpstreamToolHost
    upstreams: Upstreams
    engine: EngineClient | RemoteModel
    retriever: ToolRetriever
    model: str

    def failures(self) -> dict[str, str]:
        """The servers that are not there, and why; those that still start among them."""
        found = {s.name: s.error or s.state for s in self.upstreams.status() if s.error is not None}
        late = {s.name: "it is still starting" for s in self.upstreams.status() if s.state is UpstreamState.STARTING}
        return late | found


@asynccontextmanager
async def open_ask_session(
    config: PorticoConfig, specs: Sequence[UpstreamSpec], update: Update, *, caller: Caller | None = None
) -> AsyncIterator[AskSession]:
    """Start the servers, load the model meanwhile, build the retriever. The model calls tools for `caller`.

    Raises ModelError where there is no such model, ModelServerError where its server can't be had.
    """
    async with open_ask_parts(config, specs, update) as parts:
        yield ask_session(parts, caller)


def ask_session(parts: AskParts, caller: Caller | None = None) -> AskSession:
    """The agent over these parts, for one caller."""
    from portico_gateway.agent.free.remote.remote_model import RemoteModel
    from portico_gateway.agent.select import select_agent
    from portico_gateway.agent.upstream_tool_host import UpstreamToolHost, retriever_of

    host = UpstreamToolHost(parts.tool_calls.upstreams, tool_calls=parts.tool_calls, caller=caller)
    retriever = retriever_of(host)
    engine = parts.engine
    agent = select_agent(engine, host, guidance=parts.guidance, retriever=retriever, schema_tokens=parts.schema_tokens)
    name = engine.name if isinstance(engine, RemoteModel) else engine.info.name
    return AskSession(agent, host, parts.tool_calls.upstreams, engine, retriever, name)


@asynccontextmanager
async def open_ask_parts(config: PorticoConfig, specs: Sequence[UpstreamSpec], update: Update) -> AsyncIterator[AskParts]:
    """Servers and model, once they are there; ended with the block. Raises as `open_ask_session`."""
    with open_tool_calls(config, specs) as tool_calls:
        async with tool_calls.upstreams as upstreams, AsyncExitStack() as stack:
            loading = _Loading()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_load, config, update, stack, loading, tasks.cancel_scope)
                for status in await _quick_servers(upstreams, loading.done):
                    update(status.name, _state(status))
            if loading.failure is not None:
                raise loading.failure
            assert loading.engine is not None
            yield AskParts(tool_calls, loading.engine, config.model.guidance, config.gateway.schema_tokens)


@dataclass(slots=True)
class _Loading:
    """What becomes of the model."""

    done: anyio.Event = field(default_factory=anyio.Event)
    engine: EngineClient | RemoteModel | None = None
    failure: EngineError | GatewayError | None = None


async def _load(
    config: PorticoConfig, update: Update, stack: AsyncExitStack, loading: _Loading, waiting: anyio.CancelScope
) -> None:
    """The model, then what a question imports and embeds. A model that can't be had ends the waiting for servers."""
    from portico_engine.errors import EngineError

    try:
        loading.engine, name = await (_connect(config) if config.engine.urls else _start(config, update))
    except (EngineError, ModelServerError) as error:
        loading.failure = error
        waiting.cancel()
        return
    stack.push_async_callback(loading.engine.aclose)
    update("model", f"{name} ready")
    await anyio.to_thread.run_sync(_load_agent)
    loading.done.set()


async def _start(config: PorticoConfig, update: Update) -> tuple[EngineClient, str]:
    """This machine's own engine, and its model's name."""
    from portico_gateway.model.chosen_adapter import with_chosen_adapter
    from portico_gateway.model.start import start_engine

    def report(stage: str, fraction: float) -> None:
        update("model", f"{stage} {fraction:.0%}")

    path = await anyio.to_thread.run_sync(_find_model, config.model.name)
    options = load_options(config.model) | device_options(config.engine)
    engine = await with_chosen_adapter(await start_engine(path, options, report), config.model)
    return engine, engine.info.name


async def _connect(config: PorticoConfig) -> tuple[RemoteModel, str]:
    """The model of the first server that answers, and its name. Raises ModelServerError."""
    from portico_gateway.agent.free.remote.remote_model import RemoteModel

    failure: ModelServerError | None = None
    for url in config.engine.urls:
        try:
            model = await RemoteModel.open(url, config.engine.key)
        except ModelServerError as error:
            failure = failure or error
        else:
            return model, model.name
    assert failure is not None, "without a url nothing is connected to"
    raise failure


def _find_model(name: str) -> Path:
    from portico_engine import find_model

    return find_model(name)


def _load_agent() -> None:
    """Import the loop and warm the embedder, so that the first question doesn't wait for them."""
    import portico_gateway.agent.select  # noqa: F401
    from portico_gateway.agent.upstream_tool_host import embedder

    embedder().embed(["warm"])


async def _quick_servers(upstreams: Upstreams, loaded: anyio.Event) -> list[UpstreamStatus]:
    """How the servers are once all of them are up or failed; or once the model and one of them were up for LATE_GRACE."""

    async def lose_patience(scope: anyio.CancelScope) -> None:
        await loaded.wait()
        await upstreams.one_ready()
        await anyio.sleep(LATE_GRACE)
        scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lose_patience, tasks.cancel_scope)
        await upstreams.ready(READY_TIMEOUT)
        tasks.cancel_scope.cancel()
    return upstreams.status()


def _state(status: UpstreamStatus) -> str:
    if status.error is not None:
        return "failed"
    return f"{status.tools} tools" if status.state is UpstreamState.READY else status.state
