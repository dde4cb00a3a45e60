"""What is thought of an answer before it is given: its verdict, the question's words that it used, how sure it is.

It holds values alone. How a guided answer is judged is `guided/verdict.py`'s; what a verdict looks like, and its exit code, are
the command line's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Verdict(StrEnum):
    """How a question ended. Only `ANSWERED` gives an answer."""

    ANSWERED = "answered"
    NO_ANSWER = "no answer"  # something was found, and it is not sure to be what was asked for
    NOT_FOUND = "not found"  # nothing was found
    DENIED = "denied"  # a call that was needed was refused


@dataclass(frozen=True, slots=True)
class Coverage:
    """The question's words that matter: those accounted for by the calls or the answer's place, and the others."""

    used: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """Of all words, how many were used: 0 to 1."""
        every = len(self.used) + len(self.unused)
        return len(self.used) / every if every else 1.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was found that may be near to what was asked for."""

    label: str  # "" where the result names none
    text: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict, and what it stands on."""

    verdict: Verdict
    coverage: Coverage = Coverage()
    confidence: float | None = None  # that the answer is right, 0 to 1; None where nothing was measured
    reasons: tuple[str, ...] = ()  # why there is no answer, for a person
    nearest: tuple[Place, ...] = ()  # where there is no answer: what came nearest
    incomplete: tuple[str, ...] = ()  # what was searched only in part, and how far
    draft: str = ""  # the answer that is given, or would have been
    features: Mapping[str, float] = field(default_factory=dict)  # what the confidence was made from

    @property
    def answered(self) -> bool:
        return self.verdict is Verdict.ANSWERED
