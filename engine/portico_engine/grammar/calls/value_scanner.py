"""Incremental scanning of one JSON text, however it is cut: where a string or a value ends.

It checks just enough to find the end; whether the value is valid JSON is decided by whoever decodes it. Characters that change
nothing (of a string, of a number within an object) are passed over together.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import NamedTuple

WHITESPACE = " \t\r\n"
_OF_A_STRING = re.compile(r'[^"\\]*')
_BETWEEN = re.compile(r"(?:[^\W_]|[ \t\r\n,:+.-])*")  # within brackets; `[^\W_]` is what `str.isalnum` says


class ScanStep(enum.Enum):
    """What a character did to a value that is being scanned."""

    MORE = enum.auto()  # it belongs to the value, which goes on
    END = enum.auto()  # it belongs to the value and ends it
    AFTER = enum.auto()  # it does not belong: the value (a number or word) ended before it
    BAD = enum.auto()  # no JSON value goes on like this


class Scanned(NamedTuple):
    """How far a text was scanned: what its last character did, and the place behind that."""

    step: ScanStep
    end: int


@dataclass(slots=True)
class ValueScanner:
    """Finds the end of one JSON value. Feed it the value's first character first (not whitespace)."""

    _closers: str = ""  # of open brackets, innermost last
    _in_string: bool = False
    _escaped: bool = False
    _started: bool = False
    _bare: bool = False  # a number, true, false or null

    def scan(self, text: str, at: int) -> Scanned:
        """Take the characters of `text` from `at` on, up to the first that doesn't leave MORE to come."""
        while at < len(text):
            if self._in_string and not self._escaped:
                at = _end(_OF_A_STRING, text, at)
            elif self._closers and not self._in_string:
                at = _end(_BETWEEN, text, at)
            if at == len(text):
                break
            step = self._step(text[at])
            at += 1
            if step is not ScanStep.MORE:
                return Scanned(step, at)
        return Scanned(ScanStep.MORE, at)

    def _step(self, c: str) -> ScanStep:
        if self._in_string:
            return self._string_step(c)
        first, self._started = not self._started, True
        if c == '"':
            if self._bare:
                return ScanStep.BAD
            self._in_string = True
            return ScanStep.MORE
        if c in "{[":
            if self._bare:
                return ScanStep.BAD
            self._closers += "}" if c == "{" else "]"
            return ScanStep.MORE
        if self._closers:
            return self._nested_step(c)
        if first:
            self._bare = c.isalnum() or c == "-"
            return ScanStep.MORE if self._bare else ScanStep.BAD
        return ScanStep.MORE if c.isalnum() or c in "+-." else ScanStep.AFTER

    def _string_step(self, c: str) -> ScanStep:
        if self._escaped:
            self._escaped = False
        elif c == "\\":
            self._escaped = True
        elif c == '"':
            self._in_string = False
            return ScanStep.MORE if self._closers else ScanStep.END
        return ScanStep.MORE

    def _nested_step(self, c: str) -> ScanStep:
        if c in "}]":
            if self._closers[-1] != c:
                return ScanStep.BAD
            self._closers = self._closers[:-1]
            return ScanStep.MORE if self._closers else ScanStep.END
        return ScanStep.MORE if c in WHITESPACE or c.isalnum() or c in ",:+-." else ScanStep.BAD


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Where what the pattern matches from `at` on ends; it matches nothing, too."""
    found = pattern.match(text, at)
    assert found is not None
    return found.end()
