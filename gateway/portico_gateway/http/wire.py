"""What the wire schemas of all APIs are made of: bodies, and the fields whose bounds are the engine's or this server's.

A body owns its API's field names, and pydantic's errors name them. It knows no API.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from portico_engine import SAMPLING_RANGES

Json: TypeAlias = dict[str, Any]  # an object as it is sent
MAX_STOPS = 16
MAX_TOOLS = 1024  # OpenAI's takes 128; a grammar of as many compiles in a third of a second
MAX_BIAS = 100.0  # OpenAI's reference; logits are sums of 32 bits, which 1e308 is not
Stops = TypeVar("Stops", bound="str | list[str]")


class StrictBody(BaseModel):
    """What isn't known is an error."""

    model_config = ConfigDict(extra="forbid")


class LenientBody(BaseModel):
    """Parts of a conversation come back as other programs wrote them: what they added is passed over."""

    model_config = ConfigDict(extra="ignore")


def _within(parameter: str) -> Any:
    """The bounds of one of the engine's sampling parameters."""
    allowed = SAMPLING_RANGES[parameter]
    if allowed.open_minimum:
        return Field(gt=allowed.minimum, le=allowed.maximum, allow_inf_nan=False)
    return Field(ge=allowed.minimum, le=allowed.maximum, allow_inf_nan=False)


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
MaxTokens: TypeAlias = Annotated[int, Field(ge=1)]
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
