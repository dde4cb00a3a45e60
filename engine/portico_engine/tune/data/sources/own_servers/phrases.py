"""How people ask about code, documentation and data: forms of questions, in text files that lie in `data/own_servers`, and how
they write in haste.

A file has its forms below `[key]`, one a line. What stands in braces is filled in.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

Phrases = Mapping[str, Sequence[str]]

ROUGH_SHARE, LONG_SHARE = 0.3, 0.12  # of the questions: in haste, and behind a sentence that says why
HASTE = (  # before, whether the question begins small, after
    ("", True, ""), ("", True, ""), ("", False, ""), ("", False, "??"), ("hey, ", True, "?"), ("", False, ", please"),
    ("I need to know: ", True, ""), ("can you tell me ", True, "?"), ("ok, ", True, ""), ("", True, " thanks"),
)  # fmt: skip


@cache
def phrases(name: str) -> Phrases:
    """code, docs, data, conditions, superlatives or before: forms by key. Raises KeyError where a key is asked for that isn't
    there."""
    return read_phrases(phrase_file(name))


def phrase_file(name: str) -> str:
    """The text of a file that lies there."""
    return (importlib.resources.files("portico_engine.tune.data") / "own_servers" / f"{name}.txt").read_text(encoding="utf-8")


def read_phrases(text: str) -> Phrases:
    """Raises ValueError for a form that stands below no key, and for a key that is there twice."""
    found: dict[str, list[str]] = {}
    for key, form in _forms(text):
        if form is None:
            if key in found:
                raise ValueError(f"[{key}] is there twice")
            found[key] = []
        else:
            found[key].append(form)
    return found


def _forms(text: str) -> Iterator[tuple[str, str | None]]:
    key = ""
    for line in text.splitlines():
        if line.startswith("[") and line.endswith("]"):
            key = line[1:-1]
            yield key, None
        elif line and not line.startswith("#"):
            if not key:
                raise ValueError(f"this form stands below no [key]: {line}")
            yield key, line
