"""What a question's run tells, as it happens. The loop yields them; who prints them is none of its business."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from portico_gateway.agent.citations import ConfirmedCitation
from portico_gateway.agent.judgement import Judgement
from portico_gateway.agent.rendered_results import RenderedResult

Limit: TypeAlias = Literal[
    "steps", "seconds", "tokens", "context", "repeats", "denied"
]  # what ended a question before the model did


@dataclass(frozen=True, slots=True)
class QuestionUnderstood:
    """A question that only makes sense after the one before it, and how it was completed."""

    asked: str
    understood: str


@dataclass(frozen=True, slots=True)
class ToolCallStarted:
    """The model has written a whole, valid call, and it is being run. `free`: paths of required arguments that nothing said
    fits, which a small model wrote by itself."""

    tool: str
    arguments: dict[str, Any]
    free: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolCallFinished:
    """The call's result, as it is shown; `error` where the call failed, `denied` where the policy or a person refused it."""

    tool: str
    arguments: dict[str, Any]
    result: RenderedResult
    seconds: float
    error: str | None = None
    denied: bool = False
    id: str = ""  # as the log of tool calls and feedback know it


@dataclass(frozen=True, slots=True)
class AnswerText:
    """A piece of the answer. What a small model quotes is told whole, once it is judged to be an answer; the free loop tells
    what its model says as it is written, and that may turn out to be what it says before a call."""

    text: str


@dataclass(frozen=True, slots=True)
class ThoughtText:
    """A piece of what the model thinks before it calls or answers."""

    text: str


@dataclass(frozen=True, slots=True)
class ConversationTrimmed:
    """The context was full: what was left out of it for the rest of this question."""

    results: int  # results of tools that were left out
    past_turns: int  # turns of the earlier conversation that were left out
    cut: int  # newest results that were shortened
    tokens_before: int
    tokens_after: int


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
    limit: Limit | None = None  # what ended it before the model did
    asked: str | None = None  # what was written, where `question` completes it


Event = QuestionUnderstood | ToolCallStarted | ToolCallFinished | AnswerText | ThoughtText | ConversationTrimmed | RunFinished
