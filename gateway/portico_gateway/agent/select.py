"""Which loop a model gets: the free one from a billion parameters on, and behind another server; else the guided one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Literal, Protocol, TypeAlias

from portico_engine import EngineClient
from portico_gateway.agent.conversation import Exchange
from portico_gateway.agent.events import Event
from portico_gateway.agent.free.local.local_model import LocalModel
from portico_gateway.agent.free.loop import FreeAgent
from portico_gateway.agent.free.remote.remote_model import RemoteModel
from portico_gateway.agent.guided.loop import Agent
from portico_gateway.agent.question_run import CallTextListener
from portico_gateway.agent.tool_search import CatalogSearches
from portico_gateway.agent.upstream_tool_host import UpstreamToolHost, embedder, retriever_of
from portico_gateway.caller import LOCAL
from portico_gateway.guidance.tool_retrieval import ToolRetriever
from portico_gateway.guidance.weights import DEFAULT_WEIGHTS

Guidance: TypeAlias = Literal["auto", "off"]


class QuestionAgent(Protocol):
    """Answers one question at a time, whichever loop it is."""

    def ask(
        self,
        question: str,
        *,
        history: Sequence[Exchange] = (),
        max_steps: int | None = None,
        on_call_text: CallTextListener | None = None,
    ) -> AsyncIterator[Event]:
        """`on_call_text` hears each piece of a call while it is decoded, before the call is whole."""
        ...


def is_guided(parameters: int, guidance: Guidance) -> bool:
    """Is a model of this size helped? "auto": where it is small; "off": never."""
    return guidance == "auto" and DEFAULT_WEIGHTS.strength.is_small(parameters)


def select_agent(
    engine: EngineClient | RemoteModel,
    host: UpstreamToolHost,
    *,
    guidance: Guidance = "auto",
    retriever: ToolRetriever | None = None,
    caller: str = LOCAL,
    schema_tokens: int | None = None,
) -> QuestionAgent:
    """The loop for the model of `engine`, which works for `caller`. Guided, it takes `retriever`, or makes one over the host's
    tools, which loads the embedder: call it from a thread then. Free, it is told of more tools than `schema_tokens` (default:
    a third of the context) by a search."""
    searches = CatalogSearches(lambda: embedder().embed)
    if isinstance(engine, RemoteModel):
        return FreeAgent(engine, host, searches=searches, schema_tokens=schema_tokens)
    if is_guided(engine.info.parameters, guidance):
        return Agent(engine, host, retriever or retriever_of(host), caller=caller)
    return FreeAgent(LocalModel(engine, caller=caller), host, searches=searches, schema_tokens=schema_tokens)
