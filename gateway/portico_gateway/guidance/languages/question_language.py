"""Which language a question is in: by its script, or by the words of it that a dictionary has. None for English, and where
nothing tells."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from portico_gateway.guidance.languages.dictionaries import DICTIONARIES

LEAST_WORDS = 2  # of a language, that a question must have to be in it
MOST_WORDS = 60  # of a question that is looked at
LEAST_SHARE = 0.3  # of a question's letters in a script, that make it one of that script's languages

WORD = re.compile(r"(?<!\w)[^\W\d_]+(?:['’](?=[^\W\d_]))?(?![\d_])")
_ENGLISH = frozenset(
    "the of is are was what which who where when how does do did it its and to for with from by has have can at this".split()
)
# First and last letters of a script, and what is written in it. Kana before ideographs, which Japanese has, too.
_SCRIPTS = (
    ("Japanese", "\u3040\u30ff"),
    ("Korean", "\uac00\ud7af"),
    ("Chinese", "\u4e00\u9fff"),
    ("Greek", "\u0370\u03ff"),
    ("a language in Cyrillic script", "\u0400\u052f"),
    ("Hebrew", "\u0590\u05ff"),
    ("a language in Arabic script", "\u0600\u06ff"),
    ("Hindi", "\u0900\u097f"),
    ("Bengali", "\u0980\u09ff"),
    ("Tamil", "\u0b80\u0bff"),
    ("Thai", "\u0e00\u0e7f"),
)
# No sign of another language: "parameter" and "name" are English, too.
_ENGLISH_TOO = _ENGLISH.union(*(text.split() for words in DICTIONARIES.values() for text in words.values()))
_QUOTED = re.compile(r"""["“«`][^"”»`]*["”»`]""")


def question_language(question: str) -> str | None:
    """The language's name, or its script's. What is quoted tells nothing: a name may be in any language."""
    letters = [letter for letter in _QUOTED.sub("", question) if letter.isalpha()]
    found = Counter(name for letter in letters if (name := _script(letter)) is not None)
    if letters and sum(found.values()) >= LEAST_SHARE * len(letters):
        return next(name for name, _ in _SCRIPTS if name in found)
    return spoken_dictionary(question)


def spoken_dictionary(question: str) -> str | None:
    """The dictionary that has most of the question's words, where that is enough to tell."""
    words = [word.lower().rstrip("'’") for word in WORD.findall(question)][:MOST_WORDS]
    language = max(DICTIONARIES, key=lambda name: _said(DICTIONARIES[name], words))
    said = _said(DICTIONARIES[language], words)
    return None if said < LEAST_WORDS or said <= 2 * sum(word in _ENGLISH for word in words) else language


def _said(table: Mapping[str, str], words: list[str]) -> int:
    return sum(word in table and word not in _ENGLISH_TOO for word in words)


def _script(letter: str) -> str | None:
    return next((name for name, ends in _SCRIPTS if ends[0] <= letter <= ends[1]), None)
