"""A conversation as values: what was asked, what the model wrote, what its calls came to. It knows no template."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

ID_LENGTH = 9  # letters and digits: what the strictest templates take


@dataclass(frozen=True, slots=True)
class UserTurn:
    """What a person wrote. `past`: before this question, so that it may be left out where room is short."""

    text: str
    past: bool = False


@dataclass(frozen=True, slots=True)
class WrittenCall:
    """A call as the model wrote it. `id` ties its result to it. `problem`: why it can't be made, where it is no whole call."""

    name: str
    arguments: dict[str, Any]
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:ID_LENGTH])
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ModelTurn:
    """What the model wrote: an answer, or calls with what it said and thought before them."""

    text: str = ""
    thought: str = ""
    calls: tuple[WrittenCall, ...] = ()
    past: bool = False


@dataclass(frozen=True, slots=True)
class ResultTurn:
    """What one call came to, as the model reads it."""

    call: WrittenCall
    text: str
    note: str = ""  # the loop's own words behind it
    left_out: bool = False  # its text was replaced to save room
    past: bool = False

    @property
    def shown(self) -> str:
        return f"{self.text}\n\n{self.note}" if self.note else self.text


Turn: TypeAlias = UserTurn | ModelTurn | ResultTurn


def past_turns(messages: Sequence[Mapping[str, str]]) -> list[Turn]:
    """An earlier conversation, as it is."""
    return [
        UserTurn(message["content"], past=True)
        if message["role"] == "user"
        else ModelTurn(message["content"], past=True)
        for message in messages
    ]  # fmt: skip


def as_past(turns: Sequence[Turn]) -> list[Turn]:
    """The turns of a question that has its answer."""
    return [replace(turn, past=True) for turn in turns]


def noted(turns: Sequence[Turn], note: str) -> list[Turn]:
    """The turns, with a note to the model behind the last of them. It makes no turn of its own: many templates take users' and
    the model's turns only one after the other."""
    *before, last = turns
    match last:
        case ResultTurn():
            return [*before, replace(last, note=f"{last.note}\n{note}".strip())]
        case UserTurn():
            return [*before, replace(last, text=f"{last.text}\n\n{note}")]
        case ModelTurn():
            return [*turns, UserTurn(note)]
