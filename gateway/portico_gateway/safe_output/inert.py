"""Text from outside as a terminal may show it, in lines and as JSON. What acts on a terminal is `inert_text`'s to say."""

from __future__ import annotations

import json
import re
from typing import Any

from portico_servers.common.inert_text import ACTIVE, inert

__all__ = ["inert", "inert_json", "inert_line"]

_SPACE = re.compile("[\t\n]+")


def inert_line(text: str) -> str:
    """As `inert`, in one line."""
    return _SPACE.sub(" ", inert(text))


def inert_json(value: Any, *, indent: int | None = None) -> str:
    """JSON whose strings hold such characters as JSON's own escapes."""
    return ACTIVE.sub(_json_escaped, json.dumps(value, ensure_ascii=False, indent=indent))


def _json_escaped(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1]
