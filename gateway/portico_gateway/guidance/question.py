"""A question, read once: its words in order, and the values that it spells out. It knows no tool."""

from __future__ import annotations

import calendar
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from portico_gateway.guidance.stemming import content_words, stems_of

_TOKEN = re.compile(
    r"\d{4}-\d\d(?:-\d\d)?\b|\d+(?:\.\d+){2,}\b|\d+(?:,\d{3})*(?:\.\d+)?(?!\w)|[\w@.+-]{1,64}@[\w.-]+\w|\w+(?:[-'’]\w+)*|[\"'`“”,;:?!.()]"
)
MONTHS = {name.lower(): n for names in (calendar.month_name, calendar.month_abbr) for n, name in enumerate(names) if name}
_NUMBERS = {
    word: n for n, word in enumerate("two three four five six seven eight nine ten eleven twelve".split(), 2)
} | {"hundred": 100, "thousand": 1000}  # fmt: skip
_BEFORE_ONE = frozenset("with have has having than least most exactly only by on in".split())  # elsewhere it stands for a noun
_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”"}
_FUNCTION = frozenset(
    "more less than least most fewer not no without never since after before until over under above below among during".split()
)
_YEARS = range(1800, 2200)
# Whatever may go on for long begins only where nothing of its kind stands before it: else each character would begin one.
_LITERAL = re.compile(
    r"""["'`]([^"'`]+)["'`]                      # quoted
    | ((?<![\w.-])(?:[\w.-]+/)+[\w.-]+ | \b(?!(?:i\.e|e\.g|a\.m|p\.m)\b)\w+\.[a-z]{1,4}\b)  # a path, and no abbreviation
    | ((?<![A-Za-z])(?:[A-Za-z]+(?:_\w+)+ | [A-Za-z]*[a-z]\d*[A-Z]\w*) | _+\w+ | (?<!\w)\w+(?=\(\)))  # an identifier
    | (\d+(?:\.\d+)?)                            # a number
    | ((?:[A-Z][\w-]*)(?:\s+[A-Z][\w-]*)*)       # a name
    """,
    re.VERBOSE,
)
_HEAD = re.compile(r"\b(?:which|what|each|every|per|by)\s+(\w+)")


@dataclass(frozen=True, slots=True)
class Token:
    """One word, number or mark."""

    text: str
    low: str
    stem: str | None  # of a content word
    function: bool  # a mark, or a word like "more" and "than"
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Value:
    """Something spelled out: tokens [first, last], and what may be written for it."""

    first: int
    last: int
    text: str
    kinds: frozenset[Literal["name", "plain", "quoted", "number", "date"]]  # a plain word has no capital


@dataclass(frozen=True, slots=True)
class Question:
    """A question, read once: its words, and what it spells out."""

    text: str
    stems: frozenset[str]  # content words, stemmed
    heads: frozenset[str]  # stems of what is asked for: "which city", "per status"
    topic: str  # the content words, in order, as they stand
    names: tuple[str, ...]  # quoted, identifiers, names, numbers
    identifiers: tuple[str, ...]  # those of the names that only code or a quotation has
    paths: tuple[str, ...]
    tokens: tuple[Token, ...]
    values: tuple[Value, ...]


def read_question(text: str) -> Question:
    """Read a question's words, and what it spells out."""
    names: list[str] = []
    identifiers: list[str] = []
    paths: list[str] = []
    for match in _LITERAL.finditer(text):
        quoted, path, identifier, number, name = match.groups()
        if path:
            paths.append(path)
        elif literal := quoted or identifier or number or (name if match.start() > 0 else None):
            names.append(literal)
            if quoted or identifier:
                identifiers.append(literal)
    kept = [w.strip("?!.,;:()\"'`") for w in text.split()]
    topic = " ".join(w for w in kept if w and content_words(w)) or text.strip(" ?!.")
    heads = frozenset(word for found in _HEAD.findall(text.lower()) for word in content_words(found))
    tokens = tokens_of(text)
    return Question(
        text=text,
        stems=frozenset(content_words(text)),
        heads=heads,
        topic=topic,
        names=tuple(names),
        identifiers=tuple(identifiers),
        paths=tuple(paths),
        tokens=tokens,
        values=values_of(text, tokens),
    )


def tokens_of(text: str) -> tuple[Token, ...]:
    """Every word and mark of a text, in order."""
    found = []
    for match in _TOKEN.finditer(text):
        low = match[0].lower()
        function = low in _FUNCTION or not low[0].isalnum()
        stems = () if function else stems_of(match[0])
        found.append(Token(match[0], low, stems[0] if len(stems) == 1 else None, function, match.start(), match.end()))
    return tuple(found)


