"""AnswerCandidate: a text that may be printed as the answer, where it stands, and what speaks for it."""

from __future__ import annotations

from dataclasses import dataclass

from portico_gateway.agent.citations import Citation
from portico_gateway.agent.guided.extraction.source_code.constants import OpenConstant

MAX_CHARACTERS = 280  # of one, but of documents, which know where they may be cut


@dataclass(frozen=True, slots=True)
class PassageFeatures:
    """How well a passage of a document answers, each between 0 and 1. A word of the question counts by how rare it is."""

    focus_words: float  # of the question's words, those that the focus has,
    text_words: float  # that the text has,
    context_words: float  # that the text, the headings or the lead have
    topic: float  # of the innermost name's words, those that the question has
    pairs: float  # of the question's neighbouring words, those near each other in the text
    identifiers: float  # of the names that the question spells, those that the text or its headings have
    similar: float  # cosine of the question and the focus under its headings
    similar_focus: float  # cosine of the question and the focus
    kind: float  # of the kinds of answer that are asked for, those that the focus has
    kind_text: float  # and the text
    prose: float  # 1 where it is told to its end, and in words unless an example is asked for
    rank: float  # 1 for the first hit, less for each further
    history: float = 0.0  # 1 where it tells what changed in a version, and nobody asks for that


@dataclass(frozen=True, slots=True)
class AnswerCandidate:
    """A text that may be printed as the answer; `citation` where it stands, if the result says.

    Of a document, `focus` is the sentence, item, row, name or code within the text that is meant, `context` the headings and
    the lead that it stands under, `topic` the innermost name, `code` whether it is code, and `rank` its hit's place among the
    hits; `features` are there once it was compared with a question.
    """

    text: str
    citation: Citation | None = None
    focus: str = ""
    context: str = ""
    topic: tuple[str, ...] = ()
    rank: int = 0
    code: bool = False
    features: PassageFeatures | None = None
    weight: float | None = None  # nats, as its reader weighs it; None: by its words alone
    found: float | None = None  # the share of the question's words, by rarity, that its place has; None: not measured
    fit: float | None = None  # whether it is what kind of thing is asked for, 0 to 1; None: not measured
    constants: tuple[OpenConstant, ...] = ()  # that its place gives as values, and no file read with it defines
    lacks_value: bool = False  # it shows no value of the type that is asked for
    short: str = ""  # what is printed of it behind another one; "" where that is the text


def is_source(candidate: AnswerCandidate | None) -> bool:
    """Is it a place in a source file, measured as one?"""
    return candidate is not None and candidate.found is not None and candidate.features is None


def shortened(text: str) -> str:
    """At most MAX_CHARACTERS, cut between words, and marked."""
    return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 1].rsplit(" ", 1)[0] + "…"
