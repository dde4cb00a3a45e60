"""The body of OpenAI's POST /v1/decisions, and what it asks as a state and questions.

The input is text for the model to read, whoever's turn it was: its turns become a transcript, and none of them an instruction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StrictBool, StrictStr, Tag, model_validator

from portico_gateway.http.decisions.question import StateQuestion, choice, predicate, score
from portico_gateway.http.json_text import json_text
from portico_gateway.http.wire import ApiBody, LenientBody, StrictBody

MAX_QUESTIONS = 400
MAX_CHOICES = 255
MAX_LEVELS = 100


class TextPart(LenientBody):
    type: Literal["input_text", "output_text"]
    text: str


class RefusalPart(LenientBody):
    type: Literal["refusal"]
    refusal: str

    @property
    def text(self) -> str:
        return self.refusal


class JsonPart(LenientBody):
    """A JSON object, or a list of them."""

    type: Literal["input_json"]
    data: dict[str, Any] | list[dict[str, Any]]

    @property
    def text(self) -> str:
        return json_text(self.data)


InputPart = Annotated[TextPart | RefusalPart | JsonPart, Field(discriminator="type")]


def _text(content: str | list[Any]) -> str:
    return content if isinstance(content, str) else "\n".join(part.text for part in content)


class DecisionMessage(LenientBody):
    type: Literal["message"] = "message"
    role: Literal["user", "developer", "system", "assistant"]
    content: str | list[InputPart]

    @property
    def text(self) -> str:
        return f"{self.role}: {_text(self.content)}"


class DecisionCall(LenientBody):
    """A call of a tool, whose output may follow."""

    type: Literal["function_call", "custom_tool_call"]
    call_id: str
    name: str
    arguments: str = ""
    input: str = ""

    @property
    def text(self) -> str:
        return f"call of {self.name}: {self.arguments or self.input}"


class DecisionCallOutput(LenientBody):
    type: Literal["function_call_output", "custom_tool_call_output"]
    call_id: str
    output: str | list[InputPart]

    @property
    def text(self) -> str:
        return f"result: {_text(self.output)}"


def _kind(item: Any) -> str | None:
    kind = item.get("type", "message") if isinstance(item, dict) else getattr(item, "type", None)
    return {"custom_tool_call": "function_call", "custom_tool_call_output": "function_call_output"}.get(str(kind), kind)


DecisionItem = Annotated[
    Annotated[DecisionMessage, Tag("message")]
    | Annotated[DecisionCall, Tag("function_call")]
    | Annotated[DecisionCallOutput, Tag("function_call_output")],
    Discriminator(_kind),
]


class _Asked(StrictBody):
    """What every question has. A field more would change the answer, and can't: it is an error."""

    instructions: Annotated[str | list[InputPart], Field(min_length=1)]
    name: str | None = None

    @property
    def asked(self) -> str:
        return _text(self.instructions)


class PredicateQuestion(_Asked):
    type: Literal["predicate"]

    def question(self) -> StateQuestion:
        return predicate(self.asked)


class Choice(StrictBody):
    value: Annotated[StrictStr, Field(min_length=1)] | StrictBool
    description: str | None = None


class ChoiceQuestion(_Asked):
    type: Literal["choice"]
    choices: list[Choice] = Field(min_length=2, max_length=MAX_CHOICES)

    @model_validator(mode="after")
    def _differ(self) -> ChoiceQuestion:
        times = Counter((type(each.value), each.value) for each in self.choices)
        if twice := next((value for (_, value), count in times.items() if count > 1), None):
            raise ValueError(f"the choice {twice!r} is there twice; choices must differ")
        return self

    def question(self) -> StateQuestion:
        return choice(self.asked, [each.value for each in self.choices], [each.description or "" for each in self.choices])


class Level(StrictBody):
    label: Annotated[str, Field(min_length=1)]
    description: str | None = None

    @property
    def text(self) -> str:
        return f"{self.label} ({self.description})" if self.description else self.label


class ScoreQuestion(_Asked):
    type: Literal["score"]
    levels: list[Level] = Field(min_length=2, max_length=MAX_LEVELS)

    def question(self) -> StateQuestion:
        return score(self.asked, [each.text for each in self.levels])


DecisionQuestion = Annotated[PredicateQuestion | ChoiceQuestion | ScoreQuestion, Field(discriminator="type")]


class DecisionRequest(ApiBody):
    """Questions about one input."""

    WITHOUT_EFFECT = frozenset({"safety_identifier"})

    model: str
    input: Annotated[str | list[DecisionItem], Field(min_length=1)]
    questions: list[DecisionQuestion] = Field(min_length=1, max_length=MAX_QUESTIONS)

    @model_validator(mode="after")
    def _outputs_have_calls(self) -> DecisionRequest:
        called: set[str] = set()
        for item in () if isinstance(self.input, str) else self.input:
            if isinstance(item, DecisionCall):
                called.add(item.call_id)
            elif isinstance(item, DecisionCallOutput) and item.call_id not in called:
                raise ValueError(f"input: an output names the call {item.call_id[:80]!r}, and no call before it has that id")
        return self

    @property
    def state(self) -> str:
        """The input as the model reads it."""
        return self.input if isinstance(self.input, str) else "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        assert not isinstance(self.input, str)
        only = len(self.input) == 1
        for item in self.input:
            yield _text(item.content) if only and isinstance(item, DecisionMessage) else item.text
