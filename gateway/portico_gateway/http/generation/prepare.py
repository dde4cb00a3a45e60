"""From a generation request to the engine's own: the prompt's tokens, the grammar, the sampling parameters.

Grammars are compiled beside the event loop, what anybody may have made dear in a process of its own. It generates nothing.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from portico_engine import PRESETS, Request, SamplingParams, Tool
from portico_engine.errors import ChatTemplateError, ContextOverflow, EngineError
from portico_engine.grammar import (
    AnswerSchema,
    CallFormat,
    CompiledGrammar,
    NamedTool,
    call_mark,
    compile_gbnf_isolated,
    compile_schema_isolated,
    compile_tool_calls_isolated,
    control_tokens,
    detect_format,
)
from portico_gateway.agent.tool_signatures import TOOLS_SHARE, explained_signature, one_liner, signature
from portico_gateway.guidance.call_guide import CallGuide
from portico_gateway.guidance.guided_call import GuidedCall
from portico_gateway.guidance.question_readings import Readings
from portico_gateway.http.errors import ApiError
from portico_gateway.http.generation.request import GenerationRequest, SamplingOptions, Turn
from portico_gateway.http.identity import LOCAL
from portico_gateway.model.options import WAIT_SECONDS
from portico_gateway.model.remote.engine import REMOTE
from portico_servers.common.unicode_text import plain_json

if TYPE_CHECKING:
    from portico_engine import EngineClient

Look: TypeAlias = Callable[[Sequence[Tool], str], Awaitable[Readings]]  # at the servers of some tools, with a question
_A = TypeVar("_A")
_B = TypeVar("_B")
_PASSED_ON = (  # where they are given; the engine's defaults count else
    *("dry_multiplier", "dry_base", "dry_allowed_length", "dry_penalty_last_n", "dry_sequence_breakers"),
    *("xtc_probability", "xtc_threshold"),
)
MOST_CALLS = 8  # in one answer, where several are wanted
_FOR_SEVERAL = (CallFormat.HERMES, CallFormat.MISTRAL, CallFormat.MISTRAL_ARGS)


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """Everything that one answer needs: what is asked, the engine that will answer, and its own request. `call_format` is how
    calls are written, `guided` what helps a small model write them."""

    generation: GenerationRequest
    engine: EngineClient
    request: Request
    call_format: CallFormat = CallFormat.GENERIC
    guided: GuidedCall | None = None

    @property
    def tools(self) -> tuple[Tool, ...]:
        """Those that the answer may call."""
        return self.generation.callable_tools if self.generation.may_call else ()

    @property
    def is_remote(self) -> bool:
        """Does another server's model answer? Then nothing of the grammar is enforced here."""
        return self.engine.info.executor == REMOTE

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a client should know of its request: what was passed over, and tools whose arguments are not enforced."""
        failed = self.request.grammar.report.failed if self.request.grammar is not None else ()
        return (
            *self.generation.warnings,
            *(
                f"{each.tool}: {each.pointer or 'its schema'} is not enforced: {each.reason}"
                for each in failed
                if each.degraded
            ),
            *(f"{each.tool} can't be called: {each.reason}" for each in failed if not each.degraded),
        )

    @property
    def schema(self) -> dict[str, Any] | bool | None:
        """What the answer must satisfy."""
        return None if self.generation.response_format is None else self.generation.response_format.schema


async def prepare(
    generation: GenerationRequest,
    engine: EngineClient,
    *,
    caller: str = LOCAL,
    guide: CallGuide | None = None,
    look: Look | None = None,
) -> PreparedRequest:
    """The request of `caller`; `guide` helps a small model with its calls, and is told what a `look` at the tools' own servers
    has found. Raises ApiError for whatever the client can mend."""
    tools = generation.tools
    _check_logit_bias(generation, engine.info.vocab_size)
    try:
        template = engine.chat_template if generation.prompt is None else ""
        taught = "tools" in template
        format = detect_format(template) if taught else CallFormat.GENERIC
        control = control_tokens(format, engine.tokens)
        guided, prompt = await _both(_guided(generation, engine, guide, look), _prompt(generation, engine, template))
        grammar = await _grammar(generation, guided.tools if guided else generation.callable_tools, format, control)
        if grammar is not None and engine.info.executor == REMOTE:
            grammar = replace(grammar, schema=_as_schema(generation))
        room = engine.info.context_length - len(prompt)
        if room < 1:
            raise ContextOverflow(len(prompt), engine.info.context_length)
    except EngineError as error:
        raise generation.api_error(error) from error
    request = Request(
        id=uuid.uuid4().hex,
        prompt=prompt,
        adapter=generation.adapter,
        caller=caller,
        salt=b"" if caller == LOCAL else caller.encode(),
        sampling=_sampling(generation.sampling, engine.info.vocab_size, structured=_is_structured(generation)),
        max_tokens=min(generation.max_tokens or room, room),
        stop=generation.stop,
        grammar=grammar,
        prior=guided.prior if guided else None,
        pin=WAIT_SECONDS if generation.may_call else 0.0,
        pin_where=call_mark(format) if generation.may_call else "",
        shown_tokens=frozenset(control.values()) if tools else frozenset(),
    )
    return PreparedRequest(generation, engine, request, format, guided)


async def _guided(
    generation: GenerationRequest, engine: EngineClient, guide: CallGuide | None, look: Look | None
) -> GuidedCall | None:
    """What is said about the calls, where the model is one that needs it."""
    asked = [at for at, turn in enumerate(generation.turns) if turn.role == "user" and turn.content.strip()]
    if guide is None or not generation.may_call or not asked or not guide.guides(engine.info.parameters):
        return None
    question = generation.turns[asked[-1]].content
    found = "\n".join(turn.content for turn in generation.turns[asked[-1] :] if turn.role == "tool")
    several = generation.parallel_tool_calls is True
    first = look is not None and not found and not several  # what a later call looks for, earlier results say
    return await asyncio.to_thread(
        guide.guide,
        generation.callable_tools,
        question,
        found,
        several=several,
        tuned=generation.prompts == EXPLAINED,
        readings=await look(generation.callable_tools, question) if look is not None and first else {},
    )


async def _both(first: Coroutine[Any, Any, _A], second: Coroutine[Any, Any, _B]) -> tuple[_A, _B]:
    """Both side by side. Where one fails the other ends, too."""
    both = asyncio.ensure_future(first), asyncio.ensure_future(second)
    try:
        return await asyncio.gather(*both)
    finally:
        for each in both:
            each.cancel()
        await asyncio.gather(*both, return_exceptions=True)


def _check_logit_bias(generation: GenerationRequest, vocab_size: int) -> None:
    """The one sampling parameter whose range is the model's."""
    field = generation.fields.logit_bias
    for token, _ in generation.sampling.logit_bias:
        if token >= vocab_size:
            raise ApiError(400, f"{field} names the token {token}; the vocabulary has {vocab_size}", param=field)


