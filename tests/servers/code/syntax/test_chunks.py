"""Pieces cover a file's lines once each, and keep definitions whole."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from portico_servers.code.syntax.chunks import WINDOW, cut_chunks
from portico_servers.code.syntax.symbols import Symbol, definitions

SOURCE = '''import os

LIMIT = 3


# Explains f.
@decorated
def f():
    x = 1
    return x


class A:
    """About A."""

    def m(self):
        a = 1
        return a
'''


def test_a_definition_is_a_piece_with_the_comment_above_it() -> None:
    symbols = definitions("python", SOURCE.encode()).symbols
    pieces = cut_chunks(SOURCE.splitlines(), symbols)
    found = [(p.start, p.end, symbols[p.symbol].qualified if p.symbol is not None else None) for p in pieces]
    assert found == [(1, 3, None), (6, 10, "f"), (13, 14, "A"), (16, 18, "A.m")]


@given(
    lines=st.lists(st.sampled_from(["", "x = 1", "# note", "    y"]), max_size=300),
    spans=st.lists(st.tuples(st.integers(1, 300), st.integers(0, 200)), max_size=8),
)
def test_every_line_that_is_not_blank_is_in_exactly_one_piece(lines: list[str], spans: list[tuple[int, int]]) -> None:
    symbols = sorted(
        (Symbol("s", "function", s, s + n, "", "") for s, n in spans if s <= len(lines)), key=lambda s: (s.start, -s.end)
    )
    pieces = cut_chunks(lines, symbols)
    covered = [line for piece in pieces for line in range(piece.start, piece.end + 1)]
    assert len(covered) == len(set(covered))
    assert {number for number, line in enumerate(lines, start=1) if line.strip()} <= set(covered)
    assert all(1 <= piece.end - piece.start + 1 <= WINDOW for piece in pieces)
    assert covered == sorted(covered)
