"""How a tool's own server reads a question: as a call of the tool, or as the places that the question leads to.

A server that knows its data better than a schema can say offers it to the gateway that started it (`_meta`, never to hosts). It
is a proposal: a call is checked against what the tool takes, and made under policy, as any other.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

log = logging.getLogger(__name__)

_MOST_PLACES = 8


@dataclass(frozen=True, slots=True)
class QuestionReading:
    """One call that answers the question as its server understands it."""

    arguments: Mapping[str, Any]
    schema: Mapping[str, Any]  # the tool's input schema, narrowed to what the question leaves open
    used: tuple[str, ...]  # the question's words that the call accounts for, as they stand
    unused: tuple[str, ...]  # those that matter, and that it does nothing with
    empty: bool = False  # where the call finds nothing, that there is none is the answer

    @property
    def share(self) -> float:
        """Of the words, how many are used: 0 to 1."""
        return len(self.used) / max(1, len(self.used) + len(self.unused))


@dataclass(frozen=True, slots=True)
class FoundPlace:
    """A place that a search leads to: what it is called, under its file or page, and its text."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class FoundPlaces:
    """Where a question leads, best first; nowhere, where its server makes nothing of it."""

    places: tuple[FoundPlace, ...]


Reading: TypeAlias = QuestionReading | FoundPlaces
Readings: TypeAlias = Mapping[str, Reading]  # by tool


def question_reading(text: str) -> Reading | None:
    """A server's JSON as a reading; None where it can't say, or says something else."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, Mapping):
        return None
    if isinstance(data.get("places"), list):
        return _places(data)
    if not isinstance(data.get("arguments"), Mapping):
        return None
    schema = data.get("schema")
    if not isinstance(schema, Mapping):
        log.warning("a server's reading of a question has no schema")
        return None
    used, unused = (tuple(map(str, words)) if isinstance(words := data.get(key), list) else () for key in ("used", "unused"))
    return QuestionReading(data["arguments"], schema, used, unused, data.get("empty") is True)


def _places(data: Mapping[str, Any]) -> FoundPlaces:
    told = [each for each in data["places"][:_MOST_PLACES] if isinstance(each, Mapping)]
    return FoundPlaces(tuple(FoundPlace(str(each.get("name", "")), str(each.get("text", ""))) for each in told))
