"""What one question has used and found so far: the engine's figures, the calls. It decides nothing."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from portico_engine import Delta, EngineClient, FinishReason, Request, Usage
from portico_gateway.agent.events import RunMetrics, ToolCallFinished, ToolCallStarted
from portico_gateway.agent.rendered_results import RenderedResult
from portico_gateway.errors import GatewayError
from portico_gateway.guidance.question_readings import QuestionReading, Reading

CallTextListener = Callable[[str], None]


@dataclass(slots=True)
class QuestionRun:
    """The state of one question."""

    question: str
    asked: str | None = None  # what was written, where `question` completes it
    started: float = field(default_factory=time.perf_counter)
    first_token: float | None = None
    usage: list[Usage] = field(default_factory=list)
    tool_calls: list[ToolCallFinished] = field(default_factory=list)
    said: str | None = None  # of a part, what the question says of it itself: the rest comes from an earlier part
    call_logprobs: list[float] = field(default_factory=list)  # of each call that the model wrote, under its prior
    on_call_text: CallTextListener | None = None  # hears a call as it is decoded
    readings: dict[str, Reading] = field(default_factory=dict)  # by tool, how its server reads the question

    @property
    def found(self) -> bool:
        return any(call.result.found for call in self.tool_calls)

    def proposal(self, tool: str) -> QuestionReading | None:
        """The call that the tool's server reads in the question."""
        reading = self.readings.get(tool)
        return reading if isinstance(reading, QuestionReading) else None

    def tell_call_text(self, text: str) -> None:
        """A piece of a call that is being decoded."""
        if self.on_call_text is not None and text:
            self.on_call_text(text)

    def take(self, part: QuestionRun) -> None:
        """What a part of the question has used and found, too."""
        self.first_token = self.first_token or part.first_token
        self.usage.extend(part.usage)
        self.tool_calls.extend(part.tool_calls)
        self.call_logprobs.extend(part.call_logprobs)

    def refused(self, call: ToolCallStarted, error: str) -> ToolCallFinished:
        """A call that was never run."""
        finished = ToolCallFinished(call.tool, call.arguments, RenderedResult("", False), 0.0, error)
        self.tool_calls.append(finished)
        return finished

    async def generate(self, engine: EngineClient, request: Request) -> AsyncGenerator[Delta, None]:
        """The engine's deltas, counted. Raises GatewayError where the engine fails."""
        async with aclosing(engine.generate(request)) as deltas:  # closing aborts it, at once
            async for delta in deltas:
                if self.first_token is None and delta.tokens:
                    self.first_token = time.perf_counter()
                if delta.usage:
                    self.usage.append(delta.usage)
                if delta.finish_reason is FinishReason.ERROR:
                    raise GatewayError(f"the model engine failed: {delta.error or 'no reason given'}")
                yield delta

    def metrics(self) -> RunMetrics:
        total = time.perf_counter() - self.started
        completion = sum(u.completion_tokens for u in self.usage)
        decode = sum(u.decode_seconds for u in self.usage)
        return RunMetrics(
            time_to_first_token=(self.first_token or time.perf_counter()) - self.started,
            tokens_per_second=completion / decode if decode else 0.0,
            forced_share=sum(u.forced_tokens for u in self.usage) / completion if completion else 0.0,
            tool_seconds=sum(call.seconds for call in self.tool_calls),
            total_seconds=total,
            prompt_tokens=sum(u.prompt_tokens for u in self.usage),
            cached_tokens=sum(u.cached_tokens for u in self.usage),
            completion_tokens=completion,
            sampled_steps=sum(u.sampled_steps for u in self.usage),
        )
