"""Text that is no Unicode becomes it: a lone surrogate, which no encoding has, is U+FFFD from the edge on.

JSON can write one (`"\\ud83d"`), and clients that cut a text in the middle of an emoji do.
"""

from __future__ import annotations

import json
import re
from typing import Any

_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def unicode_text(text: str) -> str:
    """`text` with every lone surrogate replaced."""
    return _SURROGATE.sub(REPLACEMENT, text)


def unicode_value(value: Any) -> Any:
    """A JSON value in whose strings and members' names every lone surrogate is replaced."""
    match value:
        case str():
            return unicode_text(value)
        case list():
            return [unicode_value(each) for each in value]
        case dict():
            return {unicode_text(key): unicode_value(each) for key, each in value.items()}
        case _:
            return value


def unicode_json(text: str) -> str:
    """JSON text in whose strings every lone surrogate is replaced; text that is no JSON is as it was, but Unicode."""
    text = unicode_text(text)
    if not may_escape_surrogates(text):
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    mended = unicode_value(value)
    return text if mended == value else json.dumps(mended, ensure_ascii=False, separators=(",", ":"))


def may_escape_surrogates(text: str) -> bool:
    """Whether the JSON text has an escape of half a pair; most have none, and need not be walked."""
    return _ESCAPED_SURROGATE.search(text) is not None
