"""From a generation request to the engine's own: the prompt's tokens, the grammar, the sampling parameters.

Grammars are compiled beside the event loop, what anybody may have made dear in a process of its own. It generates nothing.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from portico_engine import PRESETS, Request, SamplingParams, Tool
from portico_engine.errors import ContextOverflow, EngineError
from portico_engine.grammar import (
    AnswerSchema,
    CallFormat,
    CompiledGrammar,
    NamedTool,
    call_mark,
    compile_gbnf_isolated,
    compile_schema_isolated,
    compile_tool_calls_here,
    compile_tool_calls_isolated,
    control_tokens,
    detect_format,
)
from portico_gateway.guidance.call_guide import CallGuide
from portico_gateway.guidance.guided_call import GuidedCall
from portico_gateway.guidance.question_readings import Readings
from portico_gateway.http.errors import ApiError
from portico_gateway.http.generation.prompt import EXPLAINED, prompt_of
from portico_gateway.http.generation.request import GenerationRequest, SamplingOptions
from portico_gateway.http.identity import LOCAL
from portico_gateway.model.options import WAIT_SECONDS
from portico_gateway.model.remote.engine import REMOTE

if TYPE_CHECKING:
    from portico_engine import EngineClient

Look: TypeAlias = Callable[[Sequence[Tool], str], Awaitable[Readings]]  # at the servers of some tools, with a question
_A = TypeVar("_A")
_B = TypeVar("_B")
_PASSED_ON = (  # where they are given; the engine's defaults count else
    *("dry_multiplier", "dry_base", "dry_allowed_length", "dry_penalty_last_n", "dry_sequence_breakers"),
    *("xtc_probability", "xtc_threshold"),
)
_FEW_TOOLS = 32  # and
_SHORT_QUESTION = 500  # characters of question and results: guiding a call takes some milliseconds
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
        options = _call_options(generation, format, control) if generation.may_call else {}
        (guided, grammar), prompt = await _both(
            _guided(generation, engine, guide, look, options), prompt_of(generation, engine, template)
        )
        if grammar is None:
            grammar = await _grammar(generation, guided.tools if guided else generation.callable_tools, format, options)
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
    generation: GenerationRequest,
    engine: EngineClient,
    guide: CallGuide | None,
    look: Look | None,
    options: Mapping[str, Any],
) -> tuple[GuidedCall | None, CompiledGrammar | None]:
    """What is said about the calls, where the model is one that needs it, and their grammar, where that is soon compiled.
    Little is done at once: another thread would not compute beside this one."""
    asked = [at for at, turn in enumerate(generation.turns) if turn.role == "user" and turn.content.strip()]
    if guide is None or not generation.may_call or not asked or not guide.guides(engine.info.parameters):
        return None, None
    question = generation.turns[asked[-1]].content
    found = "\n".join(turn.content for turn in generation.turns[asked[-1] :] if turn.role == "tool")
    tools = generation.callable_tools
    several, tuned = generation.parallel_tool_calls is True, generation.prompts == EXPLAINED
    first = look is not None and not found and not several  # what a later call looks for, earlier results say
    readings = await look(tools, question) if look is not None and first else {}

    def work() -> tuple[GuidedCall, CompiledGrammar | None]:
        guided = guide.guide(tools, question, found, several=several, tuned=tuned, readings=readings)
        return guided, None if generation.grammar is not None else compile_tool_calls_here(guided.tools, **options)

    is_brief = len(tools) <= _FEW_TOOLS and len(question) + len(found) <= _SHORT_QUESTION and guide.knows(tools)
    return work() if is_brief else await asyncio.to_thread(work)


def _call_options(generation: GenerationRequest, format: CallFormat, control: Mapping[str, int]) -> dict[str, Any]:
    """What the grammar of calls is compiled with."""
    return {
        "choice": generation.tool_choice or "auto",
        "answer": AnswerSchema(_wanted_schema(generation)) if generation.calls_or_json else None,
        "format": format,
        "parallel": _parallel(generation.parallel_tool_calls, format),
        "special_tokens": control,
    }


def _wanted_schema(generation: GenerationRequest) -> dict[str, Any] | bool | None:
    wanted = generation.response_format
    if wanted is None:
        return None
    return {"type": "object"} if wanted.schema is None else wanted.schema


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
    generation: GenerationRequest, tools: Sequence[Tool], format: CallFormat, options: Mapping[str, Any]
) -> CompiledGrammar | None:
    """What the answer follows; `tools` are those that it may call, as guidance leaves them, and `options` how. Raises
    GrammarError."""
    if generation.grammar is not None:
        return await compile_gbnf_isolated(generation.grammar)
    if generation.may_call:
        return await compile_tool_calls_isolated(tools, **options)
    if generation.response_format is not None:
        return await compile_schema_isolated(_wanted_schema(generation))
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
