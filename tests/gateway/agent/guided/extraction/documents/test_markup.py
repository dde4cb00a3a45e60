from __future__ import annotations

import pytest

from portico_gateway.agent.guided.extraction.documents.markup import plain


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("Use ``--nl`` here", "Use `--nl` here"),
        ("the :func:`echo` function", "the `echo` function"),
        ("the {exc}`ClickException` class", "the `ClickException` class"),
        ("use :class:`~jinja2.loaders.PackageLoader`.", "use `PackageLoader`."),
        ("see `FTS5 <https://www.sqlite.org/fts5.html>`__.", "see FTS5."),
        ("see :ref:`the guide <guide_label>`", "see `the guide`"),
        ("read [the manual](https://example.org/a_b) first", "read the manual first"),
        ("it is **on** by *default*", "it is on by default"),
        ("CPython[^pypy] is  fast", "CPython is fast"),
        ("10 * 20 * 30 and a_b_c", "10 * 20 * 30 and a_b_c"),
    ],
)
def test_inline_markup_is_read_as_it_is_rendered(line: str, shown: str) -> None:
    assert plain(line) == shown
