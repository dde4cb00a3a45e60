"""Markdown as it streams: blocks that are whole are printed for good, the last one is shown as far as it is written.

What a model writes is shown inert: no escape sequence of its reaches the terminal, and no link hides where it leads.
"""

from __future__ import annotations

import re
import time

from rich.console import Console
from rich.live import Live
from rich.markdown import Markdown

from portico_gateway.safe_output.inert import inert

_FENCE = re.compile(r"^ {0,3}(```+|~~~+)", re.MULTILINE)
_PAUSE = 0.08  # seconds between two drawings of the unfinished block


class MarkdownStream:
    """Feed it pieces; `close` prints the rest."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._pending = ""
        self._live: Live | None = None
        self._drawn = 0.0

    def feed(self, text: str) -> None:
        """A further piece."""
        self._pending += text
        end = _whole_blocks(self._pending)
        if end:
            self._print(self._pending[:end])
            self._pending = self._pending[end:]
        if self._console.is_terminal and self._pending.strip() and time.monotonic() - self._drawn >= _PAUSE:
            self._draw()

    def close(self) -> None:
        """No more comes."""
        self._print(self._pending)
        self._pending = ""

    def _draw(self) -> None:
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, transient=True, vertical_overflow="crop")
            self._live.start()
        self._live.update(as_markdown(self._pending), refresh=True)
        self._drawn = time.monotonic()

    def _print(self, text: str) -> None:
        if self._live is not None:
            self._live.update("", refresh=True)
            self._live.stop()
            self._live = None
        if text.strip():
            self._console.print(as_markdown(text))


def as_markdown(text: str) -> Markdown:
    """Text of a model, to be shown."""
    return Markdown(inert(text), hyperlinks=False)


def _whole_blocks(text: str) -> int:
    """How far the text is made of whole blocks: to its last empty line that is in no block of code."""
    end, at, fence = 0, 0, ""
    for line in text.splitlines(keepends=True):
        at += len(line)
        mark = _FENCE.match(line)
        if mark is not None and not fence:
            fence = mark[1]
        elif mark is not None and mark[1].startswith(fence[:3]) and len(mark[1]) >= len(fence):
            fence = ""
        if not fence and not line.strip() and line.endswith("\n"):
            end = at
    return end
