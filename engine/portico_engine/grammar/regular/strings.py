"""JSON strings: from a language of code points to the language of their one canonical JSON spelling.

Canonical is what `json.dumps(value, ensure_ascii=False)` writes: two-character escapes where JSON has them, `\\u00xx` in lower
case for the other control characters, every other character as itself. The mapping takes each code point to its own fixed
spelling, none a prefix of another, so it carries intersections and complements over exactly.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache

from portico_engine.grammar.ir import (
    ANY_CHARACTER,
    Alt,
    And,
    Chars,
    Empty,
    Never,
    Node,
    Not,
    Ref,
    Repeat,
    Seq,
    Text,
    TokenRef,
    alt,
    chars,
    repeat,
    seq,
    text,
)

ESCAPES = {0x08: "\\b", 0x09: "\\t", 0x0A: "\\n", 0x0C: "\\f", 0x0D: "\\r", 0x22: '\\"', 0x5C: "\\\\"}


def json_literal(value: object) -> str:
    """The canonical JSON text of a value, keys in the order given."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def is_text(value: str) -> bool:
    """Is it free of lone surrogates, so that UTF-8 can write it?"""
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)


@lru_cache(maxsize=4096)
def spell_chars(ranges: tuple[tuple[int, int], ...]) -> Node:
    """The spellings of a class of code points."""
    plain: list[tuple[int, int]] = []
    special: list[int] = []
    for low, high in ranges:
        for code in (*range(low, min(high, 0x1F) + 1), *(c for c in (0x22, 0x5C) if low <= c <= high)):
            special.append(code)
        plain.extend(_minus_special(low, high))
    letters = "".join(ESCAPES[c][1] for c in special if c in ESCAPES)
    other = [c for c in special if c not in ESCAPES]
    parts: list[Node] = [chars(*plain)]
    if letters:
        parts.append(seq(text("\\"), chars(letters)))
    for high_digit in (0, 1):
        digits = "".join(f"{c & 15:x}" for c in other if c >> 4 == high_digit)
        if digits:
            parts.append(seq(text(f"\\u00{high_digit}"), chars(digits)))
    return alt(*parts)


def _minus_special(low: int, high: int) -> list[tuple[int, int]]:
    out = []
    at = max(low, 0x20)
    for code in (0x22, 0x5C):
        if at <= code <= high:
            out.append((at, code - 1))
            at = code + 1
    out.append((at, high))
    return [(a, b) for a, b in out if a <= b]


ANY_SPELLED = spell_chars(ANY_CHARACTER.ranges)
ANY_SPELLED_TEXT = repeat(ANY_SPELLED)


def spell(node: Node) -> Node:
    """The spellings of a regular language of code points."""
    match node:
        case Empty() | Never():
            return node
        case Text(value):
            return text(json.dumps(value, ensure_ascii=False)[1:-1])
        case Chars(ranges):
            return spell_chars(ranges)
        case Seq(parts):
            return seq(*map(spell, parts))
        case Alt(options):
            return alt(*map(spell, options))
        case Repeat(item, low, high):
            return repeat(spell(item), low, high)
        case And(parts):
            return _intersection(parts)
        case Not():
            return _intersection((node,))
        case Ref() | TokenRef():
            raise AssertionError("a string's language is regular")


def _intersection(parts: tuple[Node, ...]) -> Node:
    """Spellings of what is in every part: the positive ones, and at most one complement of all that is excluded."""
    wanted: list[Node] = []
    excluded: list[Node] = []
    for part in _flat(parts):
        if isinstance(part, Not):
            excluded.append(spell(part.item))
        else:
            wanted.append(spell(part))
    if not wanted:
        wanted = [ANY_SPELLED_TEXT]
    if excluded:
        wanted.append(Not(alt(*excluded)))
    return wanted[0] if len(wanted) == 1 else And(tuple(wanted))


def _flat(parts: Iterable[Node]) -> Iterator[Node]:
    for part in parts:
        if isinstance(part, And):
            yield from _flat(part.parts)
        else:
            yield part


def quoted(node: Node) -> Node:
    """A JSON string whose value is in the language `node` of code points."""
    return seq(text('"'), spell(node), text('"'))
