"""Text is cut to its budget, said, and never inside a character."""

from __future__ import annotations

from portico_servers.common import text_budget


def test_one_line_joins_white_space_and_says_what_it_cut() -> None:
    assert text_budget.one_line("a\n  b\tc", 10) == "a b c"
    assert text_budget.one_line("abcdef", 4) == "abc…"
    assert text_budget.one_line("", 4) == ""


def test_dedent_takes_off_what_all_lines_share() -> None:
    assert text_budget.dedent(["    a", "", "      b"]) == ["a", "", "  b"]
    assert text_budget.dedent(["\ta", "    b"]) == ["\ta", "    b"]
    assert text_budget.dedent([]) == []


def test_within_takes_whole_parts_and_at_least_one() -> None:
    assert text_budget.within(["aa", "bb", "cc"], 5) == ("aa\nbb", 2)
    assert text_budget.within(["abcdef", "b"], 4) == ("abc…", 1)
    assert text_budget.within([], 4) == ("", 0)
