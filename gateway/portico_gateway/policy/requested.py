"""Whether a call is what the person has asked for: what the tool does, and every value of its arguments, stand in their words.

What a person wrote is the one text that no attacker writes. A model that obeys an injected instruction can then do no more than
what was asked for anyway, and a call that was made once is not made again by this (`tool_calls.py`). It owns the comparison and
knows no rules. It errs on the side of asking: other words for the same thing, texts that the model composed, and dates that are
written otherwise are not recognized.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from portico_gateway.policy.argument_texts import comparable

_WORDS = re.compile(r"[A-Za-z][a-z]*|[A-Z]+(?![a-z])")
_SAID_WORDS = re.compile(r"[^\W\d_]+")
_NUMBER = re.compile(r"(?<![\w.])[+-]?\d[\d,]*(?:\.\d+)?(?![\w])")
_JOINED_BEFORE = re.compile(r"[\w.@+-]")
_JOINED_BEHIND = re.compile(r"[\w@+-]|\.\w")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d)(?::00)?")
_ENDINGS = ("ing", "ed", "es", "s", "e")
_LEAST = 3  # letters of a stem
_MOST_SAID = 64 << 10  # characters of a person's words, the newest, that are looked at
_MOST_VALUES = 100  # of one call: nobody spells out more of them
_ALIKE = (  # what tools are called, and what people say for it
    ("send", "pay", "transfer", "wire", "post", "write", "email", "message"),
    ("create", "add", "make", "schedule", "set", "book", "new", "save", "write"),
    ("delete", "remove", "cancel", "drop"),
    ("update", "change", "edit", "modify", "set", "rename", "adjust"),
    ("reschedule", "move", "postpone", "shift"),
    ("reserve", "book"),
    ("invite", "add"),
    ("append", "add", "write"),
)


def is_requested(tool: str, schema: Mapping[str, Any], arguments: Mapping[str, Any], said: str) -> bool:
    """`tool` is its server's name for it. A value that is its parameter's default needs no words; a call without any that does
    is asked for by the whole of the tool's name."""
    said = said[-_MOST_SAID:]
    plain = comparable(said)
    name = [word.casefold() for word in _WORDS.findall(tool)]
    words = {_stem(word.casefold()) for word in _SAID_WORDS.findall(said)}
    if not name or words.isdisjoint(_alike(name[0])):
        return False
    given = (leaf for key, value in arguments.items() if not _is_default(schema, key, value) for leaf in leaves(value))
    values = list(islice(given, _MOST_VALUES + 1))
    if not values:
        return all(not words.isdisjoint(_alike(word)) for word in name)
    return len(values) <= _MOST_VALUES and all(stands_in(leaf, plain) for leaf in values)


def _is_default(schema: Mapping[str, Any], name: str, value: Any) -> bool:
    properties = schema.get("properties")
    parameter = properties.get(name) if isinstance(properties, Mapping) else None
    default = parameter.get("default") if isinstance(parameter, Mapping) else None
    return value == default and type(value) is type(default)


def _alike(word: str) -> set[str]:
    """The stem of the word, and of those that people say for it."""
    return {_stem(word)} | {_stem(other) for alike in _ALIKE if word in alike for other in alike}


def _stem(word: str) -> str:
    ending = next((each for each in _ENDINGS if word.endswith(each) and len(word) - len(each) >= _LEAST), "")
    return word[: len(word) - len(ending)] if ending else word


def stands_in(value: Any, said: str) -> bool:
    """Whether a text or number stands in what was said, which is `comparable`."""
    if isinstance(value, bool):
        return False
    if isinstance(value, int | float):
        return any(float(found.replace(",", "")) == value for found in _NUMBER.findall(said))
    if len(value) > _MOST_SAID:
        return False
    text = comparable(value)
    if time := _TIME.fullmatch(text):
        return all(_whole(part, said) for part in time.groups())
    return not text or _whole(text, said)


def _whole(text: str, said: str) -> bool:
    """Whether it stands there, and not as a part of a longer word, number or address."""
    at = said.find(text)
    while at >= 0:
        if not _JOINED_BEFORE.match(said[at - 1 : at]) and not _JOINED_BEHIND.match(said, at + len(text)):
            return True
        at = said.find(text, at + 1)
    return False


def leaves(value: Any) -> Iterator[Any]:
    """What an argument is made of; None and what is empty say nothing. The names in an object are the model's words too."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield name
            yield from leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)
    elif value is not None:
        yield value
