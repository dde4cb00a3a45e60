"""Cursors of paged tool results: opaque to a caller, bound to the question they continue. They know nothing of the results.

A cursor is text that a model must copy, so it's short: `OFFSET.DIGEST`, digest over the question it belongs to.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

_DIGEST_CHARS = 8
_MAX_OFFSET = 1_000_000


class BadCursor(ValueError):
    """The cursor was not given out for this question, or is no cursor at all."""

    def __init__(self, cursor: str) -> None:
        super().__init__(
            f"cursor {cursor[:40]!r} does not continue this question: pass next_cursor as it was given, with the same arguments"
        )


def encode(offset: int, *question: Any) -> str:
    """The cursor of the page that starts at result `offset` (0 and up) of `question` (anything JSON can hold)."""
    return f"{offset}.{_digest(question)}"


def decode(cursor: str | None, *question: Any) -> int:
    """The offset to go on from; 0 for no cursor (None or empty). Raises `BadCursor`."""
    if not cursor:
        return 0
    offset, _, digest = cursor.partition(".")
    if (
        not (offset.isascii() and offset.isdigit())
        or digest != _digest(question)
        or len(offset) > 7
        or int(offset) > _MAX_OFFSET
    ):
        raise BadCursor(cursor)
    return int(offset)


def _digest(question: tuple[Any, ...]) -> str:
    text = json.dumps(question, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_CHARS // 2).hexdigest()
