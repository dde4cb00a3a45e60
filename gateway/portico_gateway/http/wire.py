"""What the wire schemas of all APIs are made of: bodies, and the fields whose bounds are the engine's or this server's.

A body owns its API's field names, and pydantic's errors name them. It knows no API.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    model_validator,
)

from portico_engine import SAMPLING_RANGES

Json: TypeAlias = dict[str, Any]  # an object as it is sent
MAX_STOPS = 16
MAX_TOOLS = 1024  # OpenAI's takes 128; a grammar of as many compiles in a third of a second
_LONGEST_NAME = 80  # characters of a client's name that a warning repeats
_MOST_NAMED = 20  # fields that warnings name
MAX_TEMPLATE_VARIABLES = 32
MAX_CHOICES = 16  # answers to one request
MAX_BIAS = 100.0  # OpenAI's reference; logits are sums of 32 bits, which 1e308 is not
Stops = TypeVar("Stops", bound="str | list[str]")


class StrictBody(BaseModel):
    """What isn't known is an error."""

    model_config = ConfigDict(extra="forbid")


# Names of fields that label a request or steer a cache, whichever client of tomorrow invents them.
_LABEL = re.compile(r"client_[a-z_]+|[a-z_]*metadata|prompt_cache[a-z_]*|[a-z_]*telemetry[a-z_]*")


