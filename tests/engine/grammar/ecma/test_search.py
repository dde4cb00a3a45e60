"""Patterns in texts, where no automaton is exact or another engine would not come to an end."""

import pytest

from portico_engine.errors import InvalidSchema, PatternTooCostly
from portico_engine.grammar import check_arguments
from portico_engine.grammar.ecma.search import finds


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"(.)\1", "abccd", True),
        (r"(.)\1", "abcd", False),
        (r"^(.*)\1$", "abab", True),
        (r"^(.*)\1$", "ababa", False),
        (r"^(?<quote>['\"]).*\k<quote>$", "'a'", True),
        (r"^(?<quote>['\"]).*\k<quote>$", "'a\"", False),
        (r"^(a)|\1b", "b", True),  # what has captured nothing matches nothing
        (r"^(?:(a)|(b))+\1\2$", "abb", True),  # each round forgets the one before
        (r"^(?:(a)|(b))+\1\2$", "abab", False),
        (r"^(?=(a+))\1b", "aab", True),
        (r"(?<=(a))\1", "aa", True),
        (r"^((?!no).)*$", "a text", True),
        (r"^((?!no).)*$", "a text with no in it", False),
        (r"^(?:(?=ab)a.)*c$", "ababc", True),
        (r"^(?:(?=ab)a.)*c$", "abacc", False),
        (r"\1", "\x01", True),  # Annex B: an octal escape where there is no such group
        (r"[(]\1", "(\x01", True),
        (r"^\101$", "A", True),
        (r"^a{2,}?$", "aaa", True),
    ],
)
def test_a_search_means_what_ecma_262_does(pattern: str, text: str, found: bool) -> None:
    assert finds(pattern, text) is found


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"(?:(?:a|)+)*b", "a" * 30, False),
        (r"(?:(?:a+)+){2}", "aa", True),
        (r"^(a+)+$", "a" * 2000 + "b", False),
        (r"^(?:x?){60}x{60}$", "x" * 100, True),
        (r"(?:(?:.{0,2})|(?:.+|(?!ab))+)*(?:^)", "ab" * 80, True),
        (r"^(?:(a+)+)\1b$", "a" * 60, False),
        (r"((a?){100000}){100000}b", "a" * 50, False),
        (r"(?:(?=a)a?){100000}b", "a" * 50, False),
    ],
)
def test_what_sends_a_backtracking_engine_into_the_woods_ends(pattern: str, text: str, found: bool) -> None:
    assert finds(pattern, text) is found


def test_a_search_that_takes_too_long_ends_and_the_value_counts_as_not_valid() -> None:
    pattern, text = r".*(\w)\1", "ab" * 3000
    with pytest.raises(PatternTooCostly):
        finds(pattern, text)
    (violation,) = check_arguments({"pattern": pattern}, text)
    assert violation.message == "the value could not be checked: the search for the pattern takes too many steps in this text"


def test_no_pattern_is_an_invalid_schema() -> None:
    with pytest.raises(InvalidSchema, match="no ECMA-262 pattern"):
        finds("(", "a")
