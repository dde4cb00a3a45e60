"""Lark text -> its tokens, each with its line; blanks and comments are left out."""

from __future__ import annotations

import re
from typing import NamedTuple

from portico_engine.errors import GrammarError

_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r\f]+|//[^\n]*|\#[^\n]*)
      | (?P<newline>\n)
      | (?P<name>[!?]{0,2}_?[a-z][a-zA-Z0-9_]*|_?[A-Z][a-zA-Z0-9_]*)
      | (?P<string>"(?:\\.|[^"\\\n])*"i?)
      | (?P<regex>/(?!/)(?:\\.|[^/\\\n])+/[imsux]*)
      | (?P<number>\d+)
      | (?P<directive>%[a-z_]+)
      | (?P<mark>->|\.\.|[|:()\[\]*+?~.,{}])""",
    re.VERBOSE,
)


class Token(NamedTuple):
    """`kind` is newline, name, string, regex, number, directive or mark."""

    kind: str
    text: str
    line: int


def tokens_of(text: str) -> list[Token]:
    """Without blanks, and without line ends that a rule goes on behind."""
    found: list[Token] = []
    at, line, depth = 0, 1, 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise GrammarError(f"Lark grammar, line {line}: {text[at]!r} begins nothing that is known here")
        kind, value = match.lastgroup or "", match[0]
        if kind == "newline":
            if not depth:
                found.append(Token(kind, value, line))
            line += 1
        elif kind != "blank":
            depth += (value in "([") - (value in ")]") if kind == "mark" else 0
            while value == "|" and found and found[-1].kind == "newline":
                found.pop()
            found.append(Token(kind, value, line))
        at = match.end()
    return found
