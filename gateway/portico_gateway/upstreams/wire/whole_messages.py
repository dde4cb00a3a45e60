"""Lines of a server as messages, also those that it spreads over several lines, as printers for people do.

It owns where such a message begins and ends: an opening bracket alone on its line begins one, as every such printer writes it,
and the brackets of the lines behind it end it. A line that was cut off begins none: nothing follows, and whoever waits is to
hear of it. What is a message by itself is one, whatever stands before it. It knows no ids.
"""

from __future__ import annotations

import re

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_BEGINNINGS = (b"{", b"[", b"[{")


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
        if not self._parts and line.strip() not in _BEGINNINGS:
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


def _is_message(line: bytes) -> bool:
    text = line.strip()
    return text.startswith(b"{") and text.endswith(b"}") and b'"jsonrpc"' in text and _opened(text) == 0


def _opened(line: bytes) -> int:
    """How many more brackets are opened than closed, outside of strings."""
    plain = _STRING.sub(b"", line)
    return plain.count(b"{") + plain.count(b"[") - plain.count(b"}") - plain.count(b"]")
