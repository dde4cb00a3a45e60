"""PDF -> Page: the text page by page, each page a section that opens with `#page=N`, titled by the outline where there is one.

pypdf extracts; nothing in the document is run. A scanned PDF without text says so.
"""

from __future__ import annotations

import io
import logging
import re
import time
from collections.abc import Iterator
from typing import Any

from portico_servers.docs.errors import ReadError
from portico_servers.docs.ingest.pages import Heading, Page, make_page

MAX_PAGES = 2_000
MAX_SECONDS = 120.0
_HYPHENATED = re.compile(r"(?<=[a-z])-\n(?=[a-z])")
_MAX_OUTLINE = 5_000


def read_pdf(path: str, data: bytes) -> Page:
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # what it mends on the way is nobody's concern
    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise ReadError(f"{path}: encrypted with a password")
        texts, note = _texts(reader)
        outline = _outline(reader)
        title = _title(reader)
    except PyPdfError as error:
        raise ReadError(f"{path}: not a readable PDF: {error}") from None
    except (AttributeError, AssertionError, IndexError, KeyError, RecursionError, TypeError, ValueError, OSError) as error:
        # A damaged file makes pypdf stumble in ways that it has no error for.
        raise ReadError(f"{path}: damaged PDF: {type(error).__name__}: {error}") from None
    if not any(text.strip() for text in texts):
        raise ReadError(f"{path}: no text in it: a scan; run it through OCR first")
    return _page(title, texts, outline, note)


def _texts(reader: Any) -> tuple[list[str], str]:
    started = time.monotonic()
    texts: list[str] = []
    count = len(reader.pages)
    for number, page in enumerate(reader.pages):
        if number >= MAX_PAGES or time.monotonic() - started > MAX_SECONDS:
            return texts, f"read up to page {number} of {count}"
        texts.append(_HYPHENATED.sub("", (page.extract_text() or "").replace("\x00", "").replace("\x0c", "\n")).strip())
    return texts, ""


def _outline(reader: Any) -> dict[int, list[tuple[int, str]]]:
    """Page index -> [(level, title)] of the outline's entries that begin there."""
    found: dict[int, list[tuple[int, str]]] = {}
    for level, entry in _entries(reader.outline, 1):
        try:
            number = reader.get_destination_page_number(entry)
        except (AttributeError, KeyError, TypeError, ValueError):
            continue
        title = " ".join(str(entry.title or "").split())
        if number is not None and number >= 0 and title:
            found.setdefault(number, []).append((level, title))
    return found


def _entries(outline: list[Any], level: int, budget: list[int] | None = None) -> Iterator[tuple[int, Any]]:
    budget = budget if budget is not None else [_MAX_OUTLINE]
    for item in outline:
        if budget[0] <= 0:
            return
        if isinstance(item, list):
            if level < 12:
                yield from _entries(item, level + 1, budget)
        else:
            budget[0] -= 1
            yield level, item


def _title(reader: Any) -> str:
    title = reader.metadata.title if reader.metadata else None
    return " ".join(title.split()) if isinstance(title, str) else ""


def _page(title: str, texts: list[str], outline: dict[int, list[tuple[int, str]]], note: str) -> Page:
    lines: list[str] = []
    headings: list[Heading] = []
    deepest = 0
    for number, text in enumerate(texts):
        entries = outline.get(number, [])
        for level, name in entries:
            lines.append(f"{'#' * min(level, 6)} {name}")
            headings.append(Heading(level, name, f"page={number + 1}", len(lines)))
            deepest = level
        if not entries:
            # Under whatever the outline put before it.
            lines.append(f"[page {number + 1}]")
            headings.append(Heading(deepest + 1, f"Page {number + 1}", f"page={number + 1}", len(lines)))
        lines += [*text.split("\n"), ""]
    return make_page(title, "\n".join(lines), "pdf", headings, note=note)
