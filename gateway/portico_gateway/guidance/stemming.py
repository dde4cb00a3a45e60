"""The content words of prose and of identifiers, and their stems. It knows English, and nothing else."""

from __future__ import annotations

import re
from functools import lru_cache

_WORD = re.compile(r"[A-Za-z][a-z]+|[A-Z]{2,}|[a-z]+|\d+")
_STOP = frozenset(
    "a an and are as at be by can did do does each for from had has have how i in is it its me my of on one or our out show so "
    "some that the their them there these they this to us was we were what when where which who whom whose why will with would "
    "you your find get give list please tell all any many much most use used using".split()
)


def content_words(text: str) -> list[str]:
    """Content words of prose or of an identifier, lower case, plural and -ing/-ed endings off."""
    found = (w.lower() for w in _WORD.findall(text.replace("_", " ")))
    return [_stem(w) for w in found if w not in _STOP and len(w) > 1]


def _stem(word: str) -> str:
    for ending in ("ations", "ation", "ings", "ing", "ies", "ied", "ers", "er", "ed", "es", "s", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 4 - (ending in ("s", "y", "e")):
            return word[: -len(ending)]
    return word


@lru_cache(maxsize=20_000)
def stems_of(text: str) -> tuple[str, ...]:
    """Content words, stemmed so far that singular and plural, noun and verb meet."""
    return tuple([word.rstrip("ey") if len(word) > 3 else word for word in content_words(text)])


@lru_cache(maxsize=8_192)
def spaced(name: str) -> str:
    """A name as words: `delay_minutes` and `DelayMinutes` are `delay minutes`."""
    parts: list[str] = [""]
    for before, char in zip(" " + name, name, strict=False):
        if char in "_- .":
            parts.append("")
        else:
            parts += [char] if char.isupper() and before.islower() else []
            parts[-1] += "" if char.isupper() and before.islower() else char
    return " ".join(part.lower() for part in parts if part)
