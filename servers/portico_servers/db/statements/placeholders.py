"""`:name` placeholders of canned queries, whatever the engine: found outside of strings, quoted names and comments.

It rewrites the owner's SQL, never a caller's; values are bound by the engine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_TOKEN = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | `[^`]*` | --[^\n]* | /\*.*?\*/ | \$(\w*)\$.*?\$\1\$ | :: | :(?P<name>[A-Za-z_]\w*)""",
    re.VERBOSE | re.DOTALL,
)


def placeholder_names(sql: str) -> Iterator[str]:
    """The placeholders' names in order, repeated ones repeatedly."""
    for match in _TOKEN.finditer(sql):
        if match["name"]:
            yield match["name"]


def bind_placeholders(sql: str, values: Mapping[str, Any], placeholder: Callable[[int], str]) -> tuple[str, list[Any]]:
    """The SQL with the engine's own placeholders, and the values in their order."""
    bound: list[Any] = []

    def replace(match: re.Match[str]) -> str:
        if not match["name"]:
            return match[0]
        bound.append(values.get(match["name"]))
        return placeholder(len(bound))

    return _TOKEN.sub(replace, sql), bound
