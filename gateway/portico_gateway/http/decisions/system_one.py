"""Body and answer of POST /v1/systemone: a state, questions by name, and their answers under the same names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from portico_gateway.http.decisions.calibration import confidence
from portico_gateway.http.decisions.decide import NOT_CALIBRATED, Decided
from portico_gateway.http.decisions.openai_body import MAX_CHOICES, MAX_QUESTIONS
from portico_gateway.http.decisions.question import StateQuestion, choice, predicate, score
from portico_gateway.http.json_text import json_text
from portico_gateway.http.wire import ApiBody, Json, StrictBody

_MOST_LEVELS = 10  # as the protocol has it


class TruthCriteria(StrictBody):
    """What it means that a statement holds, and that it doesn't."""

    true: str = ""
    false: str = ""


class NoulQuestion(StrictBody):
    """Does a statement hold? The protocol calls this a noul."""

    type: Literal["noul"]
    instructions: Annotated[str, Field(min_length=1)]
    criteria: TruthCriteria | None = None

    def question(self) -> StateQuestion:
        meant = self.criteria or TruthCriteria()
        return predicate(self.instructions, meant.true, meant.false)

    def answer(self, probabilities: tuple[float, ...]) -> Json:
        return {"type": "noul", "noul": probabilities[0]}


class NamedOptionsQuestion(StrictBody):
    """Which option is it? By name, each with what it means."""

    type: Literal["choice"]
    instructions: Annotated[str, Field(min_length=1)]
    criteria: dict[Annotated[str, Field(min_length=1)], str | None] = Field(min_length=2, max_length=MAX_CHOICES)

    def question(self) -> StateQuestion:
        return choice(self.instructions, [*self.criteria], [each or "" for each in self.criteria.values()])

    def answer(self, probabilities: tuple[float, ...]) -> Json:
        found = dict(zip(self.criteria, probabilities, strict=True))
        best = max(found, key=found.__getitem__)
        return {"type": "choice", "choice": best, "probabilities": found, "confidence": confidence(probabilities)}


class RubricQuestion(StrictBody):
    """Which level is it? From the lowest up, each by what it means."""

    type: Literal["score"]
    instructions: Annotated[str, Field(min_length=1)]
    criteria: list[Annotated[str, Field(min_length=1)]] = Field(min_length=2, max_length=_MOST_LEVELS)

    def question(self) -> StateQuestion:
        return score(self.instructions, self.criteria)

    def answer(self, probabilities: tuple[float, ...]) -> Json:
        return {
            "type": "score",
            "score": sum(level * p for level, p in enumerate(probabilities)),
            "legend": {str(level): text for level, text in enumerate(self.criteria)},
            "probabilities": {str(level): p for level, p in enumerate(probabilities)},
            "confidence": confidence(probabilities),
        }


def _no_images(images: list[str] | None) -> list[str] | None:
    if images:
        raise ValueError("this model takes text only; leave images out")
    return images


class SystemOneRequest(ApiBody):
    """Questions about one state."""

    WITHOUT_EFFECT = frozenset({"keep_alive"})

    model: str | None = None
    state: str | dict[str, Any] | list[Any]
    questions: dict[
        Annotated[str, Field(min_length=1)],
        Annotated[NoulQuestion | NamedOptionsQuestion | RubricQuestion, Field(discriminator="type")],
    ] = Field(min_length=1, max_length=MAX_QUESTIONS)
    images: Annotated[list[str] | None, AfterValidator(_no_images)] = None

    @model_validator(mode="after")
    def _says_something(self) -> SystemOneRequest:
        if not self.state:
            raise ValueError("the state is empty")
        return self

    @property
    def state_text(self) -> str:
        """The state as the model reads it: a text as it is, texts one below the other, anything else as JSON."""
        match self.state:
            case str(text):
                return text
            case list(parts) if all(isinstance(part, str) for part in parts):
                return "\n".join(parts)
            case other:
                return json_text(other)

    def answer(self, model: str, decided: Decided, warnings: Sequence[str]) -> Json:
        """The answers under the questions' names."""
        said = [*warnings, *([] if decided.is_calibrated else [NOT_CALIBRATED])]
        pairs = zip(self.questions.items(), decided.probabilities, strict=True)
        return {
            "model": model,
            "answers": {name: question.answer(found) for (name, question), found in pairs},
            "usage": {"input_tokens": decided.input_tokens, "output_tokens": 0},
            **({"warnings": said} if said else {}),
        }
