"""From bytes to `Page`, one module a format. What a name is read as, and the one door through which every file goes.

    markdown.py        Markdown, MyST and Pandoc anchors
    rst.py             reStructuredText, Sphinx's too
    sphinx_objects.py  the directives by which Sphinx documents objects
    html.py            HTML: the main content, every heading and object under its id
    man.py             manual pages
    roff.py            their inline language
    pdf.py             PDF, page by page
    notebook.py        Jupyter notebooks; nothing is executed
    docstrings.py      a Python module's docstrings, read from the source
    text.py            plain text

Knows nothing of the index, nor of where the bytes came from. Format libraries are imported when the first page of their
kind is read, so that a server starts at once.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from portico_servers.docs.errors import ReadError
from portico_servers.docs.ingest.pages import Page

MAX_BYTES = 64_000_000
KINDS = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".mdx": "markdown",
    ".mkd": "markdown",
    ".qmd": "markdown",
    ".rst": "rst",
    ".rest": "rst",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".txt": "text",
    ".text": "text",
    ".pdf": "pdf",
    ".ipynb": "notebook",
}
_MAN_NAME = re.compile(r".+\.(?:[1-9][a-z0-9]*|[ln])(?:\.gz)?$")
_RST = re.compile(r"^\.\. (?:[a-z][\w:-]*::(?:\s|$)|_[^:\n]+:\s)", re.M)
_FEW_MARKS = 2  # of reStructuredText's own, in a file called .txt
_BARE = {"readme", "changelog", "changes", "news", "install", "contributing", "authors", "todo", "history", "faq", "hacking"}
_GENERATED = {"genindex.html", "search.html", "searchindex.html", "py-modindex.html", "modindex.html", "404.html", "robots.txt"}
_NOT_PROSE = {"cmakelists.txt", "requirements.txt", "constraints.txt", "manifest.txt", "top_level.txt", "entry_points.txt"}


def kind_of(path: str) -> str | None:
    """What a file is read as, by its name; None for what isn't documentation."""
    name = PurePosixPath(path).name.lower()
    if name in _GENERATED or name in _NOT_PROSE or (name.startswith("genindex") and name.endswith((".html", ".htm"))):
        return None
    if name.startswith("requirements") and name.endswith(".txt"):
        return None
    if name == "llms.txt" or name == "llms-full.txt":
        return "markdown"
    if name.endswith((".rst.txt", ".md.txt")):
        return KINDS[PurePosixPath(name[: -len(".txt")]).suffix]
    stem, dot, _ = name.rpartition(".")
    if not dot and name in _BARE:
        return "text"
    if stem and PurePosixPath(path).parent.name.lower().startswith("man") and _MAN_NAME.match(name):
        return "man"
    return KINDS.get(PurePosixPath(name).suffix) if stem else None


def read_page(path: str, data: bytes, kind: str | None = None) -> Page:
    """The page in `data`. `path` names it in errors and decides the kind. Raises ReadError."""
    kind = kind or kind_of(path)
    if kind is None:
        raise ReadError(f"{path}: not a kind of documentation that can be read")
    if len(data) > MAX_BYTES:
        raise ReadError(f"{path}: more than the {MAX_BYTES:,} bytes that are read of a page")
    match kind:
        case "pdf":
            from portico_servers.docs.ingest.readers.pdf import read_pdf

            return read_pdf(path, data)
        case "man":
            from portico_servers.docs.ingest.readers.man import read_man, unpack

            return read_man(path, decode(path, unpack(path, data)))
        case _:
            return _read_text_kind(path, decode(path, data), kind)


def _read_text_kind(path: str, text: str, kind: str) -> Page:
    match kind:
        case "markdown":
            from portico_servers.docs.ingest.readers.markdown import read_markdown

            return read_markdown(text)
        case "rst":
            from portico_servers.docs.ingest.readers.rst import read_rst

            return read_rst(path, text)
        case "html":
            from portico_servers.docs.ingest.readers.html import read_html

            return read_html(path, text)
        case "notebook":
            from portico_servers.docs.ingest.readers.notebook import read_notebook

            return read_notebook(path, text)
        case "docstrings":
            from portico_servers.docs.ingest.readers.docstrings import read_docstrings

            return read_docstrings(path, text)
        case _:
            return _read_plain(path, text)


def _read_plain(path: str, text: str) -> Page:
    """Text, or the reStructuredText that some projects (Django) call .txt."""
    from portico_servers.docs.ingest.readers.rst import read_rst
    from portico_servers.docs.ingest.readers.text import read_text

    if len(_RST.findall(text, 0, 100_000)) >= _FEW_MARKS:
        try:
            return read_rst(path, text)
        except ReadError:
            pass
    return read_text(text)


def decode(path: str, data: bytes) -> str:
    """UTF-8 (a byte order mark is dropped), UTF-16 with its mark, else Latin-1; `\\n` line ends. Binary data is refused."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", errors="replace")
    elif b"\0" in data[:8192]:
        raise ReadError(f"{path}: binary data, not text")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")
