"""Results that say nothing: an empty list or object, a text that only reports an error, or that nothing was found.

Servers that follow the protocol mark an error with `isError`; many put it into an ordinary text. It knows shapes and the usual
words, no server.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

MAX_NOTICE = 400  # characters: a longer text has something else to say
_ERROR = re.compile(
    r"""^[\W_]*(?:[\w./~-]{0,200}\s*:\s*-?\s*)?      # "notes.txt: "
    (?:(?:\w+\s+)?error\b\s*(?:[:\-]|executing|reading|while|in\b|\(|$)
     | [\w.]*(?:error|exception)\b\s*: | (?-i:E[A-Z]{3,12})\b\s*: | traceback\b | fatal\b\s*: | failed\ to\b | could\ not\b
     | cannot\b | unable\ to\b | invalid\b | access\ denied | permission\ denied
     | unknown\ (?:tool|argument|identifier|command))""",
    re.IGNORECASE | re.VERBOSE,
)
_NOTHING = re.compile(
    r"""^\W*(?:no|zero|0)\s+(?:\w+\s+){0,3}(?:results?|matches|matching|match|entries|records|rows|files|items|hits|data
    |documents|entities|found|available|exist)\b | ^\W*(?:nothing|none|not)\s+(?:was\s+|were\s+)?found\b
    | ^\W*(?:none|null|nil|empty|n/a)\W*$ | \bdoes\ not\ exist\W*$ | \bnot\ found\W*$""",
    re.IGNORECASE | re.VERBOSE,
)


def error_text(text: str) -> str | None:
    """The text where every paragraph of it reports an error, else None."""
    paragraphs = [part.strip() for part in re.split(r"\n\s*(?:-{3,}\s*\n)?\s*\n|\n-{3,}\n", text) if part.strip(" \n-")]
    if paragraphs and all(len(part) <= MAX_NOTICE and _ERROR.match(part) for part in paragraphs):
        return text.strip()
    return None


def says_nothing(text: str, data: Any = None) -> bool:
    """Is there no text, no value in the structured content, or a text that only says so?"""
    if data is not None and _empty(data):
        return True
    stripped = text.strip()
    if stripped[:1] in ("[", "{"):
        try:
            return _empty(json.loads(stripped))
        except (ValueError, RecursionError):
            pass
    return not stripped or (len(stripped) <= MAX_NOTICE and _NOTHING.search(stripped) is not None and "\n" not in stripped)


def _empty(value: Any) -> bool:
    """A list without items, an object of such: `{"entities": [], "relations": []}`. A number, 0 and False too, is a value."""
    if isinstance(value, Mapping):
        contents = [inner for inner in value.values() if isinstance(inner, Mapping | list | str) or inner is None]
        return all(map(_empty, contents)) and (len(contents) == len(value) or any(isinstance(c, list) for c in contents))
    if isinstance(value, str):
        return not value.strip()
    if isinstance(value, Sequence):
        return all(map(_empty, value))
    return value is None
