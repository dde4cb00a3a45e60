"""What search sees of a passage."""

from __future__ import annotations

import time

import pytest

from portico_servers.docs.index.passage_text import digest, lexical_row, plain


def test_the_words_inside_a_camel_case_name_are_names_of_their_own() -> None:
    _, _, names, body = lexical_row("a/pool.html", "Pools", "x.Y", ("Top", "Pools"), "Use ThreadPoolExecutor or HTTPServer.")
    assert names == "a/pool.html x.Y Thread Pool Executor HTTP Server"
    assert body == "Use ThreadPoolExecutor or HTTPServer."


def test_markup_is_no_text() -> None:
    assert plain("a :func:`~os.path` and *this*\n.. note:: that").split() == "a ~os.path and this that".split()


def test_passages_that_differ_in_white_space_and_case_are_the_same() -> None:
    assert digest("One  two\nthree") == digest("one two three") != digest("one two four")


@pytest.mark.parametrize("text", ["A" * 3000 + "_", "aA" * 1500 + "_", ":" * 3000, "\n" * 3000 + ".. x", "`" * 3000])
def test_no_text_keeps_it_busy_for_long(text: str) -> None:
    began = time.process_time()
    lexical_row("p", text, text, (text, text), text)
    digest(text)
    assert time.process_time() - began < 20
