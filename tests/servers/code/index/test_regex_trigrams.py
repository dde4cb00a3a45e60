"""What a pattern requires: never more than every file that ripgrep would find a match in has."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portico_servers.code.external.ripgrep import ripgrep_program
from portico_servers.code.index.regex_trigrams import literal_query, trigram_query
from portico_servers.code.index.trigrams import (
    ANYTHING,
    WIDTHS,
    TrigramQuery,
    bitmap,
    fold,
    matching_rows,
    signature,
    string_query,
)


def trigrams(need: TrigramQuery) -> set[bytes]:
    """All that are asked for, wherever."""
    return set(need.trigrams).union(*(trigrams(member) for group in need.either for member in group))


def may_match(pattern: str, text: str) -> bool:
    rows = bitmap(signature(text.encode()))[None, :]
    return bool(len(matching_rows(trigram_query(pattern), rows, np.arange(1))))


@pytest.mark.parametrize(
    ("pattern", "asked"),
    [
        ("self", {b"sel", b"elf"}),
        ("SELF", {b"sel", b"elf"}),
        ("(?i)self", {b"sel", b"elf"}),
        (r"def \w+_ab\b", {b"def", b"ef ", b"_ab"}),
        ("abc|abd", {b"abc", b"abd"}),
        ("ab[cd]", {b"abc", b"abd"}),
        ("ab[c-e]?x", {b"abc", b"bcx", b"abd", b"bdx", b"abe", b"bex", b"abx"}),
        ("(abc)+", {b"abc"}),
        ("x{3}", {b"xxx"}),
        ("x{2,}y", {b"xxy"}),
        (r"a\.b\(", {b"a.b", b".b("}),
        (r"\x41\u{62}c", {b"abc"}),
        ("^abc$", {b"abc"}),
        (r"abc\b{end}d", {b"abc", b"bcd"}),
        ("(?P<name>abc)(?:d)", {b"abc", b"bcd"}),
        ("über", {"üb".encode(), "ü".encode()[1:] + b"be", b"ber"}),
        ("[]a]bc", {b"]bc", b"abc"}),
        ("ab[^c]de.*fgh", {b"fgh"}),
    ],
)
def test_a_pattern_asks_for_the_trigrams_of_its_literals(pattern: str, asked: set[bytes]) -> None:
    assert trigrams(trigram_query(pattern)) == asked


@pytest.mark.parametrize(
    "pattern",
    [
        "", "ab", ".*", r"\w+\d", "a|bcd", "(abc)?", "(abc)*", "abc{0}|x", "[a-z]{3}", "(?x)a b c", "(?-u)abc", "(?i)éàü",
        "(", ")", "a)", "[a", "a{", "*", "a**b", r"\1", r"\q", r"\x{110000}", "(?=abc)", "(?<=abc)d", "\ud800bc", r"abc\z|\Aa",
        r"[\w&&[^\d]]{5}", "(" * 80 + "abc" + ")" * 80,
    ],
)  # fmt: skip
def test_what_may_match_anything_or_is_not_understood_asks_for_nothing(pattern: str) -> None:
    assert trigram_query(pattern) == ANYTHING


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("(?i)mask", "MA\N{LATIN SMALL LETTER LONG S}\N{KELVIN SIGN}"),
        ("(?i)\N{KELVIN SIGN}ey", "key"),
        ("(?i:KEY)x", "keyx"),
        ("a(?i)bc|d", "aBC"),
        ("x|a(?i)b|cde", "CDE"),
        ("(?i)abc(?-i)def", "ABCdef"),
        ("naïve", "naïve"),
        (r"[\]x]abc", "]abc"),
        ("[a-]bc", "-bc"),
        ("[^]a]bc", "xbc"),
        (r"[[:alpha:]]bc", "qbc"),
        (r"\pLabc\p{Lu}def", "éabcXdef"),
        ("abc{2}d", "abccd"),
        ("(ab){5}c", "ababababab" + "c"),
        ("(ab){2,3}c", "ababc"),
        ("a{,2}bcd", "bcd"),
        ("x(ab|cd)+y", "xabcdy"),
        ("x(ab|cd){1,3}y", "xabcdaby"),
        ("(a|b|)cde", "cde"),
        (r"\bfoo\b.\bbar\b", "foo bar"),
    ],
)
def test_case_classes_and_repetitions_let_every_match_through(pattern: str, text: str) -> None:
    assert may_match(pattern, text)


def test_a_need_stays_small_whatever_the_pattern() -> None:
    for pattern in (
        "|".join(f"word{n}{n * 7}" for n in range(300)),
        "([ab]cd.*[ef]gh.*)" * 100,
        "(((((abc|a.c){4}(d|ef)){4}(g|hi)){4}x){4}|yyy){4}",
        "[a-z]x[a-z]y" * 150,
        "x" * 2_000,
    ):
        assert trigram_query(pattern).size <= 200


@given(st.text(max_size=40), st.text(max_size=30), st.text(max_size=40))
def test_a_file_that_holds_a_text_has_all_that_the_text_needs(before: str, text: str, after: str) -> None:
    rows = bitmap(signature((before + text + after).encode("utf-8", "replace")))[None, :]
    assert len(matching_rows(string_query(fold(text.encode("utf-8", "replace"))), rows, np.arange(1))) == 1
    assert len(matching_rows(literal_query(text.swapcase() if text.isascii() else text), rows, np.arange(1))) == 1


def test_files_that_lack_a_trigram_are_left_out() -> None:
    texts = [b"def release_block(", b"def release(", b"RELEASE_BLOCK", b"", b"ab"]
    rows = np.stack([bitmap(signature(text)) for text in texts])
    assert rows.shape == (5, WIDTHS[0] // 8)
    assert matching_rows(trigram_query("release_block"), rows, np.arange(5)).tolist() == [0, 2]
    assert matching_rows(trigram_query("def (release_|xyz)"), rows, np.arange(5)).tolist() == [0]
    assert matching_rows(ANYTHING, rows, np.arange(5)).tolist() == [0, 1, 2, 3, 4]


def test_a_file_of_many_trigrams_has_a_wider_bitmap_and_still_all_of_them() -> None:
    widths = []
    for count in (20, 100, 2_000, 200_000):
        text = "".join(f"{number * 7919:x} " for number in range(count)).encode()
        bits = bitmap(signature(text))[None, :]
        widths.append(8 * bits.shape[1])
        for number in range(0, count, 1 + count // 50):
            assert len(matching_rows(literal_query(f"{number * 7919:x} "), bits, np.arange(1))) == 1
    assert widths == [2_048, 8_192, 32_768, 32_768]


# Against ripgrep itself: patterns of all that the parser reads, over lines of the same few letters.

_LETTERS = "abAB_ (k\N{KELVIN SIGN}é."
_ATOMS = st.one_of(
    st.text("abAB_ké", min_size=1, max_size=4),
    st.sampled_from(
        ["a", "b", r"\(", ".", r"\w", r"\.", "^", "$", r"\b", "[ab]", "[^a]", "[a-c_]", "[[:upper:]]", r"\x61", "[k-]"]
    ),
    st.sampled_from(["(?i)", "(?-i)", r"\pL", r"[\w--a]", "[a&&b]"]),
)
_REPETITIONS = st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{0,1}", "+?", "{,2}"])
_PATTERNS = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=4).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({'|'.join(parts)})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{0,1}", "+?", "{,2}"])).map(
            lambda t: f"(?:{t[0]}){t[1]}"
        ),
        inner.map(lambda part: f"(?i:{part})"),
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pattern=_PATTERNS, lines=st.lists(st.text(_LETTERS, max_size=12), min_size=1, max_size=12))
def test_every_file_that_ripgrep_finds_is_a_candidate(tmp_path: Path, pattern: str, lines: list[str]) -> None:
    for old in tmp_path.iterdir():
        old.unlink()
    for number, line in enumerate(lines):
        (tmp_path / str(number)).write_text(line + "\n", encoding="utf-8")
    command = [ripgrep_program(), "--no-config", "--files-with-matches", f"--regexp={pattern}", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    if done.returncode == 2:  # not a regular expression
        return
    found = {int(name.removeprefix("./")) for name in done.stdout.split()}
    rows = np.stack([bitmap(signature(f"{line}\n".encode())) for line in lines])
    assert found <= set(matching_rows(trigram_query(pattern), rows, np.arange(len(lines))).tolist())
