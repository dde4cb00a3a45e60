"""A generation as whoever asks for it means it: the turns, the tools, the answer's form, and how its tokens are picked.

It is no API's wire schema. Every API's body becomes one of these, and what does not fit together is found here, once for all of
them; `FieldNames` says how the API calls a part, so that an error names what the client wrote. It knows nothing of the engine's
tokens, nor of HTTP.
"""

from __future__ import annotations

import marshal
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from portico_engine import EngineError, TextInput, Tool, text_tool
from portico_engine.grammar import NamedTool, ToolChoice
from portico_gateway.http.errors import ApiError, to_api_error
from portico_gateway.http.generation.terms import Terms

Role = Literal["system", "user", "assistant", "tool"]
_SHOWN = 20  # names of tools that an error lists
_TOOLS_KEPT = 1_024  # of clients, which come again with every request
_LONGEST_KEPT = 1 << 15  # bytes of a definition: what anybody sends takes no more memory than that
_NO_PARAMETERS: Mapping[str, Any] = {"type": "object", "properties": {}}


@dataclass(frozen=True, slots=True)
class FieldNames:
    """What an API calls the parts of a request, for errors that are found after its body was read."""

    messages: str
    max_tokens: str
    response_format: str
    tools: str = "tools"
    tool_choice: str = "tool_choice"
    required: str = "required"  # the value of `tool_choice` that demands a call
    grammar: str = "grammar"
    logit_bias: str = "logit_bias"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call in a turn. `arguments` is JSON as it was written; `id` is what a result refers to."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation. A turn of the role "tool" is the result of the call `tool_call_id`."""

    role: Role
    content: str = ""
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class JsonFormat:
    """The answer is JSON: of this schema, or any object where there is none."""

    schema: dict[str, Any] | bool | None = None


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """What a client says of picking tokens. None is "not said": the default then depends on what is asked.

    The values are within SAMPLING_RANGES; `logprobs` is how many alternatives each token's log-probability comes with.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    repetition_penalty: float | None = None
    logit_bias: tuple[tuple[int, float], ...] = ()
    logprobs: int | None = None
    preset: str | None = None  # one of PRESETS, for what is not said
    min_tokens: int | None = None
    ignore_eos: bool = False
    stop_token_ids: tuple[int, ...] = ()
    dry_multiplier: float | None = None
    dry_base: float | None = None
    dry_allowed_length: int | None = None
    dry_penalty_last_n: int | None = None
    dry_sequence_breakers: tuple[str, ...] | None = None
    xtc_probability: float | None = None
    xtc_threshold: float | None = None


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """An answer to make. Raises ApiError where the parts don't fit together; the text names them as `fields` does."""

    model: str
    turns: tuple[Turn, ...]
    fields: FieldNames
    prompt: str | tuple[int, ...] | None = None  # a text or tokens to go on from, in place of turns
    adapter: str | None = None  # one of the model's; it may also be named in `model`, as MODEL:ADAPTER
    template_variables: Mapping[str, Any] | None = None  # further ones that the model's template knows
    prompts: str = ""  # those that the adapter was trained on
    # what may come out
    tools: tuple[Tool, ...] = ()
    found_tools: tuple[Tool, ...] = ()  # that may be called, too: a turn tells of them, where they were found
    server_tools: bool = False  # the gateway's own join them before the model is asked
    tool_choice: ToolChoice | None = None
    allowed_tools: frozenset[str] | None = None  # names of those that may be called; the others stay in the prompt
    parallel_tool_calls: bool | None = None
    response_format: JsonFormat | None = None
    grammar: str | None = None  # GBNF
    # how it is picked, and when it ends
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()  # what of the request was passed over
    terms: Terms = field(default_factory=Terms, compare=False)  # its caller's

    def __post_init__(self) -> None:
        if not self.turns and self.prompt is None:
            raise _refused(f"{self.fields.messages}: there is no message to answer", self.fields.messages)
        self._check_tools()
        self._check_one_format()

    @property
    def may_call(self) -> bool:
        """Whether the answer may hold calls."""
        return bool(self.callable_tools) and self.tool_choice != "none"

    @property
    def callable_tools(self) -> tuple[Tool, ...]:
        """Those that a call may name, if there is one."""
        allowed, tools = self.allowed_tools, (*self.tools, *self.found_tools)
        return tools if allowed is None else tuple(tool for tool in tools if tool.name in allowed)

    @property
    def calls_or_json(self) -> bool:
        """Whether the answer is a call, or JSON of the response format: the model chooses."""
        return self.may_call and self.response_format is not None and self.tool_choice in (None, "auto")

    @property
    def format_field(self) -> str | None:
        """The API's field that the answer's form comes from, for errors of its grammar."""
        if self.grammar is not None:
            return self.fields.grammar
        if self.response_format is not None:
            return self.fields.response_format
        return self.fields.tools if self.may_call else None

    def api_error(self, error: EngineError) -> ApiError:
        """What the engine minds in this request, as its client sees it."""
        said = {"max_tokens": self.fields.max_tokens}
        return to_api_error(error, messages=self.fields.messages, grammar=self.format_field, names=said)

    def _check_tools(self) -> None:
        if self.server_tools:
            return  # all of them are there when this is replaced by what the model is asked
        names = Counter(tool.name for tool in (*self.tools, *self.found_tools))
        if twice := next((name for name, times in names.items() if times > 1), None):
            raise _refused(f"{self.fields.tools}: two tools are named {twice!r}; names must differ", self.fields.tools)
        choice = self.tool_choice
        chosen = {choice.name} if isinstance(choice, NamedTool) else self.allowed_tools or frozenset()
        if missing := sorted(chosen - names.keys()):
            known = ", ".join(sorted(names)[:_SHOWN]) or "none"
            known += f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            raise _refused(f"{self.fields.tool_choice} names {missing[0]!r}, which is not among the tools ({known})")
        if choice == "required" and not self.callable_tools:
            raise _refused(f"{self.fields.tool_choice} {self.fields.required!r} needs tools")

    def _check_one_format(self) -> None:
        """Tools and a response format go together: a call, or an answer in that format. A grammar is the whole answer's."""
        if self.grammar is None or not (self.may_call or self.response_format is not None):
            return
        other = self.fields.tools if self.may_call else self.fields.response_format
        hint = f"; with {self.fields.tool_choice} 'none' tools go with it" if self.may_call else ""
        raise _refused(f"{other} and {self.fields.grammar} can't shape one answer together: leave one of them out{hint}")