def values_of(text: str, tokens: Sequence[Token]) -> tuple[Value, ...]:
    """Quoted strings, dates, numbers and names, in order; none overlaps another."""
    found: list[Value] = []
    closings = {mark: [at for at, token in enumerate(tokens) if token.text == mark] for mark in _QUOTES.values()}
    at = 0
    while at < len(tokens):
        quoted = _quoted(text, tokens, at, closings)
        value = quoted or next(filter(None, (read(text, tokens, at) for read in (_date, _number, _name))), None)
        if value is not None:
            found.append(value)
        at = value.last + 1 if value is not None else at + 1
    return tuple(found)


def _quoted(text: str, tokens: Sequence[Token], at: int, closings: Mapping[str, Sequence[int]]) -> Value | None:
    """`closings`: where each closing mark stands."""
    places = closings.get(_QUOTES.get(tokens[at].text, ""), ())
    place = bisect_left(places, at + 2)
    if place == len(places):
        return None
    end = places[place]
    return Value(at, end, text[tokens[at].end : tokens[end].start], frozenset({"quoted"}))


def _date(text: str, tokens: Sequence[Token], at: int) -> Value | None:
    if re.fullmatch(r"\d{4}-\d\d(-\d\d)?", tokens[at].text):
        return Value(at, at, tokens[at].text, frozenset({"date"}))
    day, month, year = 0, at, at + 1
    if _is_day(tokens[at].text):
        day, month, year = int(tokens[at].text), at + 1, at + 2
    if month < len(tokens) and tokens[month].low in MONTHS and tokens[month].text[0].isupper():
        if not day and year + 1 < len(tokens) and _is_day(tokens[year].text):
            day, year = int(tokens[year].text), year + 1 + (tokens[year + 1].text == ",")
        if year < len(tokens) and _is_year(tokens[year].text):
            written = f"{tokens[year].text}-{MONTHS[tokens[month].low]:02}" + (f"-{day:02}" if day else "")
            return Value(at, year, written, frozenset({"date"}))
    return None


def _number(text: str, tokens: Sequence[Token], at: int) -> Value | None:
    token = tokens[at]
    if (
        token.low == "one"
        and at
        and at + 1 < len(tokens)
        and tokens[at - 1].low in _BEFORE_ONE
        and tokens[at + 1].stem is not None
    ):
        return Value(at, at, "1", frozenset({"number"}))
    if token.low in _NUMBERS:
        return Value(at, at, str(_NUMBERS[token.low]), frozenset({"number"}))
    if not re.fullmatch(r"\d+(,\d{3})*(\.\d+)?", token.text):
        return None
    negative = token.start > 0 and text[token.start - 1] in "-−" and (token.start == 1 or text[token.start - 2].isspace())
    written = ("-" if negative else "") + token.text.replace(",", "")
    return Value(at, at, written, frozenset({"number", "date"} if _is_year(written) else {"number"}))


def _name(text: str, tokens: Sequence[Token], at: int) -> Value | None:
    """Words that begin with a capital; the sentence's first word is none."""
    if not _is_name(tokens[at]) or _begins_sentence(tokens, at):
        return None
    last = at
    while last + 1 < len(tokens) and _is_name(tokens[last + 1]) and text[tokens[last].end : tokens[last + 1].start] == " ":
        last += 1
    written = text[tokens[at].start : tokens[last].end]
    return Value(at, last, re.sub(r"['’]s$", "", written), frozenset({"name"}))


def _begins_sentence(tokens: Sequence[Token], at: int) -> bool:
    """Is it the first word, or behind the end of a sentence, a quoted one included?"""
    before = at - 1
    if before > 0 and tokens[before].text in _QUOTES.values():
        before -= 1
    return before < 0 or tokens[before].text in (".", "?", "!")


def _is_name(token: Token) -> bool:
    return (
        (token.text[0].isupper() and re.split("['’]", token.text)[0] != "I")
        or "@" in token.text
        or bool(re.search(r"[A-Za-z]\d|\d[A-Za-z]", token.text))
    )


def _is_day(text: str) -> bool:
    return len(text) <= 2 and text.isdecimal() and int(text) <= 31


def _is_year(text: str) -> bool:
    return len(text) == 4 and text.isdecimal() and int(text) in _YEARS


def phrase_at(tokens: Sequence[Token], phrase: Sequence[str], start: int = 0) -> Iterator[int]:
    """Where the words of a phrase stand one after the other. "?" stands for any end of a sentence."""
    for at in range(start, len(tokens) - len(phrase) + 2):
        if all(_is(tokens, at + i, word) for i, word in enumerate(phrase)):
            yield at


def _is(tokens: Sequence[Token], at: int, word: str) -> bool:
    if word == "?":
        return at >= len(tokens) or tokens[at].low in ("?", ".", "!", ",", ";")
    return at < len(tokens) and tokens[at].low == word
