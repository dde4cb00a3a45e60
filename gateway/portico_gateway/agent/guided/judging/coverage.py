"""Which words of a question are accounted for: by the calls that were made, or by the place where the chosen answer stands.

A number, a name and a quoted string must be there as such; any other word also counts where something of its sense is. A
search's query that repeats the question accounts for nothing: what it found must. It knows no tool, and no verdict.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from portico_gateway.agent.guided.questions.answer_type import asks_for_one
from portico_gateway.agent.judgement import Coverage
from portico_gateway.guidance.description_convention import ROOM, THE_KEY, Phrase, StringRole, string_role, trigger_phrases
from portico_gateway.guidance.question import Question, Token, Value, phrase_at
from portico_gateway.guidance.stemming import spaced, stems_of
from portico_gateway.guidance.tool_retrieval import TextEmbedding
from portico_gateway.guidance.weights import DEFAULT_WEIGHTS, CoverageWeights

_FILLERS = frozenset(
    "tell show say says said know like liked want wants need look looking take go goes mean means just exactly only else also "
    "actually still been am if into anything something somebody someone could would should about called named another other "
    "thing things kind sort way please altogether overall lot ok okay hi hello thanks very really well then than there up per "
    "while does at all it's what's where's who's there's that's i'd i'm i'll don't doesn't can't isn't".split()
)
SHORTEST_STEM = 4  # letters of a stem that another form of it begins with,
LONGEST_ENDING = 2  # and of what may follow
_NUMBERED = re.compile(r"[A-Za-z]+[/._-]?\d{1,2}")  # a name of which only the number tells it from its like
_PASSED = re.compile(r"\w\(([^()]*)\)")
_PASSING = re.compile(
    r"\b(?:pass(?:es|ed|ing)?|hand(?:s|ed|ing)?|feed(?:s|ing)?|fed|giv(?:e|es|ing)|gave)\s+(?:(?:it|in|them)\s+)?(\d[\d.]*)\b",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"\b(?:does|do|is|are|will|can)(?:n['’]t|\s+not)\s+(?:handle|support|provide|follow|include|implement|offer|have|perform)\b[^.;]*",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?:[^.?!]|[.?!](?![\"'”]?\s|[\"'”]?$))+[.?!]*[\"'”]?\s*")
_ASKING = re.compile(
    r"\?\s*$|^\W*(?:and\s+)?(?:which|what|who|whose|when|where|why|how|in\s+which|is|are|does|do|did|can|tell|name|give|list|find|"
    r"show|say|exception|i need)\b",
    re.IGNORECASE,
)
_CALLED = re.compile(r"([A-Za-z_]\w*)\(")
_LEAVES_OUT = re.compile(r"(?:not|excluded?|excluding|except|without|ignored?|skip)(?=[_A-Z-]|$)")  # `not_contains`
MAX_SENSES = 400  # words of a place that a question's word is compared with


@dataclass(frozen=True, slots=True)
class Evidence:
    """What may account for words: texts that are there as they stand, names of what was called, what people say for that."""

    texts: tuple[str, ...]  # arguments, passages, titles, paths, columns, cells
    names: tuple[str, ...] = ()  # of tools
    phrases: tuple[Phrase, ...] = ()


def covered(
    question: Question, evidence: Evidence, embed: TextEmbedding, weights: CoverageWeights = DEFAULT_WEIGHTS.coverage
) -> Coverage:
    """The question's words, divided. A value of several words is one."""
    text = "\n".join((*evidence.texts, *map(spaced, evidence.names)))
    if asks_for_one(question):
        text = without_denials(text)
    known = set(stems_of(text)) | set(stems_of(spaced(text)))
    said = {i for phrase in evidence.phrases for i in _said(question.tokens, phrase)}
    used: dict[str, bool] = {}
    for unit in units(question):
        if unit.exact:
            there = _is_there(unit, text, known) or unit.at in said
        else:
            there = unit.at in said or any(_is_form_of(stem, known) for stem in stems_of(unit.text))
        used[unit.text] = used.get(unit.text, False) or there
    open_words = [unit.text for unit in units(question) if not used[unit.text] and not unit.exact]
    for word in _by_sense(open_words, text, embed, weights.sense):
        used[word] = True
    return Coverage(tuple(w for w, yes in used.items() if yes), tuple(w for w, yes in used.items() if not yes))


@dataclass(frozen=True, slots=True)
class Unit:
    """A word that matters, or a value; `exact`: it must be there as such."""

    text: str
    exact: bool
    at: int  # its first token


def units(question: Question) -> Iterator[Unit]:
    """The words of a question that matter, and its values, in order."""
    paths = [(m.start(), m.end(), m[0]) for path in question.paths for m in re.finditer(re.escape(path), question.text)]
    inside = {i: value for value in question.values for i in range(value.first, value.last + 1)}
    called = {m[1] for m in _CALLED.finditer(question.text)}
    told: set[Value | str] = set()
    for i, token in enumerate(question.tokens):
        value, path = inside.get(i), next((text for start, end, text in paths if start <= token.start < end), None)
        if path is not None:
            if path not in told:
                yield Unit(path, True, i)
            told.add(path)
        elif value is None:
            if _matters(token):
                yield Unit(token.text, token.text in called or bool(re.search(r"\d|_|[a-z][A-Z]", token.text)), i)
        elif value not in told:
            told.add(value)
            yield Unit(value.text, not token.text.isalpha() or "number" not in value.kinds, i)


