"""Lines of a server as messages, also those that it spreads over several lines, as printers for people do.

It owns where such a message begins and ends: a line that is the beginning of a JSON text and no more begins one, the brackets
of the lines behind it end it. What is a message by itself is one, whatever stands before it. It knows no ids.
"""

from __future__ import annotations

import json
import re

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_LONGEST_BEGINNING = 64 << 10  # bytes of a line that is looked at: such beginnings are short


class MessageLines:
    """`feed` gives lines that are to be read, each a whole text as far as can be told. Texts of more than `longest` bytes are
    given as far as they came.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._parts: list[bytes] = []
        self._size = 0
        self._open = 0  # brackets

    def feed(self, line: bytes) -> list[bytes]:
        """The texts that this line ends: itself, or what it is the last line of; both, where it says what was begun is none."""
        if not self._parts and not _begins_text(line):
            return [line]
        if self._parts and _is_message(line):
            return [*self.end(), line]
        self._parts.append(line)
        self._size += len(line)
        self._open += _opened(line)
        return [] if self._open > 0 and self._size <= self._longest else self.end()

    def end(self) -> list[bytes]:
        """What has come of a text, if one was begun: nothing follows."""
        parts, self._parts = self._parts, []
        self._size = self._open = 0
        return [b"\n".join(parts)] if parts else []


def _begins_text(line: bytes) -> bool:
    """Is it the beginning of an object or a list of objects, and right as far as it goes?"""
    text = line.strip() if len(line) <= _LONGEST_BEGINNING else b""
    if not text.startswith((b"{", b"[")) or text.endswith((b"}", b"]")) or _opened(text) <= 0:
        return False
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return error.pos >= len(error.doc)
    except (ValueError, RecursionError):
        pass
    return False


def _is_message(line: bytes) -> bool:
    text = line.strip()
    return text.startswith(b"{") and text.endswith(b"}") and b'"jsonrpc"' in text and _opened(text) == 0


def _opened(line: bytes) -> int:
    """How many more brackets are opened than closed, outside of strings."""
    plain = _STRING.sub(b"", line)
    return plain.count(b"{") + plain.count(b"[") - plain.count(b"}") - plain.count(b"]")
