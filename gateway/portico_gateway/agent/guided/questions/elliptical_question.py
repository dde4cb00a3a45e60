"""Questions that only make sense after the one before them: "And in 8.1.8?", "What about Germany?", "und 2024?".

Such a question is completed by the last one, with what changed in the place of what it changes: a value of the same kind, a
word of the same form; failing that, its words are appended. What was understood is shown. It knows no tool, and asks no model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from portico_gateway.agent.conversation import Exchange, KeptCall
from portico_gateway.agent.guided.questions.spoken_values import SpokenValue, likeness, values_in
from portico_gateway.guidance.stemming import content_words

MOST_WORDS = 4  # content words of a question that is elliptical because of how it begins,
MOST_BARE_WORDS = 2  # or because it is nothing but a value
MOST_CHARACTERS = 200  # of a question that is elliptical,
MOST_CHARACTERS_BEFORE = 2000  # and of one that can be completed from

_LEAD = re.compile(
    r"^\W*(?:(?:and|but|or|also|then|now|ok|okay|so|what about|how about|what of|und|aber|oder|auch|dann|was ist mit"
    r"|wie ist es mit|wie steht es mit|et|mais|ou|qu'en est-il d[eu']|y|e|pero|ma)\b[\s,]*)+",
    re.IGNORECASE,
)
_PREPOSITIONS = frozenset(
    "in for from of with by on at since before after during until under over per to as within without about "
    "für von mit aus seit vor nach bei im am bis ohne pour de dans avec depuis avant après en sur par para con desde".split()
)
_SMALL = frozenset("the a an this that only just der die das dem den ein eine le la les un une el los".split())
_ASKS = re.compile(
    r"^(how (?:many|much|often|long|old|far)|how|what|who|whom|whose|which|where|when|why|wie ?viele?|wie|was|wer|wo|wann|warum"
    r"|welche\w*|combien|qui|quand|où|pourquoi)\b\s*",
    re.IGNORECASE,
)
_VERBS = frozenset(
    "is are was were be been am do does did has have had can could will would shall should may might must show list find give "
    "count tell explain ist sind war waren hat haben hatte kann gibt est sont était a ont".split()
)
_FORMS = ("ed", "est", "ing", "er", "able", "s")  # words that end alike can stand in each other's place
_PRONOUN = re.compile(r"\b(?:it|its|that one|this one|them)\b", re.IGNORECASE)

_SUPERLATIVE = re.compile(r"\b(?:(?:most|least)\s+\w{3,}|\w{2,}est)\b", re.IGNORECASE)
_COMPARISONS = frozenset("more less fewer most least mehr weniger plus moins".split())
_ARTICLES = frozenset("the der die das le la el".split())
_PLACE = frozenset("in from of at aus von de".split())  # before a place, one is as good as the other


class Change(NamedTuple):
    """What the follow-up puts in the place of what."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class CompletedQuestion:
    """The whole question; and the call that found what the last one asked for, with what changed since. `changes` are all that
    changed; None where more was said than changes: then the call must be written anew."""

    question: str
    call: KeptCall | None
    changes: tuple[Change, ...] | None


def completed_question(asked: str, history: Sequence[Exchange]) -> CompletedQuestion | None:
    """What `asked` means after the last question; None where it stands by itself, or where nothing was asked before."""
    if not history or len(asked) > MOST_CHARACTERS or len(history[-1].question) > MOST_CHARACTERS_BEFORE:
        return None
    last = history[-1]
    merged = _completed(asked.strip(), last.question)
    if merged is None or merged.whole == asked:
        return None
    call = next((call for call in reversed(last.calls) if call.found), None)
    changes = tuple(merged.changes) if merged.changes and not merged.left else None
    return CompletedQuestion(_sentence(merged.whole), call, changes)


@dataclass(slots=True)
class _Merge:
    """The last question on its way to the next: what of the follow-up is `left` goes behind it."""

    whole: str
    left: str
    changes: list[Change] = field(default_factory=list)

    def replace(self, start: int, end: int, new: str) -> None:
        self.changes.append(Change(self.whole[start:end], new))
        self.whole = self.whole[:start] + new + self.whole[end:]


def _completed(asked: str, last: str) -> _Merge | None:
    lead = _LEAD.match(asked)
    rest = asked[lead.end() if lead else 0 :].strip().rstrip("?!. ")
    if not rest:
        return None
    if lead is None:
        return _bare(rest, last)
    if (_ASKS.match(rest) or rest.split()[0].lower() in _VERBS) and _stands_alone(rest):
        return None
    if len(content_words(rest)) > MOST_WORDS and not values_in(rest):
        return None
    return _with_topic(rest, last) or _merged(rest, last)


def _stands_alone(rest: str) -> bool:
    return len(content_words(rest)) >= 3 and not _PRONOUN.search(rest)


def _bare(rest: str, last: str) -> _Merge | None:
    """Without a word that leads it in, a question is elliptical where it is a preposition and its word, or takes a place in the
    last one, or is a value and nothing else."""
    words = rest.lower().split()
    if len(content_words(rest)) > MOST_BARE_WORDS or _VERBS & set(words) or _ASKS.match(rest):
        return None
    values = values_in(rest, first_word=True)
    merged = _merged(rest, last)
    is_value = len(values) == 1 and values[0].text == rest
    return merged if words[0] in _PREPOSITIONS or is_value or (merged.changes and not merged.left) else None


