"""A pattern's language: the regular language of the strings in which it finds a match, made once for each pattern."""

from __future__ import annotations

from functools import lru_cache

from portico_engine.errors import InvalidSchema
from portico_engine.grammar.ecma.lookaround import lower
from portico_engine.grammar.ecma.nodes import PatternLanguage
from portico_engine.grammar.ecma.parser import parse


@lru_cache(maxsize=1024)
def _language(pattern: str) -> PatternLanguage | str:
    try:
        return lower(parse(pattern))
    except InvalidSchema as error:
        return error.reason


def pattern_language(pattern: str, pointer: str = "") -> PatternLanguage:
    """The strings in which `pattern` finds a match. Raises InvalidSchema where it is no ECMA-262 pattern."""
    made = _language(pattern)
    if isinstance(made, str):
        raise InvalidSchema(pointer, made)
    return made
