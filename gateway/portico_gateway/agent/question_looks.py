"""What our own servers read in a question before the model answers it: asked side by side, for a moment, and kept for a while.

A look says which tool knows; it is no call, so the log has none of it, and it is counted. Asked is only a server of the
gateway's own whose tool the request offers as it is defined here, and that this caller may call without a question, by the same
policy.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

import anyio
from mcp.shared.exceptions import MCPError

from portico_engine import Tool
from portico_gateway.caller import Caller
from portico_gateway.errors import GatewayError, UnknownName
from portico_gateway.guidance.question_readings import Reading, Readings, question_reading
from portico_gateway.policy.rules import Verdict
from portico_gateway.policy.tool_calls import ToolCalls
from portico_gateway.upstreams.catalog import CatalogTool

LOOK_SECONDS = 0.3  # that an answer waits for a look; it takes some tens of milliseconds
MAX_QUESTION = 2_000  # characters; a longer text is no question
KEPT_SECONDS = 60.0  # files and rows change
_KEPT = 256  # readings
Outcome: TypeAlias = Literal["read", "nothing", "kept", "late", "failed"]
OUTCOMES: tuple[Outcome, ...] = ("read", "nothing", "kept", "late", "failed")


class _Kept(NamedTuple):
    until: float
    reading: Reading | None


class QuestionLooks:
    """Looks of one gateway. `counts`: by server and what became of them."""

    def __init__(self, tool_calls: ToolCalls, *, seconds: float = LOOK_SECONDS) -> None:
        self._tool_calls, self._seconds = tool_calls, seconds
        self._kept: OrderedDict[tuple[str, str, str], _Kept] = OrderedDict()
        self.counts: Counter[tuple[str, Outcome]] = Counter()

    async def of(self, tools: Sequence[Tool], question: str, caller: Caller) -> Readings:
        """By tool, of those that may be looked at; one whose server is late, fails or can't say is left out, as if it could not
        be."""
        entries = [entry for tool in tools if (entry := self._own(tool, caller)) is not None]
        if not question.strip() or len(question) > MAX_QUESTION or not entries:
            return {}
        found: dict[str, Reading] = {}

        async def look(entry: CatalogTool) -> None:
            with anyio.move_on_after(self._seconds) as time_given:
                try:
                    if (reading := await self._look(entry, question)) is not None:
                        found[entry.name] = reading
                except (MCPError, GatewayError):
                    self.counts[entry.server, "failed"] += 1
            if time_given.cancelled_caught:
                self.counts[entry.server, "late"] += 1

        async with anyio.create_task_group() as group:
            for entry in entries:
                group.start_soon(look, entry)
        return found

    def _own(self, tool: Tool, caller: Caller) -> CatalogTool | None:
        """The catalog's tool that this is, if it may be looked at."""
        try:
            entry = self._tool_calls.upstreams.catalog.tool(tool.name)
        except UnknownName:
            return None
        if entry.question_reader is None or not self._tool_calls.upstreams.is_own_and_up(entry.server):
            return None
        shown = self._tool_calls.shown(entry, caller)
        same = tool.description == (shown.description or shown.title or "")
        if shown is not entry.tool or not same or tool.parameters not in (shown.input_schema, entry.local_schema):
            return None
        allowed = self._tool_calls.ruling(entry, caller).verdict is Verdict.ALLOW
        return entry if allowed and self._tool_calls.is_read_only(entry, caller) else None

    async def _look(self, entry: CatalogTool, question: str) -> Reading | None:
        key = (entry.name, self._tool_calls.upstreams.catalog.digest, question)
        kept = self._kept.get(key)
        if kept is not None and kept.until > time.monotonic():
            self.counts[entry.server, "kept"] += 1
            return kept.reading
        text = await self._tool_calls.upstreams.read_question(entry.name, question)
        reading = question_reading(text) if text else None
        self.counts[entry.server, "nothing" if reading is None else "read"] += 1
        self._kept[key] = _Kept(time.monotonic() + KEPT_SECONDS, reading)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return reading
