"""The model and the servers of server_questions.py, in one process: `serve`'s API and `ask`'s agent over one engine.

It owns what is switched between two questions: the adapter, guidance, forced runs. It knows no question.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple
from unittest.mock import patch

import httpx2

from portico_gateway.agent.guided.loop import Agent
from portico_gateway.agent.question_looks import QuestionLooks
from portico_gateway.agent.upstream_tool_host import UpstreamToolHost, embedder, retriever_of
from portico_gateway.guidance.call_guide import CallGuide
from server_questions_material import Place

MODEL = "smollm2"
SHIPPED = "shipped"  # the package's adapter, under a name of its own: so that requests can have the model alone, too
UNFORCED = "unforced"  # the end of a setting's name: compared call by call, and in no table of shares
ROWS = 8  # questions at once
KV_TOKENS = 28_000  # two prompts' beginnings for each of three workspaces, and the questions
_BASE = "http://127.0.0.1:8630"
_LOAD_SECONDS = 600.0
_LOOK_SECONDS = 5.0  # so that what is found does not depend on what else runs here; benchmarks/question_looks.py has the times
_looks: ContextVar[QuestionLooks | None] = ContextVar("looks", default=None)


class Setting(NamedTuple):
    """How a question is asked."""

    adapter: bool
    guided: bool
    forced: bool = True
    looks: bool = True  # as far as there is guidance

    @property
    def name(self) -> str:
        words = ["shipped" if self.adapter else "none", "auto" if self.guided else "off"]
        words += ["without looks"] if not self.looks else []
        return " ".join(words if self.forced else [*words, UNFORCED])

    @property
    def model(self) -> str:
        return f"{MODEL}:{SHIPPED}" if self.adapter else MODEL


class _SwitchedGuide(CallGuide):
    """Guidance that can be left out of a request."""

    on = True

    def guides(self, parameters: int) -> bool:
        return self.on and super().guides(parameters)


class _SwitchedLooks(QuestionLooks):
    """Looks at the servers that the question is about: `serve` has those of one gateway, this engine serves several."""

    on = True

    async def of(self, tools: Any, question: str, caller: Any) -> Any:
        """Of the servers over which the request is made."""
        looks = _looks.get()
        return await looks.of(tools, question, caller) if looks is not None and self.on else {}


class Model:
    """A client of `serve`'s API, and the engine behind it."""

    def __init__(self, http: httpx2.AsyncClient, engine: Any, guide: _SwitchedGuide, looks: _SwitchedLooks) -> None:
        self.http = http
        self.engine = engine
        self._guide, self._looks = guide, looks
        self._of: dict[int, QuestionLooks] = {}

    @contextmanager
    def over(self, host: UpstreamToolHost) -> Iterator[None]:
        """Requests within the block are made to the gateway that has these servers."""
        token = _looks.set(self._of.setdefault(id(host), QuestionLooks(host.tool_calls, seconds=_LOOK_SECONDS)))
        try:
            yield
        finally:
            _looks.reset(token)

    @contextmanager
    def under(self, setting: Setting) -> Iterator[None]:
        """Requests within the block are asked so; no other may be under way."""
        from portico_engine.grammar.llguidance.matcher import LLGuidanceMatcher

        self._guide.on, self._looks.on = setting.guided, setting.looks
        if setting.forced:
            yield
            return
        with patch.object(LLGuidanceMatcher, "forced_tokens", lambda *_: []):
            yield

    def agent(self, host: UpstreamToolHost, *, adapter: bool) -> Agent:
        """`ask`'s agent for a small model."""
        from portico_gateway.model.chosen_adapter import AdaptedEngine

        return Agent(AdaptedEngine(self.engine, SHIPPED) if adapter else self.engine, host, retriever_of(host))


@asynccontextmanager
async def open_model() -> AsyncIterator[Model]:
    """The default model with the package's adapter beside it, on a thread of this process. Raises EngineError."""
    from portico_engine import default_adapter, find_model
    from portico_gateway.config.sections import EngineConfig, ModelConfig
    from portico_gateway.http.app import create_app
    from portico_gateway.mcp.server import GatewayServer
    from portico_gateway.model.host import ModelHost
    from portico_gateway.model.options import load_options
    from portico_gateway.model.start import start_engine
    from portico_gateway.policy.tool_calls import ToolCalls
    from portico_gateway.upstreams.upstreams import Upstreams
    from portico_servers.common.transport import security

    for name in ("httpx2", "portico.access"):
        logging.getLogger(name).setLevel(logging.WARNING)
    config = ModelConfig(name=MODEL, executor="torch", kv_disk_gib=0, adapters={SHIPPED: default_adapter()})
    options = load_options(config, EngineConfig(max_rows=ROWS, kv_tokens=KV_TOKENS))

    async def start(progress: Any) -> Any:
        engine = await start_engine(find_model(MODEL), options, progress)
        await engine.load_adapter(SHIPPED, default_adapter())
        return engine

    served = ModelHost(MODEL, start, on_end=lambda _: None)
    guide, looks = (
        _SwitchedGuide(embedder().embed, information=embedder().information),
        _SwitchedLooks(ToolCalls(Upstreams([]))),
    )
    upstreams = Upstreams([])
    app = create_app(
        upstreams, GatewayServer(upstreams), served, security=security("127.0.0.1", 8630), load_timeout=_LOAD_SECONDS,
        guide=guide, looks=looks,
    )  # fmt: skip
    transport = httpx2.ASGITransport(app=app)
    async with app.router.lifespan_context(app), httpx2.AsyncClient(transport=transport, base_url=_BASE) as http:
        yield Model(http, await served.engine(_LOAD_SECONDS), guide, looks)


@asynccontextmanager
async def open_servers(where: Place) -> AsyncIterator[UpstreamToolHost]:
    """Our three servers over a workspace, once they have read all of it."""
    from answers import until_indexed
    from portico_gateway.assembly.gateway import open_tool_calls
    from portico_gateway.config.portico_config import load_config
    from portico_gateway.config.workspace import workspace_specs
    from portico_gateway.policy.terminal_consent import terminal_caller

    config = load_config(None, flags={"audit.enabled": False}, environ={}, folder=where.code)
    specs = workspace_specs(config, where.code, [where.docs], [str(where.database)])
    async with AsyncExitStack() as stack:
        tool_calls = stack.enter_context(open_tool_calls(config, specs))
        upstreams = await stack.enter_async_context(tool_calls.upstreams)
        await upstreams.ready(_LOAD_SECONDS)
        host = UpstreamToolHost(upstreams, tool_calls=tool_calls, caller=terminal_caller("portico ask"))
        await until_indexed(_Session(host))
        yield host


class _Session(NamedTuple):
    host: UpstreamToolHost
