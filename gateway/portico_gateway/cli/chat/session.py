"""What a conversation has: its servers and its model, the exchanges so far, how fast it was. It shows nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from portico_gateway.agent import conversation
from portico_gateway.agent.conversation import Exchange
from portico_gateway.agent.events import Event, RunFinished, RunMetrics
from portico_gateway.agent.select import select_agent
from portico_gateway.assembly.ask_session import AskParts, AskSession, ask_session
from portico_gateway.cli.asking import exchange_of
from portico_gateway.errors import GatewayError, UnknownName
from portico_gateway.model.chosen_adapter import AdaptedEngine

if TYPE_CHECKING:
    from portico_engine import EngineClient
    from portico_gateway.caller import Caller


@dataclass(slots=True)
class Totals:
    """Of a conversation: questions answered, tokens read, known before and written, seconds."""

    questions: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0

    def add(self, metrics: RunMetrics) -> None:
        self.questions += 1
        self.prompt_tokens += metrics.prompt_tokens
        self.cached_tokens += metrics.cached_tokens
        self.completion_tokens += metrics.completion_tokens
        self.seconds += metrics.total_seconds


@dataclass(slots=True)
class ChatSession:
    """One conversation over running servers and a loaded model."""

    parts: AskParts
    caller: Caller
    kept: Path  # where it is kept for `--continue`
    exchanges: list[Exchange]
    session: AskSession
    totals: Totals = field(default_factory=Totals)
    last: RunFinished | None = None
    adapter: str | None = None

    @classmethod
    def begin(cls, parts: AskParts, caller: Caller, places: Sequence[str], *, resume: bool) -> ChatSession:
        """A new one, or where `resume` the last one about these places."""
        kept = conversation.path_of(tuple(places))
        return cls(parts, caller, kept, conversation.load(kept) if resume else [], ask_session(parts, caller))

    @property
    def model(self) -> str:
        return self.session.model if self.adapter is None else f"{self.session.model}:{self.adapter}"

    async def ask(self, question: str, on_call_text: Callable[[str], None]) -> AsyncGenerator[Event]:
        """The events of one question; its exchange is part of the conversation once it has ended."""
        self.session.host.person_said(question)
        history = list(self.exchanges)  # all of it, so that its prefix stays: the loop leaves out what no longer fits
        async for event in self.session.agent.ask(question, history=history, on_call_text=on_call_text):
            if isinstance(event, RunFinished):
                self.last = event
                self.totals.add(event.metrics)
                self.exchanges.append(exchange_of(event))
                self._keep()
            yield event

    async def adapters(self) -> list[str]:
        """Those that are loaded. Raises GatewayError where another server has the model."""
        return [each.name for each in await self._engine().adapters()]

    async def use_adapter(self, name: str | None) -> None:
        """Answer under an adapter, or without one. Raises UnknownName, GatewayError."""
        engine = self._engine()
        if name is not None and name not in await self.adapters():
            raise UnknownName("adapter", name)
        self.adapter = name
        chosen = engine if name is None else AdaptedEngine(engine, name)
        old = self.session
        parts = self.parts
        agent = select_agent(
            chosen, old.host, guidance=parts.guidance, retriever=old.retriever, schema_tokens=parts.schema_tokens
        )
        self.session = replace(old, agent=agent)

    def rate(self, rating: str, comment: str) -> int:
        """A person's word on the last answer and the calls behind it; how many records that made, 0 where there is no log."""
        if self.last is None:
            raise GatewayError("there is no answer yet to rate")
        calls = [call.id for call in self.last.tool_calls if call.id]
        ids = calls or [f"chat-{len(self.exchanges)}"]
        tool_calls = self.parts.tool_calls
        return sum(tool_calls.note_feedback(each, rating, self.caller.name, comment) for each in ids)

    def _engine(self) -> EngineClient:
        from portico_gateway.agent.free.remote.remote_model import RemoteModel

        engine = self.parts.engine
        if isinstance(engine, RemoteModel):
            raise GatewayError(f"{engine.name} is another server's model: its adapters are chosen there")
        return engine.base if isinstance(engine, AdaptedEngine) else engine

    def _keep(self) -> None:
        """A disk that is full or read-only costs `--continue`, and not the conversation."""
        try:
            conversation.save(self.kept, self.exchanges)
        except OSError:
            pass
