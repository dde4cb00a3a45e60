"""Text that a person decides on, with everything visible that a screen would hide, join or reorder.

It owns which characters those are: controls, bidirectional marks, zero-width and other invisible ones, and spaces that look
like the common one. It knows nothing of what the text is about.
"""

from __future__ import annotations

import hashlib
import unicodedata
from typing import Any

# Letters and marks by their category, and yet drawn as nothing.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | frozenset(chr(c) for c in range(0xFE00, 0xFE10))
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_LONG = 600  # characters of one text that are shown whole; of a longer one the ends
_END = 200


def visible(text: str) -> str:
    """The same text with an escape such as \\u202e for each character that can't be seen."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(char) if _is_hidden(char) else char for char in text)


def by_its_ends(text: str, longest: int = _LONG) -> str:
    """A long text as its ends, its length and its digest: two that differ never look alike."""
    if len(text) <= longest:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    end = max(_END, longest // 3)
    return f"{text[:end]} […{len(text)} characters in all, sha256 {digest}…] {text[-end:]}"


def shortened(value: Any) -> Any:
    """A JSON value, every long text in it by its ends."""
    if isinstance(value, str):
        return by_its_ends(value)
    if isinstance(value, dict):
        return {by_its_ends(str(key)): shortened(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [shortened(item) for item in value]
    return value


def _is_hidden(char: str) -> bool:
    if " " <= char <= "~":
        return False
    category = unicodedata.category(char)
    return category in _HIDDEN_CATEGORIES or category == "Zs" or char in _INVISIBLE or 0xE0100 <= ord(char) <= 0xE01EF


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
