"""A generation's prompt in tokens: its turns and tools, in the model's template or, where that has no place for tools, as text.

It owns what a model is told of the tools in words; adapters are trained on these.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from portico_engine import Tool
from portico_engine.errors import ChatTemplateError
from portico_gateway.agent.tool_signatures import TOOLS_SHARE, explained_signature, one_liner, signature
from portico_gateway.http.errors import ApiError
from portico_gateway.http.generation.request import GenerationRequest, Turn
from portico_servers.common.unicode_text import plain_json

if TYPE_CHECKING:
    from portico_engine import EngineClient

_KEPT_CATALOGS = 64  # of clients, whose signatures are kept
_SHORT_TOOLS = 1 << 16  # characters of JSON: longer ones are read beside the event loop
PROMPT_VERSION = 1  # of these texts and of tools' signatures: adapters are trained on them, and name it
EXPLAINED = "serve, parameters explained"  # what adapters are called that read what each parameter's description says
_INTRODUCTION = "You can call these tools:\n"
_CALL_FORM = '\n\nA call is JSON: {"name":"TOOL","arguments":{...}}'


async def prompt_of(generation: GenerationRequest, engine: EngineClient, template: str) -> tuple[int, ...]:
    """The prompt's tokens. Where the template takes no system turn later than the first, those become the user's."""
    given = generation.prompt
    if isinstance(given, str):
        return await engine.tokenize(given)
    if given is not None:
        field, vocab_size = generation.fields.messages, engine.info.vocab_size
        if wrong := next((token for token in given if token >= vocab_size), None):
            raise ApiError(400, f"{field} names the token {wrong}; the vocabulary has {vocab_size}", param=field)
        return given
    taught = "tools" in template
    turns, tools = generation.turns, generation.tools
    while True:
        messages = _messages(turns, keeps_calls="tool_calls" in template)
        if tools and not taught:
            messages = await _with_tools(messages, tools, engine, explained=generation.prompts == EXPLAINED)
        try:
            return await engine.render_chat(messages, tools if taught else None, generation.template_variables)
        except ChatTemplateError:
            folded = _without_late_system_turns(turns)
            if folded == turns:
                raise
            turns = folded


def _without_late_system_turns(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """Later system turns as part of the user's turn before them, or as one; the first ones as one turn."""
    out: list[Turn] = []
    for turn in turns:
        last = out[-1] if out else None
        if turn.role == "system" and last is not None:
            turn = turn if last.role == "system" else replace(turn, role="user")
        if last is not None and turn.role == last.role and turn.role in ("system", "user"):
            out[-1] = replace(last, content=f"{last.content}\n\n{turn.content}")
        else:
            out.append(turn)
    return tuple(out)


def _messages(turns: Sequence[Turn], *, keeps_calls: bool) -> list[dict[str, Any]]:
    """The turns as a template takes them. Where it knows no calls, calls become text and results a user's turn."""
    out: list[dict[str, Any]] = []
    called: dict[str, str] = {}
    for turn in turns:
        message: dict[str, Any] = {"role": turn.role, "content": turn.content}
        called.update({call.id: call.name for call in turn.tool_calls})
        if keeps_calls:
            if turn.tool_calls:
                functions = [{"name": call.name, "arguments": plain_json(call.arguments)} for call in turn.tool_calls]
                message["tool_calls"] = [{"type": "function", "function": function} for function in functions]
            if turn.role == "tool":
                message["name"] = turn.name or called.get(turn.tool_call_id or "", "")
        elif turn.role == "tool":
            name = turn.name or called.get(turn.tool_call_id or "", "the tool")
            message = {"role": "user", "content": f"Result of {name}:\n{turn.content}"}
        elif turn.tool_calls:
            texts = [f'{{"name":{json.dumps(call.name)},"arguments":{plain_json(call.arguments)}}}' for call in turn.tool_calls]
            message["content"] = "\n".join([*([turn.content] if turn.content else []), *texts])
        out.append(message)
    return out


async def _with_tools(
    messages: list[dict[str, Any]], tools: Sequence[Tool], engine: EngineClient, *, explained: bool
) -> list[dict[str, Any]]:
    """The turns with the tools' signatures in the system message: first, so that they stay in the prefix cache."""
    made_from = _Written(tuple([(tool.name, tool.description, tool.schema_text) for tool in tools]), tools)
    characters = sum(len(description) + len(schema) for _, description, schema in made_from.definitions)
    budget = engine.info.context_length // TOOLS_SHARE
    text = ""
    for form in (explained_signature, signature, _name_and_purpose) if explained else (signature, _name_and_purpose):
        text = _lines(form, made_from) if characters < _SHORT_TOOLS else await asyncio.to_thread(_lines, form, made_from)
        if len(text.encode()) < budget or len(await engine.tokenize(text)) <= budget:  # a token has a byte at least
            break
    note = tools_note(text)
    if messages[0]["role"] == "system":
        said = messages[0]["content"]
        return [{"role": "system", "content": f"{note}\n\n{said}" if said else note}, *messages[1:]]
    return [{"role": "system", "content": note}, *messages]


def tools_note(lines: str) -> str:
    """What is said of the tools, a line each."""
    return _INTRODUCTION + lines + _CALL_FORM


def _name_and_purpose(tool: Tool) -> str:
    return f"{tool.name} - {one_liner(tool, 60)}"


@dataclass(frozen=True, slots=True)
class _Written:
    """Tools, known by what their definitions say: name, description and the schema's text of each."""

    definitions: tuple[tuple[str, str, str], ...]
    tools: Sequence[Tool] = field(compare=False)


@lru_cache(_KEPT_CATALOGS)
def _lines(form: Callable[[Tool], str], made_from: _Written) -> str:
    """The same come with every request."""
    return "\n".join(map(form, made_from.tools))
