"""Manual pages in both macro languages, gzipped or not."""

from __future__ import annotations

import gzip

import pytest

from portico_servers.docs.errors import ReadError
from portico_servers.docs.ingest.readers import kind_of, read_page
from portico_servers.docs.ingest.readers.roff import mdoc, plain

MAN = r""".\" A comment
.TH BOXES "1" "2026" "tools 1.0" "User Commands"
.SH NAME
boxes \- pack things
.SH "EXIT STATUS"
.TP
\fB\-\-lid\fR=\fIWHEN\fR
close it;
see \(lqlids\(rq
.PP
Plain \fBbold\fP text.
.nf
  literal   text
.fi
.SS Details
.BR tape (1)
.IR "two words" s
.de XX
.SH hidden
..
"""
MDOC = r""".Dd May 1, 2026
.Dt BOXES 1
.Os
.Sh NAME
.Nm boxes
.Nd pack things
.Sh SYNOPSIS
.Nm
.Op Fl v
.Op Fl o Ar file
.Sh DESCRIPTION
.Bl -tag -width x
.It Fl v
Say more; see
.Xr tape 1 .
.El
"""


def test_man_macros_become_readable_text_with_sections() -> None:
    page = read_page("man1/boxes.1", MAN.encode())
    assert page.title == "boxes(1)"
    assert [(s.level, s.title, s.anchor) for s in page.sections] == [
        (1, "boxes(1)", ""),
        (2, "NAME", "NAME"),
        (2, "EXIT STATUS", "EXIT_STATUS"),
        (3, "Details", "Details"),
    ]
    assert "boxes - pack things" in page.text
    assert '--lid=WHEN\n\n  close it; see "lids"\n\nPlain bold text.' in page.text
    assert "\n      literal   text" in page.text
    assert "tape(1) two wordss" in page.text
    assert "hidden" not in page.text


def test_mdoc_macros_become_readable_text() -> None:
    page = read_page("man1/boxes.1.gz", gzip.compress(MDOC.encode()))
    assert page.title == "boxes(1)"
    assert "boxes - pack things" in page.text
    assert "boxes [-v] [-o file]" in page.text
    assert "-v\n\n  Say more; see tape(1)." in page.text


def test_only_files_in_manual_directories_are_manual_pages() -> None:
    assert kind_of("share/man/man1/ls.1.gz") == "man"
    assert kind_of("man3/ssl.3ssl") == "man"
    assert kind_of("release/v2.1") is None


@pytest.mark.parametrize(
    "data", [b"just prose", b"\x1f\x8bbroken", gzip.compress(b"x" * 20_000_000)], ids=["prose", "gzip", "bomb"]
)
def test_what_is_no_manual_page_is_refused(data: bytes) -> None:
    with pytest.raises(ReadError):
        read_page("man1/x.1.gz", data)


@pytest.mark.parametrize(
    ("roff", "text"),
    [
        (r"\fBbold\fR \fIi\fP", "bold i"),
        (r"a\-b \(em c \[lq]d\[rq]", 'a-b — c "d"'),
        (r"\s-1SMALL\s0 \*(Tm \e", "SMALL ™ \\"),
        (r"\h'2'x\&y\|z", "xyz"),
        (r"\[u00E9] \[unknown]", "é "),
    ],
)
def test_escapes_are_spelled_out(roff: str, text: str) -> None:
    assert plain(roff) == text


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("Fl v Ar file", "-v file"),
        ("Op Fl o Ar file", "[-o file]"),
        ("Ar a , Ar b", "a, b"),
        ("Fl Fl long Ns = Ns Ar x", "--long=x"),
        ("Pa /etc/x .", "/etc/x."),
        ("Dq Ar word", '"word"'),
    ],
)
def test_mdoc_lines_become_plain_words(line: str, text: str) -> None:
    assert mdoc(line, "tool") == text
