"""The body of POST /v1/completions, as OpenAI's reference defines it, and `grammar`, `top_k`, `min_p` as peers do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, TypeAlias

from pydantic import Field, model_validator

from portico_gateway.http.generation.request import FieldNames, GenerationRequest, SamplingOptions
from portico_gateway.http.openai_shared.body import StreamOptions
from portico_gateway.http.wire import (
    MAX_CHOICES,
    AdapterName,
    Choices,
    FrequencyPenalty,
    GrammarText,
    LogitBias,
    MaxTokens,
    MinP,
    PresencePenalty,
    RepetitionPenalty,
    SamplingBody,
    Seed,
    StopString,
    Temperature,
    TopK,
    TopLogprobs,
    TopP,
)

_FIELDS = FieldNames(messages="prompt", max_tokens="max_tokens", response_format="response_format")
_DEFAULT_TOKENS = 16  # OpenAI's
_Tokens: TypeAlias = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]


class CompletionRequest(SamplingBody):
    """A text to go on from. None is "not given"."""

    WITHOUT_EFFECT = frozenset({"user", "service_tier", "store"})

    model: str
    adapter: AdapterName | None = None
    prompt: str | _Tokens | Annotated[list[str] | list[_Tokens], Field(min_length=1, max_length=MAX_CHOICES)]
    grammar: GrammarText = Field(default=None, description="GBNF text that the answer follows")
    temperature: Temperature | None = None
    top_p: TopP | None = None
    top_k: TopK | None = None
    min_p: MinP | None = None
    seed: Seed | None = None
    frequency_penalty: FrequencyPenalty | None = None
    presence_penalty: PresencePenalty | None = None
    repetition_penalty: RepetitionPenalty | None = None
    logit_bias: LogitBias | None = None
    logprobs: TopLogprobs | None = None
    stop: StopString | None = None
    max_tokens: MaxTokens | None = None
    n: Choices | None = None
    best_of: Choices | None = None
    echo: bool = False
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> CompletionRequest:
        if self.best_of not in (None, self.n or 1):
            raise ValueError("best_of must be what n is: every answer is returned; leave it out")
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options needs stream: true")
        if len(list(self.prompts())) * (self.n or 1) > MAX_CHOICES:
            raise ValueError(f"prompts times n is at most {MAX_CHOICES}: send fewer prompts at once")
        return self

    def prompts(self) -> Iterator[str | tuple[int, ...]]:
        """Each of them: a text, or tokens."""
        if isinstance(self.prompt, str):
            yield self.prompt
        elif isinstance(self.prompt[0], int):
            yield tuple(each for each in self.prompt if isinstance(each, int))
        else:
            for each in self.prompt:
                yield each if isinstance(each, str) else tuple(each if isinstance(each, list) else ())

    def to_generation(self, prompt: str | tuple[int, ...]) -> GenerationRequest:
        """What is asked of one of the prompts. Raises ApiError where the parts don't fit together."""
        return GenerationRequest(
            model=self.model,
            adapter=self.adapter,
            turns=(),
            prompt=prompt,
            fields=_FIELDS,
            grammar=self.grammar,
            sampling=SamplingOptions(
                temperature=self.temperature,
                top_p=self.top_p,
                top_k=self.top_k,
                min_p=self.min_p,
                seed=self.seed,
                frequency_penalty=self.frequency_penalty,
                presence_penalty=self.presence_penalty,
                repetition_penalty=self.repetition_penalty,
                logit_bias=tuple((self.logit_bias or {}).items()),
                **self.more_sampling(),
                logprobs=self.logprobs,
            ),
            max_tokens=self.max_tokens or _DEFAULT_TOKENS,
            stop=tuple([self.stop] if isinstance(self.stop, str) else self.stop or ()),
            warnings=tuple(self.passed_over()),
        )
