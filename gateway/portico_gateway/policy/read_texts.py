"""The texts that one caller has read, and those that it has itself written, within bounds.

It owns what is kept and what goes for it. It knows neither calls nor what a copy is.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from portico_gateway.policy.argument_texts import LONGEST

MAX_TEXT = 1 << 20  # characters that are kept of what one caller has read, the newest
MAX_OWN = 1000  # arguments that are kept of what one caller has written
MAX_OWN_TEXT = 256 << 10  # their characters, the newest; one that is longer stays until the next
SEGMENT = 64 << 10  # characters that are searched as one, and dropped as one


@dataclass(slots=True)
class Segment:
    """Some of what one caller has read, searched as one: (source, text), the oldest first."""

    texts: dict[tuple[str, str], None] = field(default_factory=dict)
    size: int = 0
    _joined: str | None = None

    @property
    def text(self) -> str:
        """All of it; what spans two texts stands in none."""
        if self._joined is None:
            self._joined = "\0".join(text for _, text in self.texts)
        return self._joined

    def source_of(self, pieces: Sequence[str]) -> str | None:
        """The newest source of a text that has one of the pieces."""
        return next((name for name, text in reversed(self.texts) if any(piece in text for piece in pieces)), None)

    def add(self, source: str, text: str) -> None:
        self.texts[source, text] = None
        self.size += len(text)
        self._joined = None

    def renew(self, source: str, text: str) -> bool:
        """Whether it is here already; then it counts as the newest."""
        if (source, text) not in self.texts:
            return False
        del self.texts[source, text]
        self.texts[source, text] = None
        return True


@dataclass(slots=True)
class ReadTexts:
    """All texts are `comparable`. `own`: arguments that were not copied when they were first used."""

    segments: deque[Segment] = field(default_factory=deque)
    size: int = 0
    own: OrderedDict[str, None] = field(default_factory=OrderedDict)  # the oldest first
    own_size: int = 0
    _own_text: str | None = None
    _newest: tuple[str, int, int] | None = None  # source, length and hash of the last text that filled segments of its own

    def add(self, source: str, text: str) -> None:
        """The caller has read this. A long text is kept in segments that overlap by the longest piece that is looked for."""
        if len(text) <= SEGMENT:
            self._add(source, text)
        elif (source, len(text), hash(text)) != self._newest:
            self._newest = source, len(text), hash(text)
            for at in range(0, len(text) - LONGEST, SEGMENT - LONGEST):
                self._add(source, text[at : at + SEGMENT])

    def _add(self, source: str, text: str) -> None:
        if self.segments and self.segments[-1].renew(source, text):
            return
        if not self.segments or self.segments[-1].size + len(text) > SEGMENT:
            self.segments.append(Segment())
        self.segments[-1].add(source, text)
        self.size += len(text)
        while self.size > MAX_TEXT and len(self.segments) > 1:
            self.size -= self.segments.popleft().size

    def write(self, text: str) -> None:
        """The caller has written this."""
        if text in self.own:
            return
        self.own[text] = None
        self.own_size += len(text)
        self._own_text = None
        while len(self.own) > MAX_OWN or (self.own_size > MAX_OWN_TEXT and len(self.own) > 1):
            self.own_size -= len(self.own.popitem(last=False)[0])

    @property
    def own_text(self) -> str:
        """All that the caller has written."""
        if self._own_text is None:
            self._own_text = "\0".join(self.own)
        return self._own_text