async def _grammar(
    generation: GenerationRequest, tools: Sequence[Tool], format: CallFormat, control: Mapping[str, int]
) -> CompiledGrammar | None:
    """What the answer follows; `tools` are those that it may call, as guidance leaves them. Raises GrammarError."""
    if generation.grammar is not None:
        return await compile_gbnf_isolated(generation.grammar)
    wanted = generation.response_format
    schema = {"type": "object"} if wanted is not None and wanted.schema is None else wanted and wanted.schema
    if generation.may_call:
        return await compile_tool_calls_isolated(
            tools,
            choice=generation.tool_choice or "auto",
            answer=AnswerSchema(schema) if generation.calls_or_json else None,
            format=format,
            parallel=_parallel(generation.parallel_tool_calls, format),
            special_tokens=control,
        )
    if wanted is not None:
        return await compile_schema_isolated(schema)
    if tools:  # they stay in the prompt, so that its prefix does; the grammar leaves no call
        return await compile_tool_calls_isolated(tools, choice="none", format=format)
    return None


def _as_schema(generation: GenerationRequest) -> dict[str, Any] | bool | None:
    """The whole answer as JSON Schema, for a server that takes no grammar; None where it is no JSON."""
    wanted = generation.response_format
    if generation.grammar is None and not generation.may_call and wanted is not None:
        return {"type": "object"} if wanted.schema is None else wanted.schema
    choice = generation.tool_choice
    if generation.may_call and (choice == "required" or isinstance(choice, NamedTool)):
        named = [tool for tool in generation.callable_tools if not isinstance(choice, NamedTool) or tool.name == choice.name]
        return {"anyOf": [_call_schema(tool) for tool in named]}
    return None


