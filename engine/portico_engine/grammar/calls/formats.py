"""How model families write a tool call: the text around name and arguments, and the marker that begins it.

It knows nothing of schemas. The spacing is what each family was trained on, so that forced text is text the model would write.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias


class CallFormat(enum.StrEnum):
    """A family's way to write calls; the value is what an override in a config or an option says."""

    GENERIC = "generic"  # {"name":"NAME","arguments":{...}}, an array of them for parallel calls
    HERMES = "hermes"  # <tool_call>\n{"name": "NAME", "arguments": {...}}\n</tool_call>, as Hermes and Qwen
    LLAMA3 = "llama3"  # {"name": "NAME", "parameters": {...}}
    MISTRAL = "mistral"  # [TOOL_CALLS][{"name": "NAME", "arguments": {...}}]
    MISTRAL_ARGS = "mistral-args"  # [TOOL_CALLS]NAME[ARGS]{...}, again for each call: tokenizers since v11


@dataclass(frozen=True, slots=True)
class NamedTool:
    """A tool choice: this tool, exactly."""

    name: str


ToolChoice: TypeAlias = Literal["none", "auto", "required"] | NamedTool


@dataclass(frozen=True, slots=True)
class Envelope:
    """The fixed text of a family: `marker` `begin` CALL (`separator` CALL)* `finish`, and a CALL is
    `name` NAME `arguments` ARGUMENTS `end`, where NAME is a JSON string, or `bare`."""

    name: str
    arguments: str
    end: str = "}"
    marker: str | None = None  # begins a run of calls, and never stands in the free text before it
    begin: str = ""
    separator: str = ""
    finish: str = ""
    bare: bool = False
    tag: str = ""  # may stand before calls in an answer that no grammar made; free text never begins with it
    control: tuple[str, ...] = ()  # of the fixed text, what is a token of its own where the vocabulary has it


TOOL_CALLS, ARGS, PYTHON_TAG = "[TOOL_CALLS]", "[ARGS]", "<|python_tag|>"
CALLS_BEGIN = "{["  # a call or a run of them where there is no marker, however many may be made

_COMPACT = Envelope(name='{"name":', arguments=',"arguments":')
_COMPACT_ARRAY = Envelope(name='{"name":', arguments=',"arguments":', begin="[", separator=",", finish="]")
_HERMES = Envelope(
    name='{"name": ',
    arguments=', "arguments": ',
    marker="<tool_call>",
    begin="\n",
    separator="\n</tool_call>\n<tool_call>\n",
    finish="\n</tool_call>",
)
_LLAMA3 = Envelope(name='{"name": ', arguments=', "parameters": ', separator="; ", tag=PYTHON_TAG)
_MISTRAL = Envelope(
    name='{"name": ',
    arguments=', "arguments": ',
    marker=TOOL_CALLS,
    begin="[",
    separator=", ",
    finish="]",
    control=(TOOL_CALLS,),
)
_MISTRAL_ARGS = Envelope(
    name="", arguments=ARGS, end="", marker=TOOL_CALLS, separator=TOOL_CALLS, bare=True, control=(TOOL_CALLS, ARGS)
)


def call_mark(format: CallFormat) -> str:
    """Text that every call of the family has, and other answers hardly ever."""
    written = envelope(format, array=False)
    return written.marker or written.name


ANSWER_MARK = " "  # before an answer that is JSON, where a call is JSON too and has no marker: JSON's own blank
THINK_OPEN = "<think>"
THINK_CLOSE = "</think>"


def envelope(format: CallFormat, *, array: bool) -> Envelope:
    """The family's text. `array` matters for GENERIC alone: several calls are a JSON array, one stands by itself."""
    match format:
        case CallFormat.GENERIC:
            return _COMPACT_ARRAY if array else _COMPACT
        case CallFormat.HERMES:
            return _HERMES
        case CallFormat.LLAMA3:
            return _LLAMA3
        case CallFormat.MISTRAL:
            return _MISTRAL
        case CallFormat.MISTRAL_ARGS:
            return _MISTRAL_ARGS


def detect_format(chat_template: str | None) -> CallFormat:
    """The format that a chat template teaches; GENERIC where it teaches none that we write (or there is no template)."""
    if not chat_template:
        return CallFormat.GENERIC
    if TOOL_CALLS in chat_template:
        return CallFormat.MISTRAL_ARGS if ARGS in chat_template else CallFormat.MISTRAL
    if "<tool_call>" in chat_template:
        # the same tags around XML-like <function=...> (Qwen3-Coder) are another format
        return CallFormat.GENERIC if "<function=" in chat_template else CallFormat.HERMES
    if "<|python_tag|>" in chat_template or ("ipython" in chat_template and '"parameters"' in chat_template):
        return CallFormat.LLAMA3
    return CallFormat.GENERIC


def thinks_first(chat_template: str | None) -> bool:
    """Does a chat template know answers that begin with a thought, `<think>...</think>`?"""
    return THINK_CLOSE in (chat_template or "")


class TokenLookup(Protocol):
    """What is asked of a tokenizer."""

    def token_id(self, token: str) -> int | None: ...

    def is_control(self, token: int) -> bool: ...


def control_tokens(format: CallFormat, tokens: TokenLookup) -> dict[str, int]:
    """The ids of a family's marks that are control tokens of this vocabulary; a model was trained to write those."""
    ids = {text: tokens.token_id(text) for text in envelope(format, array=False).control}
    return {text: token for text, token in ids.items() if token is not None and tokens.is_control(token)}