def function_tool(name: str, description: str | None, parameters: dict[str, Any] | None) -> Tool:
    """The engine's tool for what an API describes; without parameters it takes none."""
    return _known_tool(Tool(name, description or "", parameters or dict(_NO_PARAMETERS)))


_known_tools: OrderedDict[bytes, Tool] = OrderedDict()  # the newest last


def _known_tool(tool: Tool) -> Tool:
    """The same as it came before, where it did: a client sends its tools with every request, and what is read in one is kept
    with it."""
    try:  # as version 2 has no references, equal definitions are equal bytes
        key = marshal.dumps((tool.name, tool.description, tool.parameters), 2)
    except ValueError:  # it nests too deeply, or is no JSON
        return tool
    if len(key) > _LONGEST_KEPT:
        return tool
    known = _known_tools.pop(key, tool)
    _known_tools[key] = known
    if len(_known_tools) > _TOOLS_KEPT:
        _known_tools.popitem(last=False)
    return known


_SYNTAXES = {"lark": "in the language of this Lark grammar", "regex": "that matches this regular expression as a whole"}


def custom_tool(name: str, description: str | None, text_input: TextInput) -> Tool:
    """The engine's tool that takes one text. What the text must be stands in its description, for the model to read."""
    said = (description or "").strip()
    if text_input.syntax != "any":
        said = f"{said}\nThe input is a text {_SYNTAXES[text_input.syntax]}:\n{text_input.definition}".strip()
    return text_tool(name, said, text_input)


def _refused(message: str, param: str | None = None) -> ApiError:
    return ApiError(400, message, param=param)
