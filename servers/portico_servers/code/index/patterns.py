"""From a regular expression in ripgrep's syntax to the trigrams that every match of it holds. Pure.

The construction is Russ Cox's ("Regular Expression Matching with a Trigram Index", 2012): of each part either all its strings
are known, or what they may begin and end with and what they need. Here beginnings and ends are kept to two bytes: longer
ones are in the need already. What is not understood, or may match anything, needs nothing: never more than is true.

Syntax: docs.rs/regex, "Syntax". Strings are UTF-8, folded as `trigrams.fold` does, so that case never matters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from portico_servers.code.index.trigrams import ANYTHING, Need, fold, needed

_STRINGS = 32  # of a part that are kept one by one
_SIZE = 200  # trigrams of a need: each costs a look at many files
_COPIES = 4  # of what is repeated
_DEPTH = 50
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_CODE = re.compile(r"x([0-9A-Fa-f]{2})|[xuU]\{([0-9A-Fa-f]+)\}|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})")
_REPEAT = re.compile(r"\{\s*(\d*)\s*(?:(,)\s*(\d*)\s*)?\}")
_GROUP = re.compile(r"\?(?:P?<\w[\w.\[\]]*>|([A-Za-z]*)(-[A-Za-z]+)?([:)]))")
_EMPTY_WIDTH = "AzbB<>"
_ANY_OF_MANY = "dDwWsS"


class _Unknown(Exception):
    """Syntax that is not understood here: ripgrep will say what it thinks of it."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What is known of the strings that a part of the pattern matches. `exact`: all of them, or None; then each begins with
    one of `heads` and ends with one of `tails` (of two bytes at most; b"" says nothing), and holds `need`."""

    exact: frozenset[bytes] | None
    heads: frozenset[bytes] = frozenset((b"",))
    tails: frozenset[bytes] = frozenset((b"",))
    need: Need = ANYTHING


_NOTHING = _Part(frozenset((b"",)))
_UNKNOWN = _Part(None)


def requires(pattern: str) -> Need:
    """What a file must hold for a line of it to match `pattern`; `ANYTHING` for what can't be told."""
    try:
        return _need(_Parser(pattern).parse())
    except (_Unknown, UnicodeEncodeError):
        return ANYTHING


def literal(text: str) -> Need:
    """What a file that holds `text` must hold."""
    try:
        return needed(fold(text.encode()))
    except UnicodeEncodeError:
        return ANYTHING


class _Parser:
    """Recursive descent over the pattern. It may take what ripgrep refuses, but never reads it as something else."""

    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0
        self._any_case = False

    def parse(self) -> _Part:
        part = self._alternation(0)
        if self._at < len(self._text):
            raise _Unknown  # a bracket too many
        return part

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        if self._at >= len(self._text):
            raise _Unknown
        self._at += 1
        return self._text[self._at - 1]

    def _match(self, expression: re.Pattern[str]) -> re.Match[str]:
        found = expression.match(self._text, self._at)
        if found is None:
            raise _Unknown
        self._at = found.end()
        return found

    def _alternation(self, depth: int) -> _Part:
        if depth > _DEPTH:
            raise _Unknown
        any_case = self._any_case  # what a group turns on ends with it
        parts = [self._sequence(depth)]
        while self._peek() == "|":
            self._at += 1
            parts.append(self._sequence(depth))
        self._any_case = any_case
        return _either(parts)

    def _sequence(self, depth: int) -> _Part:
        whole = _NOTHING
        while self._peek() not in ("", "|", ")"):
            part = self._atom(depth)
            while self._peek() in ("*", "+", "?", "{"):
                part = self._repeated(part)
            whole = _joined(whole, part)
        return whole

    def _repeated(self, part: _Part) -> _Part:
        least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(self._peek(), (-1, None))
        if least >= 0:
            self._at += 1
        else:
            first, comma, last = self._match(_REPEAT).groups()
            if not first and not comma:
                raise _Unknown
            least = int(first or 0)
            most = int(last) if last else None if comma else least
        if self._peek() == "?":
            self._at += 1  # lazy: the same strings
        if least == 0:
            return _either([part, _NOTHING]) if most == 1 else _UNKNOWN
        whole = part
        for _ in range(min(least, _COPIES) - 1):
            whole = _joined(whole, part)
        return whole if least == most and least <= _COPIES else _inexact(whole)

    def _atom(self, depth: int) -> _Part:
        char = self._take()
        if char == "(":
            return self._group(depth)
        if char == "[":
            chars = self._class(depth)
            return _UNKNOWN if chars is None else _either([self._character(one) for one in sorted(chars)])
        if char == "\\":
            return self._escape()
        if char == ".":
            return _UNKNOWN
        if char in "^$":
            return _NOTHING
        if char in "*+?{":
            raise _Unknown
        return self._character(char)

    def _character(self, char: str) -> _Part:
        if self._any_case and not char.isascii():
            return _UNKNOWN  # what else it stands for depends on Unicode's version
        return _Part(frozenset((fold(char.encode()),)))

    def _group(self, depth: int) -> _Part:
        if self._peek() == "?":
            on, off, end = self._match(_GROUP).groups()
            flags = (on or "") + (off or "")
            if "x" in flags or "u" in flags:  # white space that isn't there, bytes that aren't characters
                raise _Unknown
            if end == ")":
                self._any_case = ("i" in (on or "")) or (self._any_case and "i" not in (off or ""))
                return _NOTHING
            before = self._any_case
            self._any_case = ("i" in (on or "")) or (before and "i" not in (off or ""))
            part = self._alternation(depth + 1)
            self._any_case = before
        else:
            part = self._alternation(depth + 1)
        if self._take() != ")":
            raise _Unknown
        return part

    def _escape(self) -> _Part:
        char = self._take()
        if char in _EMPTY_WIDTH:
            if char == "b" and re.match(r"\{[a-z]", self._text[self._at :]):
                self._at = self._text.index("}", self._at) + 1 if "}" in self._text[self._at :] else len(self._text)
            return _NOTHING
        if char in _ANY_OF_MANY:
            return _UNKNOWN
        if char in "pP":
            self._property()
            return _UNKNOWN
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
                raise _Unknown
            return chr(int(digits, 16))
        if char.isalnum():
            raise _Unknown
        return char

    def _class(self, depth: int) -> set[str] | None:
        """The characters of a class, after its `[`; None for many, or for what takes more than listing to tell."""
        if depth > _DEPTH:
            raise _Unknown
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
                many = many or ord(high) - ord(low) >= _STRINGS
                chars.update(() if many else map(chr, range(ord(low), ord(high) + 1)))
        return None if many or not 0 < len(chars) <= _STRINGS else chars

    def _upper_end(self, low: str) -> str:
        """The end of a range that begins with `low`; `low` itself if there is none."""
        after = self._text[self._at + 1 : self._at + 2]
        if self._peek() != "-" or after in ("]", "-", "["):
            return low
        self._at += 1
        char = self._take()
        return self._escaped() if char == "\\" else char


