"""A question in a language that is in `dictionaries.py`, with the words that are known in English.

It goes word by word; names, numbers, quotations and whatever it doesn't know stay as they stand, and count as words that an
answer leaves out. It is no translator.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

from portico_gateway.guidance.languages.dictionaries import DICTIONARIES
from portico_gateway.guidance.languages.question_language import WORD, spoken_dictionary

_SPELLED_OUT = re.compile(
    r"""["“`][^"”`]*["”`] | \S*[\w)][./_:@\d]\S*\w | \b\w*[a-z][A-Z]\w*\b | \b[A-Z]{2,}\w*\b""", re.VERBOSE
)
_LONGEST = 4  # words that stand together


def in_english(question: str) -> str | None:
    """The question with the words that are known in English; None where it is in none of those languages."""
    language = spoken_dictionary(question)
    if language is None:
        return None
    kept = [(match.start(), match.end()) for match in _SPELLED_OUT.finditer(question)]
    return " ".join(_replaced(question, DICTIONARIES[language], kept).split())


def _replaced(question: str, table: Mapping[str, str], kept: list[tuple[int, int]]) -> str:
    matches = [m for m in WORD.finditer(question) if not any(first <= m.start() < last for first, last in kept)]
    out, at, index = list[str](), 0, 0
    while index < len(matches):
        for count in range(min(_LONGEST, len(matches) - index), 0, -1):
            run = matches[index : index + count]
            said = " ".join(m[0].lower().rstrip("'’") for m in run)
            beside = all(re.fullmatch(r"[\s’'-]*", question[a.end() : b.start()]) for a, b in pairwise(run))
            if said in table and beside:
                out += [question[at : run[0].start()], f" {table[said]} "]
                at, index = run[-1].end(), index + count
                break
        else:
            index += 1
    return "".join([*out, question[at:]]).lstrip(" ¿¡")
