"""Bytes as they come, as lines of bounded length: of a longer one its ends are kept, which name the message that it was. It
knows neither messages nor where bytes come from.
"""

from __future__ import annotations

from typing import NamedTuple


class Line(NamedTuple):
    """Without its end. `is_cut`: it was too long, and these are its first and its last bytes."""

    data: bytes
    is_cut: bool


class LineSplitter:
    """Lines of at most `longest` bytes; of a longer one `edge` bytes of each end."""

    def __init__(self, longest: int, edge: int) -> None:
        self._longest = longest
        self._edge = edge
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[Line]:
        """The lines that end in this chunk."""
        *ended, rest = chunk.split(b"\n")
        lines = []
        for piece in ended:
            self._add(piece)
            lines.append(self.take())
        self._add(rest)
        return lines

    def take(self) -> Line:
        """What has come of a line without its end, as if it had ended. The next one begins."""
        line = Line(b"".join(self._parts), self._size > self._longest)
        self._parts, self._size = [], 0
        return line

    def _add(self, piece: bytes) -> None:
        self._size += len(piece)
        self._parts.append(piece)
        if self._size > self._longest:
            whole = b"".join(self._parts)
            self._parts = [whole[: self._edge], whole[self._edge :][-self._edge :]]
