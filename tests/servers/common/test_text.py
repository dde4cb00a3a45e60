"""Text is cut to its budget, said, and never inside a character."""

from __future__ import annotations

from portico_servers.common import text


def test_one_line_joins_white_space_and_says_what_it_cut() -> None:
    assert text.one_line("a\n  b\tc", 10) == "a b c"
    assert text.one_line("abcdef", 4) == "abc…"
    assert text.one_line("", 4) == ""


def test_dedent_takes_off_what_all_lines_share() -> None:
    assert text.dedent(["    a", "", "      b"]) == ["a", "", "  b"]
    assert text.dedent(["\ta", "    b"]) == ["\ta", "    b"]
    assert text.dedent([]) == []


def test_within_takes_whole_parts_and_at_least_one() -> None:
    assert text.within(["aa", "bb", "cc"], 5) == ("aa\nbb", 2)
    assert text.within(["abcdef", "b"], 4) == ("abc…", 1)
    assert text.within([], 4) == ("", 0)