def _joined(left: _Part, right: _Part) -> _Part:
    """What the one followed by the other matches."""
    if left.exact is not None and right.exact is not None:
        if len(left.exact) * len(right.exact) <= _STRINGS:
            return _Part(frozenset(a + b for a in left.exact for b in right.exact))
        left, right = _inexact(left), _inexact(right)
    across = left.tails if left.exact is None else left.exact
    begins = right.heads if right.exact is None else right.exact
    if len(across) * len(begins) > _STRINGS:
        left, right = _inexact(left), _inexact(right)
        return _Part(None, left.heads, right.tails, _both(left.need, right.need))
    need = _any_of(a + b for a in across for b in begins)  # what the exact side needs is in there
    heads, tails = left.heads, right.tails
    if left.exact is None:
        need = _both(need, left.need)
    else:
        heads = _ends(a + b for a in left.exact for b in right.heads)
    if right.exact is None:
        need = _both(need, right.need)
    else:
        tails = _ends((a + b for a in left.tails for b in right.exact), last=True)
    return _Part(None, heads, tails, need)


def _either(parts: list[_Part]) -> _Part:
    if len(parts) == 1:
        return parts[0]
    exact: set[bytes] = set()
    for part in parts:
        if part.exact is None:
            break
        exact |= part.exact
    else:
        if len(exact) <= _STRINGS:
            return _Part(frozenset(exact))
    parts = [_inexact(part) for part in parts]
    heads = _few(frozenset[bytes]().union(*(part.heads for part in parts)))
    tails = _few(frozenset[bytes]().union(*(part.tails for part in parts)))
    return _Part(None, heads, tails, _one_of([part.need for part in parts]))


def _inexact(part: _Part) -> _Part:
    """The same, or more strings: those that begin and end alike and need as much."""
    if part.exact is None:
        return part
    return _Part(None, _ends(part.exact), _ends(part.exact, last=True), _any_of(part.exact))


def _need(part: _Part) -> Need:
    return part.need if part.exact is None else _any_of(part.exact)


def _any_of(strings: Iterable[bytes]) -> Need:
    return _one_of([needed(string) for string in strings])


def _one_of(needs: list[Need]) -> Need:
    distinct = tuple(dict.fromkeys(needs))
    if len(distinct) == 1:
        return distinct[0]
    whole = Need(either=(distinct,))
    return whole if all(distinct) and whole.size <= _SIZE else ANYTHING


def _both(one: Need, other: Need) -> Need:
    """Of what both need together, as much as is worth asking for."""
    trigrams = frozenset(sorted(one.trigrams | other.trigrams)[: _SIZE // 4])
    groups, left = [], _SIZE - len(trigrams)
    for group in dict.fromkeys((*one.either, *other.either)):
        left -= sum(member.size for member in group)
        if left < 0:
            break
        groups.append(group)
    return Need(trigrams, tuple(groups))


def _ends(strings: Iterable[bytes], *, last: bool = False) -> frozenset[bytes]:
    """The first two bytes of each, or the last two."""
    return _few(frozenset(string[-2:] if last else string[:2] for string in strings))


def _few(ends: frozenset[bytes]) -> frozenset[bytes]:
    return ends if b"" not in ends and len(ends) <= _STRINGS else frozenset((b"",))
