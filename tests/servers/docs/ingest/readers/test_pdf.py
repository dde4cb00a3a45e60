"""PDF: text page by page, the outline's titles, `#page=N`; damaged, scanned and locked files say what they are."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from portico_servers.docs.errors import ReadError
from portico_servers.docs.ingest.readers import read_page


def _pdf(pages: Sequence[str], outline: Sequence[tuple[str, int]] = (), password: str = "", title: str = "") -> bytes:
    writer = PdfWriter()
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    reference = writer._add_object(font)
    for text in pages:
        page = writer.add_blank_page(300, 300)
        stream = DecodedStreamObject()
        shown = " T* ".join(f"({line}) Tj" for line in text.split("\n")) if text else ""
        stream.set_data(f"BT /F1 12 Tf 14 TL 20 250 Td {shown} ET".encode())
        page[NameObject("/Contents")] = writer._add_object(stream)
        page[NameObject("/Resources")] = DictionaryObject(
            {NameObject("/Font"): DictionaryObject({NameObject("/F1"): reference})}
        )
    parent = None
    for name, number in outline:
        item = writer.add_outline_item(title=name, page_number=number, parent=parent)
        parent = parent or item
    if title:
        writer.add_metadata({"/Title": title})
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def test_each_page_is_a_section_that_opens_with_its_number() -> None:
    page = read_page("m.pdf", _pdf(["Alpha words", "Beta words\nmore of it"], title="The manual"))
    assert page.title == "The manual"
    assert [(s.anchor, s.title) for s in page.sections] == [("page=1", "Page 1"), ("page=2", "Page 2")]
    section = page.sections[1]
    assert "more of it" in "\n".join(page.text.split("\n")[section.line - 1 : section.end])


def test_the_outline_gives_titles_and_trails() -> None:
    page = read_page("m.pdf", _pdf(["Alpha", "Beta", "Gamma"], [("Manual", 0), ("Setup", 1)]))
    assert [(s.level, s.title, s.anchor) for s in page.sections] == [
        (1, "Manual", "page=1"),
        (2, "Setup", "page=2"),
        (3, "Page 3", "page=3"),
    ]
    assert page.sections[2].trail == ("Manual", "Setup", "Page 3")


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"%PDF-1.4 cut off", "PDF"), (b"no pdf", "PDF"), (_pdf(["", ""]), "scan"), (_pdf(["Secret"], password="x"), "password")],
    ids=["cut", "other", "scan", "locked"],
)
def test_what_can_not_be_read_says_why(data: bytes, said: str) -> None:
    with pytest.raises(ReadError, match=said):
        read_page("m.pdf", data)
