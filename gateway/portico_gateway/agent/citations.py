"""Citations that open: every place is read again through its server's own resource template before it is printed.

It matches a place to a template by the template's variables (RFC 6570, simple and reserved expansion); it knows no server.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from portico_gateway.agent.rendered_results import Place
from portico_gateway.errors import GatewayError

_VARIABLE = re.compile(r"\{(\+?)(\w+)\}")
NEARBY = 3  # lines that a quote may have moved since the index saw it
SECTION = 60  # lines below a heading in which the words of a rendered passage are looked for

Reader = Callable[[str], Awaitable[str]]  # a resource's URI to its text; raises GatewayError


@dataclass(frozen=True, slots=True)
class Source:
    """A place that was found again."""

    server: str
    label: str
    uri: str


def expand(template: str, fields: Mapping[str, Any]) -> str | None:
    """The URI that `fields` name, or None where a variable of the template is missing."""
    names = _VARIABLE.findall(template)
    if not names or any(fields.get(name) in (None, "") for _, name in names):
        return None
    return _VARIABLE.sub(lambda m: quote(str(fields[m[2]]), safe="/:" if m[1] else ""), template)


async def confirm(server: str, places: Sequence[Place], templates: Sequence[str], read: Reader) -> list[Source]:
    """The places that their server still has, quote and all, in order and without repeats."""
    found: dict[str, Source] = {}
    for place in places:
        uris = [uri for template in templates if (uri := expand(template, place.fields))]
        if isinstance(uri := place.fields.get("uri"), str):
            uris.insert(0, uri)
        for uri in uris:
            try:
                text = await read(uri)
            except GatewayError:
                continue
            if holds(text, place):
                found.setdefault(place.label, Source(server, place.label, uri))
                break
    return list(found.values())


def holds(text: str, place: Place) -> bool:
    """Is the place's quote in `text`, near its line where it has one?"""
    if not place.quote:
        return bool(text)
    if place.line is None:
        return place.quote in text
    lines = text.splitlines()
    near = lines[max(0, place.line - 1 - NEARBY) : place.line + NEARBY]
    if any(place.quote in line for line in near):
        return True
    # Rendered text has lost its markup, and may span lines: compare words alone.
    section = "\n".join(lines[max(0, place.line - 1 - NEARBY) : place.line + SECTION])
    return _squeeze(place.quote) in _squeeze(section)


def _squeeze(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text).strip()
