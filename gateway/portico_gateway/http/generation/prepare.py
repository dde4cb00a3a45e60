"""From a valid chat request to the engine's: the prompt's tokens, the grammar, the sampling parameters.

Grammars are compiled on a worker thread, because that may take a while, and kept by their text. It generates nothing.
"""

from __future__ import annotations

import asyncio
import functools
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from portico_engine import Request, SamplingParams, Tool
from portico_engine.errors import ContextOverflow, EngineError, GrammarError
from portico_engine.grammar import (
    CallFormat,
    CompiledGrammar,
    NamedTool,
    ToolChoice,
    compile_schema,
    compile_tool_calls,
    control_tokens,
    detect_format,
)
from portico_gateway.agent.tool_signatures import TOOLS_SHARE, one_liner, signature
from portico_gateway.http.errors import from_engine
from portico_gateway.http.openai_chat.body import ChatRequest, JsonSchemaFormat, Message, NamedToolChoice
from portico_gateway.model.options import WAIT_SECONDS

if TYPE_CHECKING:
    from portico_engine import EngineClient

MOST_CALLS = 8  # in one answer, where several are wanted
_CACHED = 64
_FOR_SEVERAL = (CallFormat.HERMES, CallFormat.MISTRAL, CallFormat.MISTRAL_ARGS)

# (temperature, top_p, min_p) where the request leaves them open
_CONVERSATION = (0.7, 0.9, 0.05)
_STRUCTURED = (0.1, 0.95, 0.01)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything that one answer needs. `tools` are those it may call, `format` how their calls are written."""

    request: Request
    tools: tuple[Tool, ...] = ()
    format: CallFormat = CallFormat.GENERIC
    schema: dict[str, Any] | bool | None = None  # what a json_schema answer must satisfy


@dataclass(frozen=True, slots=True)
class _Shape:
    grammar: CompiledGrammar | None
    field: str | None  # of the request, where the grammar came from


async def prepare(body: ChatRequest, engine: EngineClient) -> Prepared:
    """Raises ApiError for whatever the client can mend."""
    tools = tuple(
        Tool(t.function.name, t.function.description, t.function.parameters or _NO_PARAMETERS) for t in body.tools or []
    )
    try:
        template = engine.chat_template
        taught = "tools" in template
        format = detect_format(template) if taught else CallFormat.GENERIC
        control = control_tokens(format, engine.tokens)
        shape = await asyncio.to_thread(_shape, body, tools, format, control)
        messages = _messages(body.messages, keeps_calls="tool_calls" in template)
        if tools and not taught and body.tool_choice != "none":
            messages = await _with_tools(messages, tools, engine)
        prompt = await engine.render_chat(messages, tools if taught else None)
        room = engine.info.context_length - len(prompt)
        if room < 1:
            raise ContextOverflow(len(prompt), engine.info.context_length)
    except EngineError as error:
        raise from_engine(error) from error
    may_call = bool(tools) and body.tool_choice != "none"
    request = Request(
        id=uuid.uuid4().hex,
        prompt=prompt,
        sampling=_sampling(body, structured=shape.grammar is not None),
        max_tokens=min(body.limit or room, room),
        stop=body.stops,
        grammar=shape.grammar,
        pin=WAIT_SECONDS if may_call else 0.0,
        shown_tokens=frozenset(control.values()) if tools else frozenset(),
    )
    wanted = body.response_format.json_schema.schema_ if isinstance(body.response_format, JsonSchemaFormat) else None
    return Prepared(request, tools if may_call else (), format, wanted)


def grammar_field(body: ChatRequest) -> str | None:
    """The field that the answer's shape came from, for errors that the engine raises later."""
    if body.grammar is not None:
        return "grammar"
    if body.response_format is not None and body.response_format.type != "text":
        return "response_format"
    return "tools" if body.tools and body.tool_choice != "none" else None


def _shape(body: ChatRequest, tools: Sequence[Tool], format: CallFormat, control: Mapping[str, int]) -> _Shape:
    field = grammar_field(body)
    try:
        if body.grammar is not None:
            return _Shape(_gbnf(body.grammar), field)
        if isinstance(body.response_format, JsonSchemaFormat):
            return _Shape(_json_schema(_canonical(body.response_format.json_schema.schema_)), field)
        if body.response_format is not None and body.response_format.type == "json_object":
            return _Shape(_json_schema('{"type":"object"}'), field)
        if field == "tools":
            catalog = _canonical([[tool.name, tool.description, tool.parameters] for tool in tools])
            return _Shape(_calls(catalog, _choice(body), format, _parallel(body, format), tuple(control.items())), field)
    except GrammarError as error:
        raise from_engine(error, param=field) from error
    return _Shape(None, None)


