"""A regular expression of Lark's or of a client's: the regular language of the whole strings that it matches."""

from __future__ import annotations

from typing import NamedTuple

from portico_engine.errors import GrammarError, InvalidSchema
from portico_engine.grammar.ecma.language import pattern_language
from portico_engine.grammar.ecma.python_patterns import as_ecma
from portico_engine.grammar.ir import Node


class MatchedStrings(NamedTuple):
    """The language, and what is in it beyond the expression's, if anything."""

    node: Node
    notes: tuple[str, ...]


def matched_strings(pattern: str, flags: str = "") -> MatchedStrings:
    """`flags` are Python's letters. Raises GrammarError where it can't be read."""
    flags = flags.replace("u", "")  # all of it is Unicode
    plain = pattern if "s" in flags else _without_line_ends(pattern)
    translated = as_ecma(f"(?{flags}:{plain})" if flags else plain)
    try:
        language = pattern_language(f"^(?:{translated.pattern})$")
    except InvalidSchema as error:
        raise GrammarError(f"the regular expression /{pattern[:60]}/ can't be read: {error.reason}") from None
    return MatchedStrings(language.node, tuple(filter(None, (translated.looser, language.loosened))))


def _without_line_ends(pattern: str) -> str:
    """Every `.` as Python and Rust read it: all but a line feed. ECMA-262's leaves out three more characters."""
    out: list[str] = []
    at, in_class = 0, False
    while at < len(pattern):
        c = pattern[at]
        if c == "\\":
            out.append(pattern[at : at + 2])
            at += 2
            continue
        in_class = c == "[" or (in_class and c != "]")
        out.append("[^\\n]" if c == "." and not in_class else c)
        at += 1
    return "".join(out)
