"""Incremental scanning of one JSON text, a character at a time: where a string or a value ends.

It checks just enough to find the end; whether the value is valid JSON is decided by whoever decodes it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

WHITESPACE = " \t\r\n"


class ScanStep(enum.Enum):
    """What a character did to a value that is being scanned."""

    MORE = enum.auto()  # it belongs to the value, which goes on
    END = enum.auto()  # it belongs to the value and ends it
    AFTER = enum.auto()  # it does not belong: the value (a number or word) ended before it
    BAD = enum.auto()  # no JSON value goes on like this


@dataclass(slots=True)
class ValueScanner:
    """Finds the end of one JSON value. Feed it the value's first character first (not whitespace)."""

    _closers: str = ""  # of open brackets, innermost last
    _in_string: bool = False
    _escaped: bool = False
    _started: bool = False
    _bare: bool = False  # a number, true, false or null

    def step(self, c: str) -> ScanStep:
        """Take one character."""
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
