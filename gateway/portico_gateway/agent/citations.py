"""Citations that open: each is read again through its server's own resource template before it is printed.

It matches a citation to a template by the template's variables (RFC 6570, simple and reserved expansion); it knows no server.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from portico_gateway.errors import GatewayError

_VARIABLE = re.compile(r"\{(\+?)(\w+)\}")
LINES_MOVED = 3  # lines that a quote may have moved since the index saw it
SECTION_LINES = 60  # lines below a heading in which the words of a rendered passage are looked for

ReadText = Callable[[str], Awaitable[str]]  # a resource's URI to its text; raises GatewayError


@dataclass(frozen=True, slots=True)
class Citation:
    """Something a result cites: the fields that name it, where in it, and the words that must be found there again."""

    fields: Mapping[str, Any]  # e.g. {"root": ..., "path": ...}: what a server's resource template asks for
    label: str  # "kv/pool.py:41", "guide.md#install", "table orders"
    line: int | None
    quote: str

    def texts(self, names: Sequence[str]) -> Iterator[str]:
        """What these of its fields say; each entry of a list is a text."""
        for name in names:
            value = self.fields.get(name)
            if isinstance(value, str):
                yield value
            elif isinstance(value, Sequence):
                yield from map(str, value)


@dataclass(frozen=True, slots=True)
class ConfirmedCitation:
    """A citation that was opened again."""

    server: str
    label: str
    uri: str


def expand_template(template: str, fields: Mapping[str, Any]) -> str | None:
    """The URI that `fields` name, or None where a variable of the template is missing."""
    names = _VARIABLE.findall(template)
    if not names or any(fields.get(name) in (None, "") for _, name in names):
        return None
    return _VARIABLE.sub(lambda m: quote(str(fields[m[2]]), safe="/:" if m[1] else ""), template)


async def confirm(
    server: str, citations: Sequence[Citation], templates: Sequence[str], read: ReadText
) -> list[ConfirmedCitation]:
    """The citations that their server still has, quote and all, in order and without repeats."""
    found: dict[str, ConfirmedCitation] = {}
    for citation in citations:
        uris = [uri for template in templates if (uri := expand_template(template, citation.fields))]
        if isinstance(uri := citation.fields.get("uri"), str):
            uris.insert(0, uri)
        for uri in uris:
            try:
                text = await read(uri)
            except GatewayError:
                continue
            if holds_quote(text, citation):
                found.setdefault(citation.label, ConfirmedCitation(server, citation.label, uri))
                break
    return list(found.values())


def holds_quote(text: str, citation: Citation) -> bool:
    """Is the citation's quote in `text`, near its line where it has one?"""
    if not citation.quote:
        return bool(text)
    if citation.line is None:
        return citation.quote in text
    lines = text.splitlines()
    near = lines[max(0, citation.line - 1 - LINES_MOVED) : citation.line + LINES_MOVED]
    if any(citation.quote in line for line in near):
        return True
    # Rendered text has lost its markup, and may span lines: compare words alone.
    section = "\n".join(lines[max(0, citation.line - 1 - LINES_MOVED) : citation.line + SECTION_LINES])
    return _squeeze(citation.quote) in _squeeze(section)


def _squeeze(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text).strip()
