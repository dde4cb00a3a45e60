"""Manual pages (man and mdoc macros, gzipped or not) -> Page: a readable text, a section each `.SH`, `.SS`, `.Sh`, `.Ss`.

Not a typesetter: macros become paragraphs, indents and plain words; tables and equations are shown as they stand. Nothing
is run and no other file (`.so`) is opened. Anchors are those of mandoc's HTML: the title with `_` for spaces.
Source: man(7), mdoc(7).
"""

from __future__ import annotations

import gzip
import re
import zlib

from portico_servers.docs.errors import ReadError
from portico_servers.docs.ingest.pages import Heading, Page, make_page
from portico_servers.docs.ingest.readers.roff import MDOC_INLINE, arguments, mdoc, plain

MAX_UNPACKED = 16_000_000
MAN_NAME = re.compile(r"^(?P<name>.+)\.(?P<section>[1-9][a-z0-9]*|[ln])(?:\.gz)?$")


def unpack(path: str, data: bytes) -> bytes:
    """The page itself, if it's gzipped. At most MAX_UNPACKED bytes: a small file can hold a huge one."""
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        text = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(data, MAX_UNPACKED + 1)
    except (zlib.error, gzip.BadGzipFile, EOFError) as error:
        raise ReadError(f"{path}: damaged gzip data: {error}") from None
    if len(text) > MAX_UNPACKED:
        raise ReadError(f"{path}: more than {MAX_UNPACKED:,} bytes unpacked")
    return text


def read_man(path: str, text: str) -> Page:
    writer = _Writer()
    lines = iter(text.replace("\\\n", "").split("\n"))
    for line in lines:
        if line.startswith((".de", ".ig", ".am")):
            for inner in lines:  # a macro's definition, or a comment: up to ..
                if inner.strip() == "..":
                    break
            continue
        writer.line(line)
    writer.end_paragraph()
    found = MAN_NAME.match(path.rpartition("/")[2])
    name = f"{found['name']}({found['section']})" if found else path
    if not writer.headings:
        raise ReadError(f"{path}: not a manual page: it has no sections")
    title = writer.title or name
    body = [f"# {title}", "", *writer.lines]
    headings = [Heading(1, title, "", 1), *(Heading(h.level, h.title, h.anchor, h.line + 2) for h in writer.headings)]
    return make_page(title, "\n".join(body), "man", headings)


class _Writer:
    def __init__(self) -> None:
        self.title = ""
        self.lines: list[str] = []
        self.headings: list[Heading] = []
        self._words: list[str] = []
        self._indent = 0
        self._hanging = False  # under a tag
        self._tag_next = False
        self._verbatim = False
        self._name = ""
        self._lists: list[int] = []

    def line(self, line: str) -> None:
        if line.startswith((".", "'")):
            body = line[1:].lstrip()
            macro, _, rest = body.partition(" ")
            if macro and not macro.startswith('\\"'):
                self._macro(macro.strip(), rest)
        elif self._verbatim:
            self.lines.append("    " + plain(line))
        elif not line.strip():
            self.end_paragraph()
        else:
            self._text(plain(line))

    def end_paragraph(self) -> None:
        text = " ".join(" ".join(self._words).split())
        self._words.clear()
        if text:
            if self.lines and self.lines[-1]:
                self.lines.append("")
            self.lines.append("  " * (self._indent + (1 if self._hanging else 0)) + text)

    def _text(self, text: str) -> None:
        self._words.append(text)
        if self._tag_next:
            self._tag(" ".join(self._words))

    def _tag(self, text: str) -> None:
        self._tag_next = False
        self._words.clear()
        if self.lines and self.lines[-1]:
            self.lines.append("")
        self.lines.append("  " * self._indent + " ".join(text.split()))
        self._hanging = True

    def _macro(self, macro: str, rest: str) -> None:
        if macro in ("TH", "Dt"):
            parts = arguments(rest)
            self.title = f"{parts[0]}({parts[1]})" if len(parts) > 1 else ""
            if self.title.isupper() or macro == "Dt":
                self.title = self.title.lower()
        elif macro in ("SH", "SS", "Sh", "Ss"):
            self._heading(2 if macro in ("SH", "Sh") else 3, " ".join(arguments(rest)))
        elif macro in ("PP", "P", "LP", "Pp", "sp", "HP", "br"):
            self.end_paragraph()
            self._hanging = self._hanging and macro in ("sp", "br", "Pp")
        elif macro in ("TP", "TQ"):
            self.end_paragraph()
            self._hanging, self._tag_next = False, True
        elif macro in ("IP", "It"):
            self._item(macro, rest)
        elif macro in ("RS", "Bl", "Bd", "RE", "El", "Ed", "nf", "EX", "fi", "EE"):
            self._block(macro, rest)
        elif macro in ("B", "I", "SM", "SB", "BR", "RB", "BI", "IB", "IR", "RI", "R"):
            parts = arguments(rest)
            self._text(("" if len(macro) == 2 and macro not in ("SM", "SB") else " ").join(parts))
        elif macro in ("UR", "MT"):
            self._text(f"<{rest.strip()}>")
        elif macro == "Nd":
            self._text("- " + plain(rest))
        elif macro == "Nm" and rest.strip() and not self._name:
            self._name = arguments(rest)[0]
            self._text(self._name)
        elif macro in MDOC_INLINE:
            self._text(mdoc(f"{macro} {rest}", self._name))

    def _heading(self, level: int, title: str) -> None:
        self.end_paragraph()
        self._indent, self._hanging, self._tag_next, self._verbatim, self._lists = 0, False, False, False, []
        if not title:
            return
        if self.lines and self.lines[-1]:
            self.lines.append("")
        self.lines.append(f"{'#' * level} {title}")
        self.headings.append(Heading(level, title, title.replace(" ", "_"), len(self.lines)))

    def _item(self, macro: str, rest: str) -> None:
        self.end_paragraph()
        self._hanging = False
        tag = mdoc(rest, self._name) if macro == "It" else (arguments(rest) or [""])[0]
        if tag:
            self._tag(tag)
        elif macro == "IP":
            self._hanging = True

    def _block(self, macro: str, rest: str) -> None:
        self.end_paragraph()
        if macro in ("nf", "EX") or (macro == "Bd" and ("-literal" in rest or "-unfilled" in rest)):
            self._verbatim = True
            self.lines.append("") if self.lines and self.lines[-1] else None
        elif macro in ("fi", "EE", "Ed"):
            self._verbatim = False
        if macro in ("RS", "Bl"):
            self._lists.append(self._indent)
            self._indent = min(self._indent + (1 if macro == "RS" or self._hanging else 0), 6)
            self._hanging = False
        elif macro in ("RE", "El") and self._lists:
            self._indent = self._lists.pop()
            self._hanging = macro == "RE"
