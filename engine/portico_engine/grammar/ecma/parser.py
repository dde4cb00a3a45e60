"""ECMA-262 patterns -> trees of `nodes`, as ECMA-262 reads them, Annex B included.

The parser keeps assertions apart from plain expressions, which it writes in the IR. `regress` decides what is a pattern. What a
pattern's language is it leaves to `lookaround`, and it knows no JSON.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NoReturn

import regress

from portico_engine.errors import InvalidSchema
from portico_engine.grammar.ecma.nodes import (
    DIGITS,
    LINE_ENDS,
    SPACE,
    WORD,
    Alternative,
    Assertion,
    AssertionKind,
    Backreference,
    CapturingGroup,
    Disjunction,
    PatternNode,
    Quantified,
    Regular,
)
from portico_engine.grammar.ecma.python_patterns import as_ecma
from portico_engine.grammar.ecma.unicode_properties import property_ranges
from portico_engine.grammar.ir import Chars, Node, Ranges, alt, chars, complement, merge_ranges, repeat, seq, text

_CLASSES = {"d": DIGITS, "w": WORD, "s": SPACE}
_CONTROLS = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13}
MAX_REPEAT = 100_000


def parse(pattern: str, *, captures: bool = False) -> PatternNode:
    """As ECMA-262 reads it (with the u flag where it parses so), and what other dialects write as they mean it. Raises
    InvalidSchema where it is no pattern."""
    pattern = as_ecma(pattern).pattern
    reason, unicode = _refusal(pattern)
    if reason is not None:
        raise InvalidSchema("", reason)
    return PatternParser(pattern, unicode, captures=captures).parse()


def check_pattern(pattern: str) -> str | None:
    """Why it is no pattern; None where it is one."""
    return _refusal(as_ecma(pattern).pattern)[0]


def _is_unicode(text: str) -> bool:
    """Has it a form in UTF-8?"""
    return text.isascii() or not any(0xD800 <= ord(char) <= 0xDFFF for char in text)


@lru_cache(maxsize=1024)
def _refusal(pattern: str) -> tuple[str | None, bool]:
    """Why it is none, and whether it is to be read with the u flag."""
    if not _is_unicode(pattern):
        return f"{pattern[:200]!r} holds half of a surrogate pair, which no text can match", False
    try:
        regress.Regex(pattern, "u")
    except regress.RegressError:
        try:
            regress.Regex(pattern)
        except regress.RegressError as error:
            return f"{pattern[:200]!r} is no ECMA-262 pattern: {error}", False
        return None, False
    return None, True


class PatternParser:
    """Recursive descent over a pattern that `regress` has accepted, so that syntax errors are internal faults here."""

    def __init__(self, pattern: str, unicode: bool, *, captures: bool = False) -> None:
        self.pattern = pattern
        self.unicode = unicode
        self.captures = captures
        self.at = 0
        self._groups = _groups(pattern)  # their names, "" where they have none
        self._opened = 0

    def parse(self) -> PatternNode:
        tree = self._disjunction()
        if self.at < len(self.pattern):
            self._fail()
        return tree

    def _fail(self) -> NoReturn:
        raise AssertionError(f"{self.pattern!r} at {self.at}")

    def _take(self, *prefixes: str) -> str | None:
        for prefix in prefixes:
            if self.pattern.startswith(prefix, self.at):
                self.at += len(prefix)
                return prefix
        return None

    def _peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def _disjunction(self) -> PatternNode:
        options = [self._alternative()]
        while self._take("|"):
            options.append(self._alternative())
        if len(options) == 1:
            return options[0]
        if all(isinstance(option, Regular) for option in options):
            return Regular(alt(*(option.node for option in options if isinstance(option, Regular))))
        return Disjunction(tuple(options))

    def _alternative(self) -> PatternNode:
        parts: list[PatternNode] = []
        while self._peek() not in ("", "|", ")"):
            parts.append(self._quantified(self._atom()))
        if all(isinstance(part, Regular) for part in parts):
            return Regular(seq(*(part.node for part in parts if isinstance(part, Regular))))
        return Alternative(tuple(parts))

    def _quantified(self, item: PatternNode) -> PatternNode:
        bounds = self._quantifier()
        if bounds is None:
            return item
        self._take("?")
        low, high = bounds
        if isinstance(item, Regular):
            return Regular(repeat(item.node, low, high))
        return Quantified(item, low, high)

    def _quantifier(self) -> tuple[int, int | None] | None:
        simple: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        mark = self._take("*", "+", "?")
        if mark:
            return simple[mark]
        if self._peek() != "{":
            return None
        end = self.pattern.find("}", self.at)
        low, comma, high = self.pattern[self.at + 1 : end].partition(",")
        if end < 0 or not low.isascii() or not low.isdigit() or (high and not (high.isascii() and high.isdigit())):
            return None  # a brace that stands for itself (Annex B)
        self.at = end + 1
        most = min(int(high), MAX_REPEAT) if high else (None if comma else min(int(low), MAX_REPEAT))
        return min(int(low), MAX_REPEAT), most

    def _atom(self) -> PatternNode:
        if self._take("^"):
            return Assertion("start")
        if self._take("$"):
            return Assertion("end")
        if self._take("("):
            return self._group()
        if self._take("["):
            return Regular(chars(*self._class()))
        if self._take("."):
            return Regular(Chars(complement(LINE_ENDS)))
        if self._take("\\"):
            return self._escape()
        self.at += 1
        return Regular(_character(ord(self.pattern[self.at - 1])))

    def _group(self) -> PatternNode:
        kinds: dict[str, AssertionKind] = {"?=": "ahead", "?!": "not-ahead", "?<=": "behind", "?<!": "not-behind"}
        assertion = self._take("?=", "?!", "?<=", "?<!")
        number = 0
        if not assertion and not self._take("?:"):
            self._opened += 1
            number = self._opened
            if self._take("?<"):
                self.at = self.pattern.index(">", self.at) + 1
        inner = self._disjunction()
        if not self._take(")"):
            self._fail()
        if assertion:
            return Assertion(kinds[assertion], inner)
        return CapturingGroup(number, inner) if number and self.captures else inner

    def _escape(self) -> PatternNode:
        mark = self._peek()
        if mark == "b" or mark == "B":
            self.at += 1
            return Assertion("edge" if mark == "b" else "not-edge")
        digits = re.compile("[1-9][0-9]*").match(self.pattern, self.at)
        if digits and int(digits[0]) <= len(self._groups):
            self.at = digits.end()
            return Backreference((int(digits[0]),))
        if mark == "k" and any(self._groups):
            end = self.pattern.index(">", self.at)
            name = self.pattern[self.at + 2 : end]
            self.at = end + 1
            return Backreference(tuple(number for number, known in enumerate(self._groups, 1) if known == name))
        ranges = self._class_escape()
        return Regular(chars(*ranges)) if ranges is not None else Regular(_character(self._character_escape()))

    def _class_escape(self) -> Ranges | None:
        """After a backslash: a class such as `d`, or None."""
        mark = self._peek()
        if mark and mark.lower() in _CLASSES:
            self.at += 1
            ranges = _CLASSES[mark.lower()]
            return ranges if mark.islower() else complement(ranges)
        if mark in ("p", "P") and self.unicode:
            end = self.pattern.index("}", self.at)
            expression = f"\\{self.pattern[self.at : end + 1]}"
            self.at = end + 1
            return property_ranges(expression)
        return None

    def _character_escape(self) -> int:
        mark = self.pattern[self.at]
        self.at += 1
        if mark in _CONTROLS:
            return _CONTROLS[mark]
        if mark in "01234567" and not self.unicode:
            return self._octal()
        if mark == "0":
            return 0
        if mark == "c" and self._peek().isalpha():
            self.at += 1
            return ord(self.pattern[self.at - 1]) & 31
        if mark == "x":
            return self._hex(2) if self._is_hex(2) else ord("x")
        if mark == "u":
            return self._unicode_escape()
        return ord(mark)

    def _unicode_escape(self) -> int:
        if self.unicode and self._take("{"):
            end = self.pattern.index("}", self.at)
            code = int(self.pattern[self.at : end], 16)
            self.at = end + 1
            return code
        if not self._is_hex(4):
            return ord("u")
        code = self._hex(4)
        if 0xD800 <= code <= 0xDBFF and self.pattern.startswith("\\u", self.at):
            back, self.at = self.at, self.at + 2
            if self._is_hex(4):
                low = self._hex(4)
                if 0xDC00 <= low <= 0xDFFF:
                    return 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
            self.at = back
        return code

    def _octal(self) -> int:
        """Annex B: up to three octal digits, at most \\377."""
        self.at -= 1
        digits = re.compile("[0-3][0-7]{0,2}|[4-7][0-7]?").match(self.pattern, self.at)
        assert digits is not None
        self.at = digits.end()
        return int(digits[0], 8)

    def _is_hex(self, digits: int) -> bool:
        part = self.pattern[self.at : self.at + digits]
        return len(part) == digits and all(c in "0123456789abcdefABCDEF" for c in part)

    def _hex(self, digits: int) -> int:
        self.at += digits
        return int(self.pattern[self.at - digits : self.at], 16)

    def _class(self) -> Ranges:
        negated = bool(self._take("^"))
        ranges: list[tuple[int, int]] = []
        while not self._take("]"):
            low = self._class_item()
            if self._peek() == "-" and self.pattern[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                high = self._class_item()
                if isinstance(low, int) and isinstance(high, int):
                    ranges.append((low, high))
                    continue
                ranges.append((0x2D, 0x2D))  # Annex B: a class beside the hyphen makes it stand for itself
                ranges += _as_ranges(high)
            ranges += _as_ranges(low)
        merged = merge_ranges(ranges)
        return complement(merged) if negated else merged

    def _class_item(self) -> int | Ranges:
        if not self._take("\\"):
            self.at += 1
            return ord(self.pattern[self.at - 1])
        if self._take("b"):
            return 8
        if self._take("-"):
            return 0x2D
        ranges = self._class_escape()
        return ranges if ranges is not None else self._character_escape()


def _groups(pattern: str) -> tuple[str, ...]:
    """The names of a pattern's capturing groups, in their order."""
    found = re.findall(r"\\.|\[(?:\\.|[^\]\\])*\]|(\((?!\?)|\(\?<(?![=!])[^>]*>)", pattern, re.DOTALL)
    return tuple(group[3:-1] for group in found if group)


def _as_ranges(item: int | Ranges) -> Ranges:
    return ((item, item),) if isinstance(item, int) else item


def _character(code: int) -> Node:
    return chars((code, code)) if 0xD800 <= code <= 0xDFFF else text(chr(code))
