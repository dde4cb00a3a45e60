"""A sentence of documentation as a question: what something does in the third person, and some words exchanged for others."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence

from portico_engine.tune.data.sources.own_servers.phrases import phrase_file

_VERBS = frozenset(word for line in phrase_file("verbs").splitlines() if not line.startswith("#") for word in line.split())
_OTHER_WORDS: Mapping[str, Sequence[str]] = {
    "remove": ("delete", "drop"), "delete": ("remove",), "create": ("make", "build"), "construct": ("build",),
    "compute": ("calculate", "work out"), "calculate": ("compute",), "retrieve": ("get", "fetch"), "obtain": ("get",),
    "fetch": ("get",), "determine": ("work out", "decide"), "check": ("test",), "verify": ("check",), "validate": ("check",),
    "specified": ("given",), "given": ("passed",), "provided": ("given",), "display": ("show",), "convert": ("turn",),
    "perform": ("do",), "generate": ("produce", "create"), "initialize": ("set up",), "terminate": ("end", "stop"),
    "directory": ("folder",), "associated": ("connected",), "current": ("present",), "whether": ("if",), "parse": ("read",),
    "invoke": ("call",), "execute": ("run",), "modify": ("change",), "dictionary": ("dict",),
    "additional": ("more", "further"), "multiple": ("several", "many"), "corresponding": ("matching",),
    "string": ("text",), "integer": ("whole number",), "function": ("callable",),
}  # fmt: skip
_CHANGED = 0.35  # of the words that have others


def third_person(sentence: str) -> tuple[str, str] | None:
    """ "Remove a node." -> ("removes a node", "remove a node"). None: it doesn't begin with what is done."""
    first, _, rest = sentence.partition(" ")
    word = first.lower()
    base = word if word in _VERBS else _base(word)
    if base is None or not rest:
        return None
    return f"{_with_s(base)} {rest}", f"{base} {rest}"


def _base(word: str) -> str | None:
    for base in (word.removesuffix("s"), word.removesuffix("es"), f"{word.removesuffix('ies')}y"):
        if base != word and base in _VERBS:
            return base
    return None


def _with_s(verb: str) -> str:
    if re.search(r"[^aeiou]y$", verb):
        return f"{verb[:-1]}ies"
    return f"{verb}es" if verb.endswith(("s", "sh", "ch", "x", "z", "go", "do")) else f"{verb}s"


def reworded(text: str, rng: random.Random) -> str:
    """With some of its words exchanged for others that mean the same."""

    def other(match: re.Match[str]) -> str:
        word = match[0]
        base = word if word in _OTHER_WORDS else _base(word) or ""
        if base not in _OTHER_WORDS or rng.random() >= _CHANGED:
            return word
        first, *rest = rng.choice(_OTHER_WORDS[base]).split(" ")
        return " ".join([first if word == base else _with_s(first), *rest])

    return re.sub(r"[a-z]+", other, text)
