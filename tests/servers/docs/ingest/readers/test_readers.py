"""What a name is read as, and bytes that aren't what their name says."""

from __future__ import annotations

import contextlib
import time

import pytest

from portico_servers.docs.errors import ReadError
from portico_servers.docs.ingest.readers import kind_of, read_page


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a/Guide.MD", "markdown"),
        ("llms.txt", "markdown"),
        ("x/index.rst", "rst"),
        ("_sources/index.rst.txt", "rst"),
        ("index.html", "html"),
        ("README", "text"),
        ("notes.txt", "text"),
        ("genindex-A.html", None),
        ("search.html", None),
        ("requirements-dev.txt", None),
        ("CMakeLists.txt", None),
        ("code.py", None),
        (".md", None),
    ],
)
def test_the_name_decides_what_a_file_is_read_as(path: str, kind: str | None) -> None:
    assert kind_of(path) == kind


def test_every_encoding_is_read_and_binary_data_is_refused() -> None:
    assert read_page("a.txt", "\ufeffGrüße\r\nx".encode()).text == "Grüße\nx"
    assert read_page("a.txt", "Grüße".encode("utf-16")).text == "Grüße"
    assert read_page("a.txt", b"Gr\xfc\xdfe").text == "Grüße"
    with pytest.raises(ReadError, match="binary"):
        read_page("a.md", b"\0\1\2")


def test_underlined_lines_of_plain_text_are_headings() -> None:
    page = read_page("notes.txt", b"Title\n=====\n\nwords\n\nPart\n----\nmore\n")
    assert [(s.title, s.anchor, s.level) for s in page.sections] == [("Title", "title", 1), ("Part", "part", 2)]


def test_restructuredtext_that_is_called_txt_is_read_as_what_it_is() -> None:
    text = b"Forms\n=====\n\n.. module:: shop.forms\n\n.. class:: Field(**kwargs)\n\n   A field.\n"
    assert [s.anchor for s in read_page("forms.txt", text).sections] == ["module-shop.forms", "shop.forms.Field"]
    prose = b"Notes\n=====\n\n.. and so on::\n\nSee (1) or C:\\x.\n"
    assert read_page("notes.txt", prose).kind == "text"


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("a.md", "<a "),
        ("a.md", "<h1>"),
        ("a.md", "[a]("),
        ("a.rst", "+-"),
        ("a.rst", "{#"),
        ("a.rst", ":a:`"),
        ("a.html", "<table><tr><td>"),
        ("a.html", "<dl><dt id=a>"),
        ("a.txt", "=\n"),
    ],
)
def test_no_text_keeps_a_reader_busy_for_long(name: str, unit: str) -> None:
    began = time.process_time()
    with contextlib.suppress(ReadError):
        read_page(name, (unit * (30_000 // len(unit)) + "\nx").encode())
    assert time.process_time() - began < 30


def test_a_page_over_the_bound_is_refused_with_its_name() -> None:
    with pytest.raises(ReadError, match=r"big\.txt: more than the 64,000,000 bytes"):
        read_page("big.txt", b"x" * 64_000_001)
