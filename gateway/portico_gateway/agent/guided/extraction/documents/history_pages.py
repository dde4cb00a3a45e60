"""Change logs and release notes: what they say was true of a version, and is the answer only where somebody asks for that.

Told by the names that such pages and sections go by, in any documentation.
"""

from __future__ import annotations

import re

from portico_gateway.agent.citations import Citation

_NAME = re.compile(
    r"changes|change[-_ ]?logs?|release[-_ ]?notes?|releases|history|version[-_ ]history|news|what'?s[-_ ]?new", re.IGNORECASE
)
_ASKED = re.compile(
    r"\b(?:versions?|releases?d?|since|chang\w+|change|news|what'?s new|added|removed|dropp?(?:ed|s)?|deprecat\w+|renam\w+|"
    r"introduc\w+|fix(?:ed|es)?|history|upgrad\w+|when (?:was|were|did))\b|\bv?\d+\.\d+",
    re.IGNORECASE,
)


def is_history(citation: Citation | None) -> bool:
    """Does a passage stand in a page, or under a heading, that lists what changed?"""
    if citation is None:
        return False
    trail = citation.fields.get("title_trail")
    headings = trail if isinstance(trail, (list, tuple)) else ()
    parts = [part.partition(".")[0] for part in str(citation.fields.get("path") or "").split("/")]
    return any(_NAME.fullmatch(str(name).strip()) for name in (*parts, *headings))


def asks_for_history(question: str) -> bool:
    """Does a question ask about versions, or about what changed in one?"""
    return _ASKED.search(question) is not None