def _with_topic(rest: str, last: str) -> _Merge | None:
    """A pronoun stands for what the last question was about: its words that matter, but for what was done with it."""
    if not _PRONOUN.search(rest) or not _ASKS.match(rest):
        return None
    said = set(content_words(rest))
    words = [word.strip("?!.,;:()") for word in last.split()]
    topic = [w for w in words if _matters(w) and not said & set(content_words(w)) and not w.endswith(("ed", "ing"))]
    if not topic:
        return None
    return _Merge(_PRONOUN.sub(lambda _: " ".join(topic), rest, count=1), rest)


def _matters(word: str) -> bool:
    return bool(content_words(word)) or any(char.isdigit() for char in word)


def _merged(rest: str, last: str) -> _Merge:
    """The last question with everything changed that has a place in it, and the rest appended."""
    merged = _Merge(last.strip().rstrip("?!. "), rest)
    if (asks := _ASKS.match(rest)) is not None:
        merged.left = rest[asks.end() :]
        if (before := _ASKS.match(merged.whole)) is not None and before[1].lower() != asks[1].lower():
            merged.replace(before.start(1), before.end(1), asks[1])
    _take_values(merged)
    _take_superlative(merged)
    _take_words(merged)
    merged.left = _new_words(merged.left, merged.whole)
    merged.whole = f"{merged.whole} {merged.left}".strip()
    return merged


def _take_values(merged: _Merge) -> None:
    """The new values in the place of the old ones."""
    for new in reversed(values_in(merged.left, first_word=True)):
        old = _replaced_by(new, values_in(merged.whole))
        if old is None:
            continue
        start = new.start
        if new.before in _PREPOSITIONS:
            start = merged.left[:start].lower().rindex(new.before)
        merged.replace(old.start, old.end, _dated_like(new, old))
        if {new.before, old.before} <= _PREPOSITIONS and new.before != old.before:  # "since 2020", not "in 2020"
            begin = merged.whole[: old.start].lower().rindex(old.before)
            merged.replace(begin, begin + len(old.before), new.before)
            if {new.before, old.before} <= _PLACE:
                merged.changes.pop()  # it says the same
        merged.left = (merged.left[:start] + merged.left[new.end :]).strip()


def _replaced_by(new: SpokenValue, olds: Sequence[SpokenValue]) -> SpokenValue | None:
    """The value that a new one takes the place of: of its kind, behind the same word, else the last."""
    fitting = [old for old in olds if likeness(new.kind, old.kind)]
    return max(fitting, key=lambda old: (likeness(new.kind, old.kind), new.before == old.before, old.start), default=None)


def _dated_like(new: SpokenValue, old: SpokenValue) -> str:
    """A month without a year is of the year that was spoken of."""
    year = re.search(r" \d{4}$", old.text)
    return new.text + year[0] if new.kind == old.kind == "date" and year and not re.search(r"\d{4}", new.text) else new.text


def _take_superlative(merged: _Merge) -> None:
    """ "the cheapest" for "the most expensive", one word or two."""
    new, old = _SUPERLATIVE.search(merged.left), _SUPERLATIVE.search(merged.whole)
    if new is not None and old is not None:
        merged.replace(old.start(), old.end(), new[0])
        merged.left = (merged.left[: new.start()] + merged.left[new.end() :]).strip()


def _take_words(merged: _Merge) -> None:
    """Words in the place of words of the same form: "shipped" for "cancelled", "oldest" for "newest"; "berlin" for "Paris"."""
    kept: list[str] = []
    words = merged.left.split()
    for i, word in enumerate(words):
        before = words[i - 1].lower() if i else ""
        if word.lower() in _PREPOSITIONS | _SMALL | _VERBS or (old := _word_like(word, before, merged.whole)) is None:
            kept.append(word)
            continue
        named = old[0][0].isupper() and word.islower() and old.start() > 0
        merged.replace(old.start(), old.end(), word.capitalize() if named else word)
        if kept and kept[-1].lower() in _PREPOSITIONS:
            kept.pop()
    merged.left = " ".join(kept)


def _word_like(word: str, before: str, whole: str) -> re.Match[str] | None:
    """The word of `whole` that `word` takes the place of: behind the same preposition, "the ... of", or of the same form. None
    where `word` is there already."""
    found = list(re.finditer(r"\w[\w-]*", whole))
    olds = [match[0].lower() for match in found]
    if word.lower() in olds:
        return None
    last = ["", *olds]
    if before in _PREPOSITIONS:
        alike = _PLACE if before in _PLACE else {before}
        behind = [m for m, b in zip(found, last, strict=False) if b == before]
        behind += [m for m, b in zip(found, last, strict=False) if b in alike and m[0][0].isupper()]
        return behind[0] if behind else None
    if word.lower() in _COMPARISONS:
        return next((m for m, old in zip(found, olds, strict=True) if old in _COMPARISONS), None)
    form = next((form for form in _FORMS if _has_form(word.lower(), form)), None)
    same = [m for m, old in zip(found, olds, strict=True) if form and _has_form(old, form) and old not in _VERBS]
    after = [*olds[1:], ""]
    heads = [m for m, b, a in zip(found, last, after, strict=False) if b in _ARTICLES and a in _PLACE]
    return heads[-1] if heads and before in _ARTICLES and form != "est" else same[-1] if same else None


def _has_form(word: str, form: str) -> bool:
    return word.endswith(form) and len(word) > len(form) + 2 and not word.endswith("ss")


def _new_words(left: str, whole: str) -> str:
    """What `left` says that `whole` does not; nothing where only small words are left."""
    known = set(re.findall(r"\w+", whole.lower()))
    words = [word for word in left.split() if word.lower() not in known or word.lower() in _PREPOSITIONS]
    while words and words[-1].lower() in _PREPOSITIONS | _SMALL | _VERBS:
        words.pop()
    return " ".join(words)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].strip() + "?"
