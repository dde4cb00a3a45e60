"""Which words of a question are accounted for: by the calls that were made, or by the place where the chosen answer stands.

A number, a name and a quoted string must be there as such; any other word also counts where something of its sense is. A
search's query that repeats the question accounts for nothing: what it found must. It knows no tool, and no verdict.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from portico_gateway.agent.judgement import Coverage
from portico_gateway.guidance.description_convention import StringRole, string_role
from portico_gateway.guidance.question import Question, Token, Value
from portico_gateway.guidance.stemming import spaced, stems_of
from portico_gateway.guidance.tool_retrieval import TextEmbedding
from portico_gateway.guidance.weights import DEFAULT_WEIGHTS, CoverageWeights

MAX_SENSES = 400  # words of a place that a question's word is compared with


@dataclass(frozen=True, slots=True)
class Evidence:
    """What may account for words: texts that are there as they stand, and the names of what was called."""

    texts: tuple[str, ...]  # arguments, passages, titles, paths, columns, cells
    names: tuple[str, ...] = ()  # of tools, keys and options


def covered(
    question: Question, evidence: Evidence, embed: TextEmbedding, weights: CoverageWeights = DEFAULT_WEIGHTS.coverage
) -> Coverage:
    """The question's words, divided. A value of several words is one."""
    text = "\n".join((*evidence.texts, *map(spaced, evidence.names)))
    known = set(stems_of(text)) | set(stems_of(spaced(text)))
    used: dict[str, bool] = {}
    for unit in units(question):
        used[unit.text] = used.get(unit.text, False) or (
            _is_there(unit, text, known) if unit.exact else bool(set(stems_of(unit.text)) & known)
        )
    open_words = [unit.text for unit in units(question) if not used[unit.text] and not unit.exact]
    for word in _by_sense(open_words, text, embed, weights.sense):
        used[word] = True
    return Coverage(tuple(w for w, yes in used.items() if yes), tuple(w for w, yes in used.items() if not yes))


@dataclass(frozen=True, slots=True)
class Unit:
    """A word that matters, or a value; `exact`: it must be there as such."""

    text: str
    exact: bool


def units(question: Question) -> Iterator[Unit]:
    """The words of a question that matter, and its values, in order."""
    inside = {i: value for value in question.values for i in range(value.first, value.last + 1)}
    told: set[Value] = set()
    for i, token in enumerate(question.tokens):
        value = inside.get(i)
        if value is None:
            if _matters(token):
                yield Unit(token.text, bool(re.search(r"\d|_|[a-z][A-Z]", token.text)))
        elif value not in told:
            told.add(value)
            yield Unit(value.text, True)


def _matters(token: Token) -> bool:
    return not token.function and (bool(stems_of(token.text)) or not token.text.isascii())


def _is_there(unit: Unit, text: str, known: set[str]) -> bool:
    """A number by its value, anything else by its words."""
    if re.fullmatch(r"-?\d+(\.\d+)?", unit.text):
        written = rf"(?<![\d.]){re.escape(unit.text)}(?![\d])"
        return re.search(written, text.replace(",", "")) is not None
    if unit.text.lower() in text.lower():
        return True
    if re.search(r"_|[a-z][A-Z]", unit.text):  # an identifier, however it is written
        return re.sub(r"[\W_]", "", unit.text).lower() in re.sub(r"[_-]", "", text).lower()
    stems = set(stems_of(unit.text)) | set(stems_of(spaced(unit.text)))
    return bool(stems) and stems <= known


def _by_sense(words: Sequence[str], text: str, embed: TextEmbedding, least: float) -> list[str]:
    """Those of the words that some word of the text is near to."""
    senses = list(dict.fromkeys(w.lower() for w in re.findall(r"[A-Za-z]{3,}", spaced(text))))[:MAX_SENSES]
    if not words or not senses:
        return []
    vectors = embed([*words, *senses])
    near = vectors[: len(words)] @ vectors[len(words) :].T
    return [word for word, best in zip(words, near.max(axis=1).tolist(), strict=True) if best >= least]


def argument_texts(arguments: Mapping[str, Any]) -> Iterator[str]:
    """The keys and values of a call that say something of their own: no search's query."""
    for key, value in arguments.items():
        if isinstance(value, str) and string_role(key) is StringRole.QUERY:
            continue
        yield key
        yield from _leaves(value)


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key)
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    elif value is not None:
        yield str(value)