@functools.lru_cache(_CACHED)
def _gbnf(text: str) -> CompiledGrammar:
    from portico_engine.grammar import compile_gbnf

    compiled: CompiledGrammar = compile_gbnf(text)
    return compiled


@functools.lru_cache(_CACHED)
def _json_schema(schema: str) -> CompiledGrammar:
    return compile_schema(json.loads(schema))


@functools.lru_cache(_CACHED)
def _calls(
    catalog: str, choice: ToolChoice, format: CallFormat, parallel: tuple[int, int], control: tuple[tuple[str, int], ...]
) -> CompiledGrammar:
    return compile_tool_calls(
        [Tool(*entry) for entry in json.loads(catalog)],
        choice=choice,
        format=format,
        parallel=parallel,
        special_tokens=dict(control),
    )


def _canonical(value: Any) -> str:
    """As JSON, in the client's own order of keys: the order of properties is part of a grammar."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _choice(body: ChatRequest) -> ToolChoice:
    if isinstance(body.tool_choice, NamedToolChoice):
        return NamedTool(body.tool_choice.function.name)
    return body.tool_choice or "auto"


def _parallel(body: ChatRequest, format: CallFormat) -> tuple[int, int]:
    """Several calls where they are asked for; where nothing is said, if the model's own format was made for several."""
    if body.parallel_tool_calls is None:
        return (1, MOST_CALLS) if format in _FOR_SEVERAL else (1, 1)
    return (1, MOST_CALLS) if body.parallel_tool_calls else (1, 1)


def _sampling(body: ChatRequest, *, structured: bool) -> SamplingParams:
    temperature, top_p, min_p = _STRUCTURED if structured else _CONVERSATION
    if body.temperature is not None:  # a client that sets the temperature means the plain distribution otherwise
        temperature, top_p, min_p = body.temperature, 1.0, 0.0
    return SamplingParams(
        temperature=temperature,
        top_p=top_p if body.top_p is None else body.top_p,
        top_k=body.top_k or 0,
        min_p=min_p if body.min_p is None else body.min_p,
        seed=body.seed,
        repetition_penalty=body.repetition_penalty or 1.0,
        frequency_penalty=body.frequency_penalty or 0.0,
        presence_penalty=body.presence_penalty or 0.0,
        logprobs=(body.top_logprobs or 0) if body.logprobs else None,
        logit_bias=tuple((body.logit_bias or {}).items()),
    )


# -- the prompt, for models whose template has no place for tools

_NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}}
_INTRODUCTION = "You can call these tools:\n"
_CALL_FORM = '\n\nA call is JSON: {"name":"TOOL","arguments":{...}}'


def _messages(messages: Sequence[Message], *, keeps_calls: bool) -> list[dict[str, Any]]:
    """The turns as a template takes them. Where it knows no calls, calls become text and results a user's turn."""
    out: list[dict[str, Any]] = []
    called: dict[str, str] = {}
    for message in messages:
        role = "system" if message.role == "developer" else message.role
        turn: dict[str, Any] = {"role": role, "content": message.content or ""}
        calls = message.tool_calls or []
        called.update({call.id: call.function.name for call in calls})
        if keeps_calls:
            if calls:
                turn["tool_calls"] = [{"type": "function", "function": call.function.model_dump()} for call in calls]
            if role == "tool":
                turn["name"] = message.name or called.get(message.tool_call_id or "", "")
        elif role == "tool":
            name = message.name or called.get(message.tool_call_id or "", "the tool")
            turn = {"role": "user", "content": f"Result of {name}:\n{message.content or ''}"}
        elif calls:
            texts = [f'{{"name":{json.dumps(call.function.name)},"arguments":{call.function.arguments}}}' for call in calls]
            turn["content"] = "\n".join([*([message.content] if message.content else []), *texts])
        out.append(turn)
    return out


async def _with_tools(messages: list[dict[str, Any]], tools: Sequence[Tool], engine: EngineClient) -> list[dict[str, Any]]:
    """The turns with the tools' signatures in the system message: first, so that they stay in the prefix cache."""
    text = await asyncio.to_thread(_signatures, tools)
    if len(await engine.tokenize(text)) > engine.info.context_length // TOOLS_SHARE:
        text = "\n".join(f"{tool.name} - {one_liner(tool, 60)}" for tool in tools)
    note = _INTRODUCTION + text + _CALL_FORM
    if messages[0]["role"] == "system":
        said = messages[0]["content"]
        return [{"role": "system", "content": f"{note}\n\n{said}" if said else note}, *messages[1:]]
    return [{"role": "system", "content": note}, *messages]


def _signatures(tools: Sequence[Tool]) -> str:
    return "\n".join(signature(tool) for tool in tools)
