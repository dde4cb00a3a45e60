"""A question with its possible answers, in no API's words, and how it is put to the model. It knows neither tokens nor HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["predicate", "choice", "score"]
YES, NO = "Yes", "No"
INSTRUCTIONS = "Read the text, then answer the question about it with nothing but one of the answers that it names."
NO_TEXT = "N/A"  # a state that says nothing: how likely answers are behind it is what the model thinks of them by themselves


@dataclass(frozen=True, slots=True)
class Option:
    """One possible answer: `text` is what the model would write, `description` what it means."""

    text: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class StateQuestion:
    """What is asked of a state. The options of a score are its levels, from the lowest up."""

    kind: Kind
    instructions: str
    options: tuple[Option, ...]

    @property
    def text(self) -> str:
        """As the model reads it."""
        asked = self.instructions.strip()
        lines = [
            f"- {option.text}: {option.description}" if option.description else f"- {option.text}" for option in self.options
        ]
        match self.kind:
            case "predicate":
                meant = lines if any(option.description for option in self.options) else []
                return "\n".join([f"Is this true of the text? {asked}", *meant, f"Answer {YES} or {NO}."])
            case "choice":
                return "\n".join([asked, "Answer with one of:", *lines])
            case "score":
                return "\n".join([asked, "Answer with the number of a level, from the lowest to the highest:", *lines])


def predicate(instructions: str, when_true: str = "", when_false: str = "") -> StateQuestion:
    """Is it true of the state?"""
    return StateQuestion("predicate", instructions, (Option(YES, when_true), Option(NO, when_false)))


def choice(instructions: str, values: Sequence[str | bool], descriptions: Sequence[str]) -> StateQuestion:
    """Which of the values is it? A text that reads as one of the booleans is written in quotes, so that the two differ."""
    booleans = {_spelled(value) for value in values if isinstance(value, bool)}
    texts = [f'"{value}"' if isinstance(value, str) and value in booleans else _spelled(value) for value in values]
    return StateQuestion("choice", instructions, tuple(map(Option, texts, descriptions)))


def score(instructions: str, levels: Sequence[str]) -> StateQuestion:
    """Which of the levels, by its number from 0 on?"""
    return StateQuestion("score", instructions, tuple(Option(str(number), level) for number, level in enumerate(levels)))


def _spelled(value: str | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else value
