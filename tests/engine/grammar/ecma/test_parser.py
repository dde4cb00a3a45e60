"""A pattern's language against other engines: regress for what is ECMA-262's own, Python's re for what both have."""

from __future__ import annotations

import itertools
import re

import pytest
import regress
from hypothesis import given, settings
from hypothesis import strategies as st

from portico_engine.errors import InvalidSchema
from portico_engine.grammar.ecma.language import pattern_language
from portico_engine.grammar.ecma.parser import parse
from portico_engine.grammar.ecma.search import PatternSearch
from portico_engine.grammar.ecma.unicode_properties import property_ranges
from portico_engine.grammar.regular.automata import matches

PATTERNS = [
    "a",
    "^a",
    "a$",
    "^a$",
    "^$",
    "",
    "a|^b|c$",
    "^(?:a|b)+$",
    "^[ab]{2,3}$",
    "^[^a]*$",
    "a.b",
    "^a{2}$",
    "^a{,2}$",
    "^(?:ab)?c$",
    r"^\d+$",
    r"^\w\W$",
    r"\s",
    r"^\S+$",
    r"\bab\b",
    r"\Ba",
    r"^a\b",
    r"\b",
    r"^(?=.*a)(?=.*b)",
    r"^(?!.*ab)[abc]+$",
    r"^(?!a$)",
    r"(?<=a)b",
    r"(?<!a)b",
    r"^(?:(?!b)[abc])+$",
    r"^(?=a|b$)",
    r"a(?=b)",
    r"a(?!b)",
    r"^.{2}$",
    r"^[a-c]*?b$",
    r"^(?<name>a)+$",
    r"^\x61\u0062$",
    r"^\cA?$",
    r"^[\w-]+$",
    r"^[a\-b]$",
    r"^[\]a]+$",
    r"[^]",
    r"^a\.b$",
    r"^(?=(?:ab)+$)a",
    r"^a(?!c)(?!b).?$",
    r"(?:^|b)a(?:$|c)",
    r"^\p{L}+$",
]
WORDS = ["".join(letters) for size in range(5) for letters in itertools.product("abc", repeat=size)]
ODD = [
    "é",
    "a\n",
    "\na",
    "1",
    "٣",
    "a b",
    "a-b",
    "_",
    "-",
    "a.b",
    "12",
    "ß1",
    "\u2028",
    "]",
    "A",
    "😀",
    "a😀",
    "\x01",
    "\u00a0",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_accepts_the_strings_in_which_regress_finds_it(pattern: str) -> None:
    language = pattern_language(pattern)
    if language.loosened:
        pytest.fail(f"not exact: {language.loosened}")
    try:
        oracle = regress.Regex(pattern, "u")
    except regress.RegressError:
        oracle = regress.Regex(pattern)
    wrong = [word for word in (*WORDS, *ODD) if matches(language.node, word) != (oracle.find(word) is not None)]
    assert wrong == []


_ATOMS = st.sampled_from(
    ["a", "b", ".", "[ab]", r"\w", "^", "$", r"\b", "(?=a)", "(?!b)", "(?<=a)", "(?<!b)", "(?!ab)", "(?=.*c)", "(?<=ab)"]
)
_MARKS = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{0,2}"])


def _piece(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    group = st.builds(lambda parts, mark: f"(?:{'|'.join(parts)}){mark}", st.lists(inner, min_size=1, max_size=2), _MARKS)
    return st.one_of(group, st.builds(lambda a, b: a + b, inner, inner))


@settings(max_examples=150, deadline=None)
@given(
    st.recursive(
        st.builds(lambda atom, mark: atom if atom[0] in "^$(" or atom == r"\b" else atom + mark, _ATOMS, _MARKS),
        _piece,
        max_leaves=5,
    )
)
def test_any_pattern_is_exact_or_says_that_it_is_larger(pattern: str) -> None:
    try:
        oracle = re.compile(pattern)  # which means the same in these words, and unlike regress comes to an end
    except re.error:
        return
    language = pattern_language(pattern)
    for word in WORDS[:121]:
        found = oracle.search(word) is not None
        accepted = matches(language.node, word)
        assert accepted == found or (accepted and language.loosened), (pattern, word)
        assert PatternSearch(parse(pattern), word).found() == found, (pattern, word)


@pytest.mark.parametrize(("pattern", "words"), [(r"(a)\1", "backreference"), (r"^(?:(?=ab)a.)*c$", "inside a repetition")])
def test_what_is_not_regular_is_larger_and_says_why(pattern: str, words: str) -> None:
    assert words in pattern_language(pattern).loosened


def test_a_text_that_is_no_pattern_is_refused_with_its_pointer() -> None:
    with pytest.raises(InvalidSchema, match="/properties/a/pattern"):
        pattern_language("(", "/properties/a/pattern")


def test_unicode_properties_have_their_code_points() -> None:
    assert property_ranges(r"\p{Script=Greek}")[0][0] == 0x370
    letters = property_ranges(r"\p{L}")
    assert (0x61, 0x7A) in letters
    assert not any(low <= 0x31 <= high for low, high in letters)
