"""What is known of the strings that a regular expression matches, and how that of a whole follows from its parts'. Pure.

The construction is Russ Cox's ("Regular Expression Matching with a Trigram Index", 2012): of each part either all its strings
are known, or what they may begin and end with and what they need. Here beginnings and ends are kept to two bytes: longer
ones are in the query already. What may match anything asks for nothing: never more than is true.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from portico_servers.code.index.trigrams import ANYTHING, TrigramQuery, string_query

MAX_STRINGS = 32  # of a part that are kept one by one
_SIZE = 200  # trigrams of a query: each costs a look at many files


@dataclass(frozen=True, slots=True)
class RegexInfo:
    """What is known of the strings that a part of the pattern matches. `exact`: all of them, or None; then each begins with
    one of `prefixes` and ends with one of `suffixes` (of two bytes at most; b"" says nothing), and holds `query`."""

    exact: frozenset[bytes] | None
    prefixes: frozenset[bytes] = frozenset((b"",))
    suffixes: frozenset[bytes] = frozenset((b"",))
    query: TrigramQuery = ANYTHING


EMPTY = RegexInfo(frozenset((b"",)))
UNKNOWN = RegexInfo(None)


def concatenated(left: RegexInfo, right: RegexInfo) -> RegexInfo:
    """What the one followed by the other matches."""
    if left.exact is not None and right.exact is not None:
        if len(left.exact) * len(right.exact) <= MAX_STRINGS:
            return RegexInfo(frozenset(a + b for a in left.exact for b in right.exact))
        left, right = inexact(left), inexact(right)
    across = left.suffixes if left.exact is None else left.exact
    begins = right.prefixes if right.exact is None else right.exact
    if len(across) * len(begins) > MAX_STRINGS:
        left, right = inexact(left), inexact(right)
        return RegexInfo(None, left.prefixes, right.suffixes, _both(left.query, right.query))
    query = _any_of(a + b for a in across for b in begins)  # what the exact side needs is in there
    prefixes, suffixes = left.prefixes, right.suffixes
    if left.exact is None:
        query = _both(query, left.query)
    else:
        prefixes = _ends(a + b for a in left.exact for b in right.prefixes)
    if right.exact is None:
        query = _both(query, right.query)
    else:
        suffixes = _ends((a + b for a in left.suffixes for b in right.exact), last=True)
    return RegexInfo(None, prefixes, suffixes, query)


def alternation(parts: list[RegexInfo]) -> RegexInfo:
    if len(parts) == 1:
        return parts[0]
    exact: set[bytes] = set()
    for part in parts:
        if part.exact is None:
            break
        exact |= part.exact
    else:
        if len(exact) <= MAX_STRINGS:
            return RegexInfo(frozenset(exact))
    parts = [inexact(part) for part in parts]
    prefixes = _few(frozenset[bytes]().union(*(part.prefixes for part in parts)))
    suffixes = _few(frozenset[bytes]().union(*(part.suffixes for part in parts)))
    return RegexInfo(None, prefixes, suffixes, _one_of([part.query for part in parts]))


def inexact(part: RegexInfo) -> RegexInfo:
    """The same, or more strings: those that begin and end alike and need as much."""
    if part.exact is None:
        return part
    return RegexInfo(None, _ends(part.exact), _ends(part.exact, last=True), _any_of(part.exact))


def query_of(part: RegexInfo) -> TrigramQuery:
    return part.query if part.exact is None else _any_of(part.exact)


def _any_of(strings: Iterable[bytes]) -> TrigramQuery:
    return _one_of([string_query(string) for string in strings])


def _one_of(queries: list[TrigramQuery]) -> TrigramQuery:
    distinct = tuple(dict.fromkeys(queries))
    if len(distinct) == 1:
        return distinct[0]
    whole = TrigramQuery(either=(distinct,))
    return whole if all(distinct) and whole.size <= _SIZE else ANYTHING


def _both(one: TrigramQuery, other: TrigramQuery) -> TrigramQuery:
    """Of what both need together, as much as is worth asking for."""
    trigrams = frozenset(sorted(one.trigrams | other.trigrams)[: _SIZE // 4])
    groups, left = [], _SIZE - len(trigrams)
    for group in dict.fromkeys((*one.either, *other.either)):
        left -= sum(member.size for member in group)
        if left < 0:
            break
        groups.append(group)
    return TrigramQuery(trigrams, tuple(groups))


def _ends(strings: Iterable[bytes], *, last: bool = False) -> frozenset[bytes]:
    """The first two bytes of each, or the last two."""
    return _few(frozenset(string[-2:] if last else string[:2] for string in strings))


def _few(ends: frozenset[bytes]) -> frozenset[bytes]:
    return ends if b"" not in ends and len(ends) <= MAX_STRINGS else frozenset((b"",))
