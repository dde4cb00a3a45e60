"""Text that is not Unicode, made plain: half of a surrogate pair becomes U+FFFD. JSON may hold such halves as escapes, and
names of files hold them where they are no UTF-8 (PEP 383), but no encoder takes them. It knows not where text comes from.

Source: RFC 8259, section 8.2 (unpaired surrogates are possible, and unpredictable).
"""

from __future__ import annotations

import re
from typing import Any

REPLACEMENT = "\ufffd"
_HALF = re.compile("[\ud800-\udfff]")
# Every escape of a JSON text, pairs as one: so that `\\ud83d` (a backslash, then letters) is not taken for a half.
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


def plain_text(text: str) -> str:
    """The text, with U+FFFD for each half of a pair that stands alone; itself where there is none."""
    return text if text.isascii() else _HALF.sub(REPLACEMENT, text)


def plain_json(text: str) -> str:
    """A JSON text whose strings hold no half of a pair, neither as an escape nor as itself. It need not be valid JSON."""
    text = plain_text(text)
    if "\\ud" not in text and "\\uD" not in text:
        return text
    return _ESCAPE.sub(lambda found: "\\ufffd" if found[1] else found[0], text)


def plain_body(body: bytes) -> bytes:
    """As `plain_json`, of bytes: those that are no UTF-8 become U+FFFD too."""
    return plain_json(body.decode("utf-8", "replace")).encode()


def plain_value(value: Any) -> Any:
    """A JSON value (dicts, lists, strings, numbers) with plain text in all of it, keys included; itself if it has that."""
    if isinstance(value, str):
        return plain_text(value)
    if isinstance(value, dict):
        return {plain_value(key): plain_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_value(item) for item in value]
    return value
