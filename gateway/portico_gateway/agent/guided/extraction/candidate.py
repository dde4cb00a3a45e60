"""AnswerCandidate: a text that may be printed as the answer, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass

from portico_gateway.agent.citations import Citation

MAX_CHARACTERS = 280  # of one


@dataclass(frozen=True, slots=True)
class AnswerCandidate:
    """A text that may be printed as the answer; `citation` where it stands, if the result says."""

    text: str
    citation: Citation | None = None
    weight: float | None = None  # nats, as its reader weighs it; None: by its words alone
    found: float | None = None  # the share of the question's words, by rarity, that its place has; None: not measured
    fit: float | None = None  # whether it is what kind of thing is asked for, 0 to 1; None: not measured


def shortened(text: str) -> str:
    """At most MAX_CHARACTERS, cut between words, and marked."""
    return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 1].rsplit(" ", 1)[0] + "…"