def passed(question: Question) -> str:
    """What a question passes to what it calls, as code is written or said: an asker's own example, "myapp" of
    `load('myapp')`, 1200 of "passing 1200 to status"."""
    return " ".join((*_PASSED.findall(question.text), *_PASSING.findall(question.text)))


def without_denials(text: str) -> str:
    """A text without what it says that there is not: "does not handle redirects" tells nothing of how many are followed."""
    return _DENIED.sub("", text)


def scene_words(question: Question) -> frozenset[str]:
    """The plain words that stand in none of the sentences that ask something: how the asker came to ask. None where all ask."""
    sentences = [(m.start(), m.end()) for m in _SENTENCE.finditer(question.text)]
    asking = [(start, end) for start, end in sentences if _ASKING.search(question.text[start:end])]
    if not asking or len(asking) == len(sentences):
        return frozenset()
    inside = {
        unit.text: any(start <= question.tokens[unit.at].start < end for start, end in asking) for unit in units(question)
    }
    return frozenset(unit.text for unit in units(question) if not unit.exact and not inside[unit.text])


def _matters(token: Token) -> bool:
    if token.function or token.low in _FILLERS:
        return False
    return bool(stems_of(token.text)) or not token.text.isascii() or token.text[0].isdigit()  # a version, an address


def _said(tokens: Sequence[Token], phrase: Phrase) -> set[int]:
    """The tokens that a phrase covers, all of its parts in order."""
    words: set[int] = set()
    start = 0
    for part in filter(None, phrase.parts):
        at = next(phrase_at(tokens, part, start), None)
        if at is None:
            return set()
        words |= set(range(at, at + len(part)))
        start = at + len(part)
    return words


def _is_there(unit: Unit, text: str, known: set[str]) -> bool:
    """A number by its value, anything else by its words."""
    if re.fullmatch(r"-?\d+(\.\d+)?", unit.text):
        written = rf"(?<![\d.]){re.escape(unit.text)}(?![\d])"
        return re.search(written, text.replace(",", "")) is not None
    unit = replace(unit, text=re.sub(r"['’]s$", "", unit.text))
    if unit.text.lower() in text.lower():
        return True
    if _NUMBERED.fullmatch(unit.text):  # "HTTP/3" is no other HTTP
        return _joined(unit.text) in _joined(text)
    if re.search(r"_|[a-z][A-Z]", unit.text):  # an identifier, however it is written
        return re.sub(r"[\W_]", "", unit.text).lower() in re.sub(r"[_-]", "", text).lower()
    stems = set(stems_of(unit.text)) | set(stems_of(spaced(unit.text)))
    return bool(stems) and stems <= known


def _joined(text: str) -> str:
    return re.sub(r"[\s/._-]", "", text).lower()


def _is_form_of(stem: str, known: set[str]) -> bool:
    """Is the stem known, or all but an ending of one that is? "gzipp" of "gzip"."""
    if stem in known or len(stem) < SHORTEST_STEM:
        return stem in known
    return any(
        abs(len(stem) - len(other)) <= LONGEST_ENDING and min(len(stem), len(other)) >= SHORTEST_STEM
        for other in known
        if stem.startswith(other) or other.startswith(stem)
    )


def _by_sense(words: Sequence[str], text: str, embed: TextEmbedding, least: float) -> list[str]:
    """Those of the words that some word of the text is near to."""
    senses = list(dict.fromkeys(w.lower() for w in re.findall(r"[A-Za-z]{3,}", spaced(text))))[:MAX_SENSES]
    if not words or not senses:
        return []
    vectors = embed([*words, *senses])
    near = vectors[: len(words)] @ vectors[len(words) :].T
    return [word for word, best in zip(words, near.max(axis=1).tolist(), strict=True) if best >= least]


def argument_texts(arguments: Mapping[str, Any]) -> Iterator[str]:
    """The keys and values of a call that say something of their own: no search's query, not how much it may answer, not what it
    leaves out."""
    for key, value in arguments.items():
        if key == ROOM or _LEAVES_OUT.match(key) or (isinstance(value, str) and string_role(key) is StringRole.QUERY):
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


def phrases_of(schema: Any, arguments: Mapping[str, Any]) -> Iterator[Phrase]:
    """What people say for the keys and options that a call has used, by the descriptions of its tool's schema."""
    used = {str(leaf) for leaf in _leaves(arguments)}
    stack = [schema]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack.extend(node)
        if not isinstance(node, Mapping):
            continue
        stack.extend(node.values())
        properties = node.get("properties")
        for key, inner in properties.items() if isinstance(properties, Mapping) else ():
            described = inner.get("description") if isinstance(inner, Mapping) else None
            if key not in used or not isinstance(described, str):
                continue
            for option, phrases in trigger_phrases(described).items():
                if option == THE_KEY or option in used:
                    yield from (phrase for phrase in phrases if isinstance(phrase, Phrase))
