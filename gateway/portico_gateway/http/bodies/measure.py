"""How many values a JSON text has and how deep they lie, found without making anything of it.

Linear in the text and fed in pieces, so that an event loop can do it between other things. Whether the text is valid it doesn't
say.
"""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass
from itertools import accumulate

MAX_DEPTH = 100  # nested arrays and objects; what walks them recursively, here and in libraries, has 1,000 frames in all
MAX_VALUES = 100_000  # numbers, strings, arrays, objects ...: what a context of a million tokens holds, and 0.1 s to parse
PIECE = 1 << 15  # bytes that are measured at once: a millisecond or two

# All of a text up to the first string that doesn't end in it; possessive, so that it is read once.
_CLOSED = re.compile(rb'(?:[^"]++|"(?:[^"\\]++|\\.)*+")*+', re.DOTALL)
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_REST_OF_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_MARKED_STRING = re.compile(rb'"[^"]*+"')
_NO_MARKS = bytes(set(range(256)) - set(b'",[{]}'))
_STEPS = bytes.maketrans(b"[{]}", bytes((1, 1, 255, 255)))  # as signed bytes: one deeper, one less deep
_NO_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))


@dataclass(slots=True)
class JsonMeasure:
    """`values` counts every value but members' names, `deepest` the nested arrays and objects around the innermost one."""

    values: int = 1
    deepest: int = 0
    _depth: int = 0
    _in_string: bool = False
    _escaped: bool = False  # the last byte was a backslash within a string

    @property
    def too_much(self) -> str | None:
        """Which bound the text is over, so far; None where it is within them."""
        if self.deepest > MAX_DEPTH:
            return f"the body nests arrays and objects over {MAX_DEPTH} deep; at most {MAX_DEPTH} are taken"
        if self.values > MAX_VALUES:
            return f"the body has over {MAX_VALUES:,} values; at most {MAX_VALUES:,} are taken"
        return None

    @classmethod
    def of(cls, text: bytes) -> JsonMeasure:
        """Of a whole text, faster than in pieces. A backslash outside of strings, which is no JSON, hides what follows."""
        if b"\\" in text:
            text = _ESCAPE.sub(b"", text)
        marks = text.translate(None, _NO_MARKS).replace(b'""', b"")
        bare, _, _ = _MARKED_STRING.sub(b"", marks).partition(b'"')  # a string that doesn't end is none
        steps = array("b", bare.translate(_STEPS, _NO_BRACKETS))
        levels = list(accumulate(steps, initial=0))
        values = 1 + bare.count(b",") + bare.count(b"[") + bare.count(b"{")
        return cls(values, max(levels), levels[-1])

    def feed(self, piece: bytes) -> None:
        """The next bytes of the text."""
        if self._escaped and piece:
            piece, self._escaped = piece[1:], False
        if self._in_string:
            piece = self._string(piece)
        closed = _CLOSED.match(piece)
        assert closed is not None, "it matches nothing, too"
        bare = _STRING.sub(b"", closed[0])
        self.values += bare.count(b",") + bare.count(b"[") + bare.count(b"{")
        if steps := array("b", bare.translate(_STEPS, _NO_BRACKETS)):
            levels = list(accumulate(steps, initial=self._depth))
            self.deepest = max(self.deepest, *levels)
            self._depth = levels[-1]
        if closed.end() < len(piece):
            self._in_string = True
            self._string(piece[closed.end() + 1 :])

    def _string(self, piece: bytes) -> bytes:
        """Go on within a string; what comes after its end."""
        if b'"' not in piece and b"\\" not in piece:  # as the most of a long one
            return b""
        inside = _REST_OF_STRING.match(piece)
        assert inside is not None, "it matches nothing, too"
        end = inside.end()
        if end == len(piece):
            return b""
        if piece[end : end + 1] == b'"':
            self._in_string = False
            return piece[end + 1 :]
        self._escaped = True  # a backslash is the last byte
        return b""
