"""From a regular expression in ripgrep's syntax to the trigrams that every match of it holds: reads the syntax, and has
`regex_info` put the parts together. What is not understood asks for nothing: never more than is true. Pure.

Syntax: docs.rs/regex, "Syntax". Strings are UTF-8, folded as `trigrams.fold` does, so that case never matters.
"""

from __future__ import annotations

import re

from portico_servers.code.index.regex_info import (
    EMPTY,
    MAX_STRINGS,
    UNKNOWN,
    RegexInfo,
    alternation,
    concatenated,
    inexact,
    query_of,
)
from portico_servers.code.index.trigrams import ANYTHING, TrigramQuery, fold, string_query

_COPIES = 4  # of what is repeated
_DEPTH = 50
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_CODE = re.compile(r"x([0-9A-Fa-f]{2})|[xuU]\{([0-9A-Fa-f]+)\}|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})")
_REPEAT = re.compile(r"\{\s*(\d*)\s*(?:(,)\s*(\d*)\s*)?\}")
_GROUP = re.compile(r"\?(?:P?<\w[\w.\[\]]*>|([A-Za-z]*)(-[A-Za-z]+)?([:)]))")
_EMPTY_WIDTH = "AzbB<>"
_ANY_OF_MANY = "dDwWsS"


class _Unsupported(Exception):
    """Syntax that is not understood here: ripgrep will say what it thinks of it."""


def trigram_query(pattern: str) -> TrigramQuery:
    """What a file must hold for a line of it to match `pattern`; `ANYTHING` for what can't be told."""
    try:
        return query_of(_Parser(pattern).parse())
    except (_Unsupported, UnicodeEncodeError):
        return ANYTHING


def literal_query(text: str) -> TrigramQuery:
    """What a file that holds `text` must hold."""
    try:
        return string_query(fold(text.encode()))
    except UnicodeEncodeError:
        return ANYTHING


class _Parser:
    """Recursive descent over the pattern. It may take what ripgrep refuses, but never reads it as something else."""

    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0
        self._any_case = False

    def parse(self) -> RegexInfo:
        part = self._alternation(0)
        if self._at < len(self._text):
            raise _Unsupported  # a bracket too many
        return part

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        if self._at >= len(self._text):
            raise _Unsupported
        self._at += 1
        return self._text[self._at - 1]

    def _match(self, expression: re.Pattern[str]) -> re.Match[str]:
        found = expression.match(self._text, self._at)
        if found is None:
            raise _Unsupported
        self._at = found.end()
        return found

    def _alternation(self, depth: int) -> RegexInfo:
        if depth > _DEPTH:
            raise _Unsupported
        any_case = self._any_case  # what a group turns on ends with it
        parts = [self._sequence(depth)]
        while self._peek() == "|":
            self._at += 1
            parts.append(self._sequence(depth))
        self._any_case = any_case
        return alternation(parts)

    def _sequence(self, depth: int) -> RegexInfo:
        whole = EMPTY
        while self._peek() not in ("", "|", ")"):
            part = self._atom(depth)
            while self._peek() in ("*", "+", "?", "{"):
                part = self._repeated(part)
            whole = concatenated(whole, part)
        return whole

    def _repeated(self, part: RegexInfo) -> RegexInfo:
        least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(self._peek(), (-1, None))
        if least >= 0:
            self._at += 1
        else:
            first, comma, last = self._match(_REPEAT).groups()
            if not first and not comma:
                raise _Unsupported
            least = int(first or 0)
            most = int(last) if last else None if comma else least
        if self._peek() == "?":
            self._at += 1  # lazy: the same strings
        if least == 0:
            return alternation([part, EMPTY]) if most == 1 else UNKNOWN
        whole = part
        for _ in range(min(least, _COPIES) - 1):
            whole = concatenated(whole, part)
        return whole if least == most and least <= _COPIES else inexact(whole)

    def _atom(self, depth: int) -> RegexInfo:
        char = self._take()
        if char == "(":
            return self._group(depth)
        if char == "[":
            chars = self._class(depth)
            return UNKNOWN if chars is None else alternation([self._character(one) for one in sorted(chars)])
        if char == "\\":
            return self._escape()
        if char == ".":
            return UNKNOWN
        if char in "^$":
            return EMPTY
        if char in "*+?{":
            raise _Unsupported
        return self._character(char)

    def _character(self, char: str) -> RegexInfo:
        if self._any_case and not char.isascii():
            return UNKNOWN  # what else it stands for depends on Unicode's version
        return RegexInfo(frozenset((fold(char.encode()),)))

    def _group(self, depth: int) -> RegexInfo:
        if self._peek() == "?":
            on, off, end = self._match(_GROUP).groups()
            flags = (on or "") + (off or "")
            if "x" in flags or "u" in flags:  # white space that isn't there, bytes that aren't characters
                raise _Unsupported
            if end == ")":
                self._any_case = ("i" in (on or "")) or (self._any_case and "i" not in (off or ""))
                return EMPTY
            before = self._any_case
            self._any_case = ("i" in (on or "")) or (before and "i" not in (off or ""))
            part = self._alternation(depth + 1)
            self._any_case = before
        else:
            part = self._alternation(depth + 1)
        if self._take() != ")":
            raise _Unsupported
        return part

    def _escape(self) -> RegexInfo:
        char = self._take()
        if char in _EMPTY_WIDTH:
            if char == "b" and re.match(r"\{[a-z]", self._text[self._at :]):
                self._at = self._text.index("}", self._at) + 1 if "}" in self._text[self._at :] else len(self._text)
            return EMPTY
        if char in _ANY_OF_MANY:
            return UNKNOWN
        if char in "pP":
            self._property()
            return UNKNOWN
        self._at -= 1
        return self._character(self._escaped())

    def _property(self) -> None:
        if self._take() == "{":
            while self._take() != "}":
                pass

    def _escaped(self) -> str:
        """The character that an escape stands for, after its backslash."""
        char = self._take()
        if char in _ESCAPED:
            return _ESCAPED[char]
        if char in "xuU":
            self._at -= 1
            digits = next(filter(None, self._match(_CODE).groups()))
            if int(digits, 16) > 0x10FFFF:
                raise _Unsupported
            return chr(int(digits, 16))
        if char.isalnum():
            raise _Unsupported
        return char

    def _class(self, depth: int) -> set[str] | None:
        """The characters of a class, after its `[`; None for many, or for what takes more than listing to tell."""
        if depth > _DEPTH:
            raise _Unsupported
        chars: set[str] = set()
        many = False
        if self._peek() == "^":
            self._at += 1
            many = True
        first = True
        while (char := self._take()) != "]" or first:
            first = False
            if char == "[":
                self._class(depth + 1)  # a nested class, or a named one
                many = True
            elif char == "\\" and self._peek() in _ANY_OF_MANY + "pP":
                if self._take() in "pP":
                    self._property()
                many = True
            elif char in "&-~" and self._peek() == char:
                many = True  # an operation on sets
            else:
                low = self._escaped() if char == "\\" else char
                high = self._upper_end(low)
                many = many or ord(high) - ord(low) >= MAX_STRINGS
                chars.update(() if many else map(chr, range(ord(low), ord(high) + 1)))
        return None if many or not 0 < len(chars) <= MAX_STRINGS else chars

    def _upper_end(self, low: str) -> str:
        """The end of a range that begins with `low`; `low` itself if there is none."""
        after = self._text[self._at + 1 : self._at + 2]
        if self._peek() != "-" or after in ("]", "-", "["):
            return low
        self._at += 1
        char = self._take()
        return self._escaped() if char == "\\" else char
