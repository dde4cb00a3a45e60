"""What a question's run tells, as it happens. The loop yields them; who prints them is none of its business."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from portico_gateway.agent.citations import ConfirmedCitation
from portico_gateway.agent.judgement import Judgement
from portico_gateway.agent.rendered_results import RenderedResult


@dataclass(frozen=True, slots=True)
class ToolCallStarted:
    """The model has written a whole, valid call, and it is being run."""

    tool: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ToolCallFinished:
    """The call's result, as it is shown; `error` where the call failed, `denied` where the policy or a person refused it."""

    tool: str
    arguments: dict[str, Any]
    result: RenderedResult
    seconds: float
    error: str | None = None
    denied: bool = False


@dataclass(frozen=True, slots=True)
class AnswerText:
    """A piece of the answer. What a small model quotes is told whole, once it is judged to be an answer."""

    text: str


@dataclass(frozen=True, slots=True)
class RunMetrics:
    """How fast it was. Times are seconds from the question."""

    time_to_first_token: float
    tokens_per_second: float
    forced_share: float
    tool_seconds: float
    total_seconds: float
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    sampled_steps: int


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The end of a question: everything that `--json` prints. `answer` is empty where the verdict gives none; `found`: some
    call found something, whether or not it answers."""

    question: str
    answer: str
    found: bool
    tool_calls: tuple[ToolCallFinished, ...]
    citations: tuple[ConfirmedCitation, ...]
    metrics: RunMetrics
    judgement: Judgement


Event = ToolCallStarted | ToolCallFinished | AnswerText | RunFinished
