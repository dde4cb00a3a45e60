"""The texts of a call's arguments, as they are compared with what was read: without case and the kind of white space.

It owns how texts are found in JSON values and what of a text is a name. All of it goes through megabytes in steps (`slices.py`)
and through any depth of nesting. It knows neither callers nor what was read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from portico_gateway.policy.slices import Work

WINDOW = 32 << 10  # characters that are looked at in one step
LONGEST = 1000  # characters of a name; of a longer one the beginning is looked at
SHORTEST_NAME = 4  # characters: "yes" and "2024" stand everywhere
_SHORTEST_NUMBER = 8  # characters of an account or a place on the web
_OVERLAP = 100  # characters
MAX_KEY = 200  # characters of a key in a pointer
# Each is linear in the text's length: no character is looked at from many places.
_NAMES = re.compile(  # addresses, accounts, numbers
    r"(?<![\w.+-])[\w.+-]++@[\w.-]*\w|https?://[^\s\"'<>)]+|(?<![\w-])-*+(?=[\w-]{0,100}\d)\w[\w-]{6,}\w"
)
_TELLING = re.compile(r"[@:\d]")  # no name is without
_URL = re.compile(r"\s*https?://", re.IGNORECASE)
_STRUCTURE = re.compile(r"[A-Za-z_$][A-Za-z_-]*|[A-Za-z_$]+\d{1,3}")  # a key that is a schema's word rather than a value
_LONG_WORD, _MOST_WORDS = 64, 10_000
structure_words: set[str] = set()
_Members = Iterator[tuple[str, Any]]


def comparable(text: str) -> str:
    """The text as it is compared: case and the kind of white space make no difference."""
    return " ".join(text.split()).casefold()


def comparable_in_steps(text: str) -> Work[str]:
    """The same of a text of any length."""
    if len(text) <= WINDOW:
        return comparable(text)
    parts: list[str] = []
    apart = False  # does the next part begin behind white space?
    for at in range(0, len(text), WINDOW):
        part = text[at : at + WINDOW]
        if plain := comparable(part):
            if parts and (apart or part[0].isspace()):
                parts.append(" ")
            parts.append(plain)
        apart = part[-1].isspace() or (apart and not plain)
        yield
    return "".join(parts)


def leaves(value: Any) -> Iterator[tuple[str, str]]:
    """(JSON pointer, text) of each text and number, and of each key that says more than a word, which may be a value as well:
    {"eve@evil.example": "reader"}. A pointer names long keys by their beginnings."""
    within: list[_Members] = [iter((("", value),))]
    while within:
        for pointer, item in within[-1]:
            if isinstance(item, str):
                yield pointer or "/", item
            elif isinstance(item, int | float) and not isinstance(item, bool):
                yield pointer or "/", str(item)
            elif isinstance(item, Mapping):
                within.append(_of_mapping(pointer, item))
                break
            elif isinstance(item, list | tuple):
                within.append(_of_list(pointer, item))
                break
        else:
            within.pop()


def _of_list(pointer: str, value: Sequence[Any]) -> _Members:
    for index, item in enumerate(value):
        yield f"{pointer}/{index}", item


def _of_mapping(pointer: str, value: Mapping[str, Any]) -> _Members:
    for name, item in value.items():
        key = str(name)
        own = f"{pointer}/{key[:MAX_KEY].replace('~', '~0').replace('/', '~1')}"
        if key not in structure_words and not is_structure(key):
            yield own, key
        yield own, item


def is_structure(key: str) -> bool:
    """Is an object's key a word of its schema rather than a value? `structure_words` has those that were found before."""
    found = _STRUCTURE.fullmatch(key) is not None
    if found and len(key) <= _LONG_WORD and len(structure_words) < _MOST_WORDS:
        structure_words.add(key)
    return found


def is_url(text: str) -> bool:
    """Does it name a place on the web?"""
    return _URL.match(text) is not None


def names(text: str) -> list[str]:
    """Each address and number of a text."""
    if not _TELLING.search(text):
        return []
    return [
        name.strip("-")[:LONGEST]
        for word in text.split(" ")
        if (len(word) >= _SHORTEST_NUMBER or "@" in word) and _TELLING.search(word)
        for name in _NAMES.findall(word)
    ]


def windows(text: str) -> Iterator[tuple[int, int]]:
    """The text in parts (start, end) that end with words; without spaces they overlap, so that names are whole in one."""
    at = 0
    while at < len(text):
        end = at + WINDOW
        if end < len(text):
            space = text.find(" ", end, end + LONGEST)
            end = space if space >= 0 else end
        yield at, min(end, len(text))
        at = end + 1 if text[end : end + 1] in (" ", "") else end - _OVERLAP
