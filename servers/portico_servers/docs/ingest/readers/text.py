"""Plain text -> Page: no markup is assumed; a line underlined with = or - is taken for a heading, as a reader would."""

from __future__ import annotations

import re

from portico_servers.docs.ingest.anchors import GithubSlugs
from portico_servers.docs.ingest.pages import Heading, Page, make_page

_UNDERLINE = re.compile(r"^(?:={3,}|-{3,})\s*$")


def read_text(text: str) -> Page:
    lines = text.split("\n")
    slugs = GithubSlugs()
    headings = []
    for number in range(1, len(lines)):
        above = lines[number - 1].strip()
        under = lines[number].strip()
        if above and len(above) <= 120 and _UNDERLINE.match(under) and abs(len(under) - len(above)) <= 3:
            level = 1 if under[0] == "=" else 2
            headings.append(Heading(level, above, slugs.make(above), number))
    title = next((line.strip() for line in lines if line.strip()), "")[:120] if not headings else ""
    return make_page(title, text, "text", headings)
