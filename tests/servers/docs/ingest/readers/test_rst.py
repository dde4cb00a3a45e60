"""reStructuredText and what Sphinx adds to it: sections, objects, labels, under the anchors that Sphinx writes."""

from __future__ import annotations

from pathlib import Path

from portico_servers.docs.ingest.readers.rst import read_rst

SPHINX = """\
.. _start:

:mod:`shelf` --- Keep things
============================

.. module:: shelf
   :synopsis: Keep things.

Opening words with :class:`~shelf.Box` and :unknown-role:`x`.

.. unknown-directive:: argument

   Inside it.

Boxes
-----

.. class:: Box(size, *, lid=True)
   :noindex:

   A box.

   .. method:: open()
               open_all(force)

      Open it.

   .. versionadded:: 3.2
      The lid.

.. function:: pack(things)

   Pack them.

   .. index:: single: secret index words

.. program:: shelf

.. option:: -v, --verbose

   Say more.

.. option:: target

   Where to.

.. envvar:: SHELF_HOME

   Where.

Glossary
--------

.. glossary::

   dust cover
   jacket
      What keeps dust away.

   spine
      The back.

.. c:function:: int shelf_open(const char *name)

   In C.
"""


def test_sections_objects_options_and_terms_get_sphinxs_anchors() -> None:
    found = [(s.anchor, s.level, s.line) for s in read_rst("p.rst", SPHINX).sections if s.anchor]
    assert found == [
        ("module-shelf", 1, 3),
        ("boxes", 2, 15),
        ("shelf.Box", 3, 18),
        ("shelf.Box.open", 4, 23),
        ("shelf.pack", 3, 31),
        ("cmdoption-shelf-v", 3, 39),
        ("cmdoption-shelf-arg-target", 3, 43),
        ("envvar-SHELF_HOME", 3, 47),
        ("glossary", 2, 51),
        ("term-dust-cover", 3, 56),
        ("term-jacket", 3, 57),
        ("term-spine", 3, 60),
        ("c.shelf_open", 3, 63),
    ]


def test_labels_and_further_signatures_are_aliases() -> None:
    by_anchor = {s.anchor: s for s in read_rst("p.rst", SPHINX).sections}
    assert set(by_anchor["module-shelf"].aliases) >= {"start", "shelf-keep-things"}
    assert by_anchor["shelf.Box.open"].aliases == ("shelf.Box.open_all",)
    assert by_anchor["cmdoption-shelf-v"].aliases == ("cmdoption-shelf-verbose",)


def test_an_object_ends_where_its_indentation_ends() -> None:
    lines = SPHINX.split("\n")
    box = next(s for s in read_rst("p.rst", SPHINX).sections if s.anchor == "shelf.Box")
    assert "The lid." in "\n".join(lines[box.line - 1 : box.end])
    assert "pack(things)" not in "\n".join(lines[box.line - 1 : box.end])


def test_titles_with_overline_begin_at_the_overline_and_repeated_ones_are_numbered_as_sphinx_does() -> None:
    page = read_rst("p.rst", "=====\nTitle\n=====\n\nSame\n----\n\na\n\nSame\n----\n\nb\n")
    assert [(s.anchor, s.line) for s in page.sections] == [("title", 1), ("same", 5), ("id1", 10)]


def test_no_directive_reads_a_file_or_passes_raw_html(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("Stolen\n======\n")
    directives = (f".. include:: {secret}", f".. raw:: html\n   :file: {secret}", f".. csv-table:: t\n   :file: {secret}")
    text = "Top\n===\n\n" + "\n\n".join(directives) + "\n\nend\n"
    page = read_rst("p.rst", text)
    assert [s.title for s in page.sections] == ["Top"]
    assert page.text == text


def test_broken_markup_is_still_a_page() -> None:
    page = read_rst(
        "p.rst", "Title\n=====\n\n*open emphasis\n\n.. note:\n\n   x\n\n.. figure::\n\n|missing|_ `also missing`_\n\n====\n"
    )
    assert page.sections[0].title == "Title"
