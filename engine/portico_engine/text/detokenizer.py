"""Streaming text out of tokens: whole characters only, and nothing past a stop string.

It owns the two small states of one stream. It knows token bytes, not vocabularies, and leaves what a stop means to the engine.
"""

from __future__ import annotations

import codecs
from collections.abc import Collection, Sequence


class IncrementalDetokenizer:
    """Bytes of tokens to text, as soon as characters are whole. Bytes that are no UTF-8 become U+FFFD."""

    def __init__(self, token_bytes: Sequence[bytes], shown: Collection[int] = ()) -> None:
        """`shown`: control tokens that come out as their text."""
        self._token_bytes = token_bytes
        self._shown = shown
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def add(self, token: int) -> str:
        """The characters that this token completes; none for other control tokens. A character cut at the end never comes."""
        data = self._token_bytes[token]
        control = len(data) > 1 and data.startswith(b"\xff")  # 0xff alone is a byte like others
        if control:
            return self._decoder.decode(data[1:]) if token in self._shown else ""
        return self._decoder.decode(data)


class StopStrings:
    """Text that passes until one of the stop strings occurs; what could be the beginning of one is held back meanwhile."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.met: str | None = None  # the stop string that has occurred

    def add(self, text: str) -> str:
        """The text that may be shown now. After a stop string `met` names it, and nothing of it or behind it is returned."""
        if self.met is not None:
            return ""
        if not self._stops:
            return text
        text = self._held + text
        ends = [(at, stop) for stop in self._stops if (at := text.find(stop)) >= 0]
        if ends:
            at, self.met = min(ends)
            self._held = ""
            return text[:at]
        keep = max(_overlap(text, stop) for stop in self._stops)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def flush(self) -> str:
        """What was held back, once it is known that nothing follows."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a beginning of `stop`, shorter than `stop`."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
