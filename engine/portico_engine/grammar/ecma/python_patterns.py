"""Patterns of other dialects (Python's above all), as ECMA-262 writes them: tools' schemas are made from programs.

It translates what has a meaning in ECMA-262: anchors `\\A \\Z \\z`, named groups `(?P<n>..)` and `(?P=n)`, flags `(?i) (?s)
(?m) (?x)` for all or `(?i:..)` for a part, comments `(?#..)`, POSIX classes `[[:alpha:]]`. Possessive quantifiers and atomic
groups lose what they are for, which is to match less. What has none (conditions, recursion) the parser refuses.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_TELLING = re.compile(r"\(\?[a-zA-Z^-]*[imsxuaL]|\(\?P|\(\?#|\(\?>|\\[AZz]|\[:\^?[a-z]+:\]|[*+?}]\+")
_FLAGS = re.compile(r"\(\?([imsxuaL]*)(?:-([imsx]+))?([:)])")
_POSIX = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": "\\s",
    "blank": " \\t",
    "punct": "!-\\/:-@\\[-`{-~",
    "xdigit": "0-9A-Fa-f",
    "word": "\\w",
    "cntrl": "\\x00-\\x1f\\x7f",
    "print": " -~",
    "graph": "!-~",
}
_BEGIN, _END = "(?<![^\\n])", "(?![^\\n])"  # of a line


class Translated(NamedTuple):
    """A pattern in ECMA-262's words, and what it matches too much, if it does."""

    pattern: str
    looser: str = ""


@lru_cache(maxsize=1024)
def as_ecma(pattern: str) -> Translated:
    """The pattern as it is, where nothing in it is another dialect's."""
    if not _TELLING.search(pattern):
        return Translated(pattern)
    return _Translation(pattern).run()


class _Translation:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.out: list[str] = []
        self.flags: frozenset[str] = frozenset()
        self.opened: list[frozenset[str]] = []  # the flags outside of each open group
        self.looser = ""

    def run(self) -> Translated:
        while self.at < len(self.pattern):
            self._step()
        return Translated("".join(self.out), self.looser)

    def _step(self) -> None:
        c = self.pattern[self.at]
        if c == "\\":
            self._escape()
        elif c == "[":
            self._class()
        elif c == "(":
            self._group()
        elif c == ")":
            self.flags = self.opened.pop() if self.opened else self.flags
            self._write(c)
        elif c in "*+?}" and self.pattern[self.at + 1 : self.at + 2] == "+" and self._quantifies(c):
            self.looser = "what the pattern matches without being possessive"
            self._write(c)
            self.at += 1
        elif c == "." and "s" in self.flags:
            self._write("[\\s\\S]", 1)
        elif c in "^$" and "m" in self.flags:
            self._write(_BEGIN if c == "^" else _END, 1)
        elif "x" in self.flags and (c.isspace() or c == "#"):
            end = self.pattern.find("\n", self.at) if c == "#" else self.at
            self.at = len(self.pattern) if end < 0 else end + 1
        else:
            self._write(self._cased(c), 1)

    def _write(self, text: str, read: int | None = None) -> None:
        self.out.append(text)
        self.at += len(text) if read is None else read

    def _quantifies(self, c: str) -> bool:
        """Is it a quantifier's end? `}` stands for itself too."""
        return c != "}" or re.search(r"\{\d+(,\d*)?$", self.pattern[: self.at]) is not None

    def _cased(self, c: str) -> str:
        if "i" not in self.flags or not c.isalpha():
            return c
        other = c.swapcase()
        return f"[{c}{other}]" if len(other) == 1 and other != c else c

    def _escape(self) -> None:
        mark = self.pattern[self.at + 1 : self.at + 2]
        if mark in ("A", "Z", "z"):
            self._write("^" if mark == "A" else "$", 2)
        else:
            self._write("\\" + mark, 2)

    def _group(self) -> None:
        rest = self.pattern[self.at :]
        if rest.startswith("(?P<"):
            self._open("(?<", 4)
        elif rest.startswith("(?P="):
            end = self.pattern.find(")", self.at)
            self._write(f"\\k<{self.pattern[self.at + 4 : end]}>", end + 1 - self.at)
        elif rest.startswith("(?#"):
            end = self.pattern.find(")", self.at)
            self.at = len(self.pattern) if end < 0 else end + 1
        elif rest.startswith("(?>"):
            self.looser = "what the pattern matches without its groups being atomic"
            self._open("(?:", 3)
        elif flags := _FLAGS.match(self.pattern, self.at):
            self._set(flags)
        else:
            prefix = next((p for p in ("(?:", "(?=", "(?!", "(?<=", "(?<!", "(?<") if rest.startswith(p)), "(")
            self._open(prefix, len(prefix))

    def _open(self, text: str, read: int) -> None:
        self.opened.append(self.flags)
        self._write(text, read)
        if text == "(?<":  # a name follows
            end = self.pattern.find(">", self.at)
            if end >= 0:
                self._write(self.pattern[self.at : end + 1])

    def _set(self, found: re.Match[str]) -> None:
        flags = (self.flags | set(found[1])) - set(found[2] or "")
        if found[3] == ":":
            self._open("(?:", found.end() - found.start())
        else:
            self.at = found.end()
        self.flags = frozenset(flags)

    def _class(self) -> None:
        """A class in brackets, with POSIX's names written out, and both cases of its letters where case doesn't count."""
        end = self.at + 1
        end += self.pattern[end : end + 1] == "^"
        while end < len(self.pattern) and self.pattern[end] != "]":
            named = re.match(r"\[:\^?[a-z]+:\]", self.pattern[end:])
            end += named.end() if named else 2 if self.pattern[end] == "\\" else 1
        body = self.pattern[self.at : end]
        body = re.sub(r"\[:([a-z]+):\]", lambda name: _POSIX.get(name[1], name[0]), body)
        if "i" in self.flags:
            body += _other_case(body)
        self._write(body, end - self.at)


def _other_case(body: str) -> str:
    """The ranges and letters of a class in the other case."""
    found = []
    plain = re.sub(r"\\.", " ", body)
    for low, high in re.findall(r"([a-zA-Z])-([a-zA-Z])", plain):
        if low.islower() == high.islower():
            found.append(f"{low.swapcase()}-{high.swapcase()}")
    found += [c.swapcase() for c in re.sub(r"[a-zA-Z]-[a-zA-Z]", "", plain) if c.isalpha() and len(c.swapcase()) == 1]
    return "".join(found)