class ApiBody(StrictBody):
    """A whole body. A field that changes no answer here is passed over, and named in `warnings` where it asks for something;
    any other that isn't known is an error."""

    WITHOUT_EFFECT: ClassVar[frozenset[str]] = frozenset()  # fields of the API's that change no answer here
    _passed_over: tuple[str, ...] = PrivateAttr(())

    @model_validator(mode="wrap")
    @classmethod
    def _pass_over(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(value, dict):
            return handler(value)
        names = dict.fromkeys(name for name in value if isinstance(name, str) and cls._is_without_effect(name))
        made = handler({name: each for name, each in value.items() if name not in names} if names else value)
        made._passed_over = tuple(name[:_LONGEST_NAME] for name in names if not _asks_nothing(value[name]))
        return made

    @classmethod
    def _is_without_effect(cls, name: str) -> bool:
        return name not in cls.model_fields and (name in cls.WITHOUT_EFFECT or _LABEL.fullmatch(name) is not None)

    def passed_over(self) -> list[str]:
        """Warnings about the body's fields that change no answer here."""
        shown = [f"{name} has no effect here" for name in self._passed_over[:_MOST_NAMED]]
        more = len(self._passed_over) - len(shown)
        return [*shown, f"{more} more fields have no effect here"] if more else shown


def _asks_nothing(value: Any) -> bool:
    """Does a value only say what is so anyway?"""
    match value:
        case dict():
            return all(map(_asks_nothing, value.values()))
        case list():
            return not value
        case str():
            return value in ("", "auto", "default", "disabled", "none", "text")
        case _:
            return value is None or value is False


def _within(parameter: str) -> Any:
    """The bounds of one of the engine's sampling parameters."""
    allowed = SAMPLING_RANGES[parameter]
    if allowed.open_minimum:
        return Field(gt=allowed.minimum, le=allowed.maximum, allow_inf_nan=False)
    return Field(ge=allowed.minimum, le=allowed.maximum, allow_inf_nan=False)


class SamplingBody(ApiBody):
    """A body that may say how its tokens are picked, beyond what OpenAI's have: names as vLLM and llama.cpp have them."""

    preset: Literal["conversation", "structured", "creative", "classification"] | None = None
    min_tokens: Annotated[int, _within("min_tokens")] | None = None
    ignore_eos: bool = False
    stop_token_ids: Annotated[list[Annotated[int, Field(ge=0)]], Field(max_length=MAX_STOPS)] | None = None
    dry_multiplier: Annotated[float, _within("dry_multiplier")] | None = None
    dry_base: Annotated[float, _within("dry_base")] | None = None
    dry_allowed_length: Annotated[int, _within("dry_allowed_length")] | None = None
    dry_penalty_last_n: Annotated[int, _within("dry_penalty_last_n")] | None = None
    dry_sequence_breakers: Annotated[list[str], Field(max_length=MAX_STOPS)] | None = None
    xtc_probability: Annotated[float, _within("xtc_probability")] | None = None
    xtc_threshold: Annotated[float, _within("xtc_threshold")] | None = None

    def more_sampling(self) -> Json:
        """These fields, as `SamplingOptions` has them."""
        lists = {
            "stop_token_ids": tuple(self.stop_token_ids or ()),
            "dry_sequence_breakers": None if self.dry_sequence_breakers is None else tuple(self.dry_sequence_breakers),
        }
        return {name: getattr(self, name) for name in SamplingBody.model_fields} | lists


class UnknownTool(BaseModel):
    """A tool of a kind that isn't run here (a server's search, a computer): left out, and named."""

    model_config = ConfigDict(extra="allow")

    type: str

    @property
    def warning(self) -> str:
        return f"the tool of type {self.type[:_LONGEST_NAME]!r} is left out: it can't be run here"


class LenientBody(BaseModel):
    """Parts of a conversation come back as other programs wrote them: what they added is passed over."""

    model_config = ConfigDict(extra="ignore")


class MediaPart(LenientBody):
    """A part of a tool's result that is no text. A result can't be taken back, and would end its conversation if it were
    refused: so the model is told what it can't see, and the client that it can't. Who asks by an image is refused."""

    type: str

    @property
    def text(self) -> str:
        return f"[{self.type}: left out, you read text only; say so if it matters]"

    @property
    def warning(self) -> str:
        return f"the {self.type} in a tool's result is left out: this model reads text only"


Temperature: TypeAlias = Annotated[float, _within("temperature")]
TopP: TypeAlias = Annotated[float, _within("top_p")]
TopK: TypeAlias = Annotated[int, _within("top_k")]
MinP: TypeAlias = Annotated[float, _within("min_p")]
Seed: TypeAlias = Annotated[int, _within("seed")]
RepetitionPenalty: TypeAlias = Annotated[float, _within("repetition_penalty")]
FrequencyPenalty: TypeAlias = Annotated[float, _within("frequency_penalty")]
PresencePenalty: TypeAlias = Annotated[float, _within("presence_penalty")]
TopLogprobs: TypeAlias = Annotated[int, _within("logprobs")]
LogitBias: TypeAlias = dict[
    Annotated[int, Field(ge=0)], Annotated[float, Field(ge=-MAX_BIAS, le=MAX_BIAS, allow_inf_nan=False)]
]
Choices: TypeAlias = Annotated[int, Field(ge=1, le=MAX_CHOICES)]
MaxTokens: TypeAlias = Annotated[int, Field(ge=1)]
# -1 is what peers' clients send for "as many as there is room for".
MaxTokensOrAll: TypeAlias = Annotated[MaxTokens | None, BeforeValidator(lambda given: None if given == -1 else given)]
# An empty text is what peers' clients send for "none".
GrammarText: TypeAlias = Annotated[str | None, BeforeValidator(lambda given: None if given == "" else given)]
Item = TypeVar("Item")
Tools: TypeAlias = Annotated[list[Item], Field(max_length=MAX_TOOLS)]
AdapterName: TypeAlias = Annotated[str, Field(min_length=1, max_length=64)]
ToolName: TypeAlias = Annotated[str, Field(min_length=1, max_length=128)]


def _check_stops(stop: Stops) -> Stops:
    stops: Sequence[str] = [stop] if isinstance(stop, str) else stop
    if len(stops) > MAX_STOPS:
        raise ValueError(f"at most {MAX_STOPS} stop strings")
    if "" in stops:
        raise ValueError("an empty stop string would stop everything")
    return stop


StopString: TypeAlias = Annotated[str | list[str], AfterValidator(_check_stops)]
StopStrings: TypeAlias = Annotated[list[str], AfterValidator(_check_stops)]