def _call_schema(tool: Tool) -> dict[str, Any]:
    """A call as we have it written, by its parts."""
    parts = {"name": {"const": tool.name}, "arguments": dict(tool.parameters)}
    return {"type": "object", "properties": parts, "required": [*parts], "additionalProperties": False}


def _is_structured(generation: GenerationRequest) -> bool:
    """Is the answer anything but prose?"""
    return generation.grammar is not None or generation.response_format is not None or generation.may_call


def _parallel(asked: bool | None, format: CallFormat) -> tuple[int, int]:
    """Several calls where they are asked for; where nothing is said, if the model's own format was made for several."""
    several = format in _FOR_SEVERAL if asked is None else asked
    return (1, MOST_CALLS) if several else (1, 1)


def _sampling(asked: SamplingOptions, vocab_size: int, *, structured: bool) -> SamplingParams:
    temperature, top_p, min_p = PRESETS[asked.preset or ("structured" if structured else "conversation")]
    if asked.temperature is not None:  # a client that sets the temperature means the plain distribution otherwise
        temperature, top_p, min_p = asked.temperature, 1.0, 0.0
    return SamplingParams(
        temperature=temperature,
        top_p=top_p if asked.top_p is None else asked.top_p,
        top_k=min(asked.top_k or 0, vocab_size),  # JSON has integers that no machine word holds
        min_p=min_p if asked.min_p is None else asked.min_p,
        seed=asked.seed,
        repetition_penalty=asked.repetition_penalty or 1.0,
        frequency_penalty=asked.frequency_penalty or 0.0,
        presence_penalty=asked.presence_penalty or 0.0,
        logprobs=asked.logprobs,
        logit_bias=asked.logit_bias,
        min_tokens=asked.min_tokens or 0,
        ignore_eos=asked.ignore_eos,
        stop_token_ids=asked.stop_token_ids,
        **{name: value for name in _PASSED_ON if (value := getattr(asked, name)) is not None},
    )


# -- the prompt, for models whose template has no place for tools

_KEPT_CATALOGS = 64  # of clients, whose signatures are kept
_SHORT_TOOLS = 1 << 16  # characters of JSON: longer ones are read beside the event loop
PROMPT_VERSION = 1  # of these texts and of tools' signatures: adapters are trained on them, and name it
EXPLAINED = "serve, parameters explained"  # what adapters are called that read what each parameter's description says
_INTRODUCTION = "You can call these tools:\n"
_CALL_FORM = '\n\nA call is JSON: {"name":"TOOL","arguments":{...}}'


async def _prompt(generation: GenerationRequest, engine: EngineClient, template: str) -> tuple[int, ...]:
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
    made_from = json.dumps([(tool.name, tool.description, tool.parameters) for tool in tools])
    budget = engine.info.context_length // TOOLS_SHARE
    text = ""
    for form in (explained_signature, signature, _name_and_purpose) if explained else (signature, _name_and_purpose):
        text = _lines(form, made_from) if len(made_from) < _SHORT_TOOLS else await asyncio.to_thread(_lines, form, made_from)
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


@lru_cache(_KEPT_CATALOGS)
def _lines(form: Callable[[Tool], str], made_from: str) -> str:
    """By the tools' JSON, since the same come with every request."""
    return "\n".join(form(Tool(*parts)) for parts in json.loads(made_from))
