"""What a tool's description may say to the local model, and the one reader of it: `docs/tool-descriptions.md` tells authors.

Hosts' models read the same text as prose. It reads descriptions, titles and names; it knows no question and weighs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from portico_gateway.guidance.stemming import content_words

GAP = "..."
THE_KEY = ""  # in place of an option: the phrases speak for the key itself

_SENTENCE = re.compile(r"(?<=[.?!])\s+")
_QUOTED = re.compile(r"""(?:(?<![^\s;:"`])([^\s;:"`]++):\ )?((?:"[^"]+"|`\w+`)(?:,\ (?:"[^"]+"|`\w+`))*)""", re.VERBOSE)
_PHRASE_OR_KEY = re.compile(r'"[^"]+"|`\w+`')
ROOM = "max_tokens"  # the argument by which a tool is told how much it may answer; it says nothing of a question
_QUERY = frozenset("query search question words text".split())
_PATHS = frozenset("path file folder page".split())


@dataclass(frozen=True, slots=True)
class Phrase:
    """What people say: groups of words with gaps between. What they mean stands in the last gap, where there is one."""

    parts: tuple[tuple[str, ...], ...]

    @property
    def gap(self) -> bool:
        return len(self.parts) > 1

    @property
    def size(self) -> int:
        return sum(map(len, self.parts))

    def open(self) -> Phrase:
        """The phrase, with a gap behind it where it has none."""
        return self if self.gap else Phrase((*self.parts, ()))


class PhrasesOf(NamedTuple):
    """A key in backquotes: all of its phrases."""

    key: str


class Quoted(NamedTuple):
    """A list of quoted phrases and of keys in backquotes, as a description has it: for an option, or for the key."""

    option: str
    written: tuple[str, ...]  # phrases without their quotes, keys within their backquotes
    parsed: tuple[Phrase | PhrasesOf, ...]  # the same


PhrasesByOption = Mapping[str, tuple[Phrase, ...]]
UnlentPhrases = Mapping[str, tuple[Phrase | PhrasesOf, ...]]  # by option, as one description has them


class StringRole(Enum):
    """What a free string is for, by its name and description."""

    QUERY = "query"  # what the question is about
    PATH = "path"
    NAME = "name"  # anything else that a question spells out


def sentences(description: str) -> list[str]:
    """Every sentence of a tool's description, and all of it: a question is compared with each, the nearest counts."""
    return [*(sentence for sentence in _SENTENCE.split(description.strip()) if sentence), description]


def shows_question(description: str) -> bool:
    """Does it show a question? A search whose description does takes whole questions, not only what is looked for."""
    return "?" in description


def quoted(description: str) -> list[Quoted]:
    """`Said as "per ..."` of the key, `count: "how many"; sum: "total"` of its options, keys in backquotes that lend theirs."""
    found = []
    for option, listed in _QUOTED.findall(description):
        written = tuple(one.strip('"') for one in _PHRASE_OR_KEY.findall(listed))
        found.append(Quoted(option, written, tuple(map(_parse, written))))
    return found


def _parse(written: str) -> Phrase | PhrasesOf:
    """ "which ... the most?" in its parts, where a question mark is a word of its own; "`order`" as the key."""
    if written.startswith("`"):
        return PhrasesOf(written.lower().strip("`"))
    return Phrase(tuple(tuple(part.replace("?", " ?").split()) for part in written.lower().split(GAP)))


def trigger_phrases(description: str) -> UnlentPhrases:
    """All phrases of a description, by option."""
    found: dict[str, tuple[Phrase | PhrasesOf, ...]] = {}
    for one in quoted(description):
        found[one.option] = (*found.get(one.option, ()), *one.parsed)
    return found


def lend(phrases: UnlentPhrases, keys: Mapping[str, UnlentPhrases]) -> PhrasesByOption:
    """A key's phrases, with those of the keys that it names. A lender's own lenders are not followed."""
    found: dict[str, tuple[Phrase, ...]] = {}
    for option, listed in phrases.items():
        every: dict[Phrase, None] = {}
        for one in listed:
            lent = (
                (p for of_option in keys.get(one.key, {}).values() for p in of_option) if isinstance(one, PhrasesOf) else (one,)
            )
            every.update(dict.fromkeys(phrase for phrase in lent if isinstance(phrase, Phrase)))
        found[option] = tuple(every)
    return found


def string_role(name: str, description: str = "") -> StringRole:
    """What a free string is for: "query" or "path" and their like, among the words of its name or description."""
    about = set(content_words(name)) | set(content_words(description)) | {name.lower()}
    return StringRole.QUERY if about & _QUERY else StringRole.PATH if about & _PATHS else StringRole.NAME


def option_titles(views: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The strings that a value may be, each with the title that explains it."""
    return {
        value: str(view.get("title") or "")
        for view in views
        for value in ([view["const"]] if "const" in view else view.get("enum") or ())
        if isinstance(value, str)
    }
