"""From turns to the engine's prompt: the tools within their budget, a conversation that fits, and what of it never changes.

It knows no grammar of calls and runs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from portico_engine import EngineClient, Tool
from portico_engine.errors import ContextOverflow
from portico_gateway.agent.free.local.tool_form import ToolForm
from portico_gateway.agent.free.prompts import OUR_CALLS, OUR_TOOLS, SYSTEM
from portico_gateway.agent.free.trimming import Trimmed, trim
from portico_gateway.agent.free.turns import ModelTurn, ResultTurn, Turn
from portico_gateway.agent.stable_prefix import StablePrefix
from portico_gateway.agent.tool_signatures import TOOLS_SHARE, catalog_text

ANSWER_SHARE = 4  # of the context, a quarter is kept for what the model writes, at most
ANSWER_TOKENS = 2048
TRIM_SHARE = 2  # a conversation that doesn't fit is brought down to half of the context
TRIMS = 3  # attempts: tokens are counted by turn, and templates add their own


class Prompt(NamedTuple):
    """A conversation, rendered. `kept`: tokens at its beginning that are the same for every question."""

    tokens: tuple[int, ...]
    turns: list[Turn]  # those that are in it
    kept: int
    trimmed: Trimmed | None  # what was left out for it, just now
    tokens_before: int


@dataclass(frozen=True, slots=True)
class Told:
    """How the model is told of the tools: in which form, by which system text, and what the template is given."""

    form: ToolForm
    system: str
    template_tools: tuple[Tool, ...] | None


async def told_tools(engine: EngineClient, form: ToolForm, tools: Sequence[Tool]) -> Told:
    """The tools in the template's own way, where they fill no more than their share of the context; else in ours."""
    budget = engine.info.context_length // TOOLS_SHARE

    async def fits(text: str) -> bool:
        return len(await engine.tokenize(text)) <= budget

    if form.own and tools:
        bare = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": ""}]
        with_tools = await engine.render_chat(bare, tools)
        if len(with_tools) - len(await engine.render_chat(bare)) <= budget:
            return Told(form, SYSTEM, tuple(tools))
    if not tools:
        return Told(form.in_our_form(), SYSTEM, None)
    text = (await catalog_text(tools, fits=fits, best=())).stable
    return Told(form.in_our_form(), SYSTEM + OUR_TOOLS + text + OUR_CALLS, None)


class PromptBuilder:
    """Makes the prompts of one question, whose tools don't change."""

    def __init__(self, engine: EngineClient, told: Told) -> None:
        self.told = told
        self._engine = engine
        self._stable = StablePrefix(self._instructions)

    async def prompt(self, turns: Sequence[Turn]) -> Prompt:
        """The conversation, shortened where it would leave too little room for the answer. Raises ContextOverflow where the
        question alone doesn't fit."""
        context = self._engine.info.context_length
        most = context - min(ANSWER_TOKENS, context // ANSWER_SHARE)
        tokens = await self._render(turns)
        before, kept, trimmed = len(tokens), list(turns), None
        for _ in range(TRIMS):
            if len(tokens) <= most:
                break
            step = trim(kept, [await self._size(turn) for turn in kept], len(tokens) - context // TRIM_SHARE)
            if not step.changed:
                break
            kept, trimmed = step.turns, step if trimmed is None else trimmed.plus(step)
            tokens = await self._render(kept)
        if len(tokens) >= context:
            raise ContextOverflow(len(tokens), context)
        return Prompt(tokens, kept, await self._stable.length(self.told.system, tokens), trimmed, before)

    async def _render(self, turns: Sequence[Turn]) -> tuple[int, ...]:
        return await self._rendered(self.told.form.messages(self.told.system, turns))

    async def _rendered(self, messages: Sequence[Mapping[str, Any]]) -> tuple[int, ...]:
        return await self._engine.render_chat(messages, self.told.template_tools)

    async def _instructions(self, messages: Sequence[Mapping[str, str]]) -> tuple[int, ...]:
        """A system message and a question, where the template takes the one only as the other's beginning."""
        if self.told.form.merges_system:
            messages = [{"role": "user", "content": "\n\n".join(message["content"] for message in messages)}]
        return await self._rendered(messages)

    async def _size(self, turn: Turn) -> int:
        match turn:
            case ResultTurn():
                return len(await self._engine.tokenize(turn.shown))
            case ModelTurn():
                return len(await self._engine.tokenize(turn.text + "".join(str(call.arguments) for call in turn.calls)))
            case _:
                return len(await self._engine.tokenize(turn.text))
