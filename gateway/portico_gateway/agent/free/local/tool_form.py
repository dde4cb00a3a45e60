"""How one model is told of tools and writes its calls: by its own template where that can be held, else in our form.

A template's own way is what the model was trained on. It is taken where the template has a place for tools and its calls are of
a form that the grammar knows; a place for tools with calls of another form would teach what the grammar then forbids.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from portico_engine import EngineClient
from portico_engine.errors import ChatTemplateError
from portico_engine.grammar import CallFormat, control_tokens, detect_format, thinks_first
from portico_gateway.agent.free.prompts import results_as_text
from portico_gateway.agent.free.turns import ID_LENGTH, ModelTurn, ResultTurn, Turn, UserTurn, WrittenCall

Message = dict[str, Any]
_SEVERAL_CALLS = (CallFormat.GENERIC, CallFormat.HERMES, CallFormat.MISTRAL, CallFormat.MISTRAL_ARGS)
_IDS = re.compile(r"tool_call_id|\bcall\.id|\btool_call\.id|\bc\.id")


@dataclass(frozen=True, slots=True)
class ToolForm:
    """What is known of a model's way with tools."""

    format: CallFormat = CallFormat.GENERIC
    own: bool = False  # tools, calls and results go where the template has a place for them
    control: Mapping[str, int] = field(default_factory=dict)  # marks of the format that are tokens of the vocabulary
    thinks: bool = False  # an answer begins with a thought
    keeps_thoughts: bool = False  # the template shows the thoughts of earlier turns as it sees fit
    has_ids: bool = False  # calls and results are tied by ids
    one_call: bool = False  # the template refuses several calls in a turn
    merges_system: bool = False  # the template refuses system messages: a user's turn begins with what they say

    @property
    def several(self) -> bool:
        """Can a turn hold several calls?"""
        return self.format in _SEVERAL_CALLS and not self.one_call

    def in_our_form(self) -> ToolForm:
        """The same model, told of its tools in our words: where its own way needs more room than there is."""
        return ToolForm(thinks=self.thinks, keeps_thoughts=self.keeps_thoughts, merges_system=self.merges_system)

    def messages(self, system: str, turns: Sequence[Turn]) -> list[Message]:
        """The turns as the model's template takes them."""
        messages: list[Message] = [] if self.merges_system else [{"role": "system", "content": system}]
        at = 0
        while at < len(turns):
            turn = turns[at]
            if isinstance(turn, ResultTurn):
                results = _results_from(turns, at)
                messages += self._results(results)
                at += len(results)
                continue
            messages.append({"role": "user", "content": turn.text} if isinstance(turn, UserTurn) else self._written(turn))
            at += 1
        if self.merges_system:
            messages[0] = {**messages[0], "content": f"{system}\n\n{messages[0]['content']}"}
        return messages

    def _written(self, turn: ModelTurn) -> Message:
        message: Message = {"role": "assistant", "content": turn.text}
        if turn.thought and self.keeps_thoughts:
            message["reasoning_content"] = turn.thought
        if turn.calls and self.own:
            message["tool_calls"] = [self._call(call) for call in turn.calls]
        elif turn.calls:
            calls = [{"name": call.name, "arguments": call.arguments} for call in turn.calls]
            written = json.dumps(calls, ensure_ascii=False, separators=(",", ":"))
            message["content"] = f"{turn.text}\n{written}".lstrip()
        return message

    def _call(self, call: WrittenCall) -> Message:
        function = {"type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        return {"id": _id(call.id), **function} if self.has_ids else function

    def _results(self, results: Sequence[ResultTurn]) -> list[Message]:
        if not self.own:
            return [{"role": "user", "content": results_as_text([(each.call.name, each.shown) for each in results])}]
        ids = [{"tool_call_id": _id(each.call.id)} if self.has_ids else {} for each in results]
        return [
            {"role": "tool", "name": each.call.name, "content": each.shown, **id} for each, id in zip(results, ids, strict=True)
        ]


def tool_form(engine: EngineClient) -> ToolForm:
    """What the model's template says. Raises ChatTemplateError where it has none."""
    template = engine.chat_template
    format = detect_format(template) if "tools" in template and "tool_calls" in template else CallFormat.GENERIC
    form = ToolForm(thinks=thinks_first(template), keeps_thoughts="reasoning_content" in template)
    if format is CallFormat.GENERIC:
        return form
    control = control_tokens(format, engine.tokens)
    return replace(form, format=format, own=True, control=control, has_ids=bool(_IDS.search(template)))


async def usable_form(engine: EngineClient, form: ToolForm) -> ToolForm:
    """The form, changed so far that the model's template renders a conversation with calls in it. Where nothing helps, it is
    the last that was tried, and rendering says why."""
    one_call = replace(form, one_call=True)
    ours = form.in_our_form()
    for tried in [*([form] if form.several else []), one_call, ours]:
        try:
            await engine.render_chat(tried.messages("Be brief.", _sample(2 if tried.several else 1)))
        except ChatTemplateError:
            continue
        return tried
    return replace(ours, merges_system=True)


def _sample(calls: int) -> list[Turn]:
    made = tuple(WrittenCall("a_tool", {"argument": "value"}) for _ in range(calls))
    return [
        UserTurn("Why?"),
        ModelTurn("", "", made),
        *(ResultTurn(call, "So.") for call in made),
        ModelTurn("So."),
        UserTurn("Oh?"),
    ]


def _results_from(turns: Sequence[Turn], at: int) -> list[ResultTurn]:
    """The results that stand one after the other from `at` on."""
    found: list[ResultTurn] = []
    for turn in turns[at:]:
        if not isinstance(turn, ResultTurn):
            break
        found.append(turn)
    return found


def _id(id: str) -> str:
    """An id that the strictest templates take."""
    return id if len(id) == ID_LENGTH and id.isalnum() else hashlib.sha256(id.encode()).hexdigest()[:ID_LENGTH]
