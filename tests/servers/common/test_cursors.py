"""Cursors continue their own question only."""

from __future__ import annotations

import pytest

from portico_servers.common import cursors


def test_a_cursor_gives_back_its_offset_for_its_own_question() -> None:
    assert cursors.decode(cursors.encode(20, "search", "free block", None), "search", "free block", None) == 20
    assert cursors.decode(None, "search") == cursors.decode("", "search") == 0


@pytest.mark.parametrize("bad", ["20", "x", "-5.00000000", "20.deadbeef", "٣.deadbeef", "9" * 5000 + ".deadbeef", "\ud800"])
def test_a_foreign_or_broken_cursor_is_refused_and_said_what_to_pass(bad: str) -> None:
    with pytest.raises(cursors.BadCursor, match="next_cursor"):
        cursors.decode(bad, "search", "free block")


def test_a_cursor_of_another_question_is_refused() -> None:
    with pytest.raises(cursors.BadCursor):
        cursors.decode(cursors.encode(20, "search", "one"), "search", "two")
