"""Which texts are copied from others: the search, in steps, with counted work.

A copy is a text that stands elsewhere as it is, or has an address, a number or eight words in a row that stand there. Of many
texts few are looked for in all that was read: a name whose characters, or four words that, don't stand together there have no
chance. What the bound on work leaves unsearched is said to be so.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from portico_gateway.policy.argument_texts import LONGEST, SHORTEST_NAME, WINDOW, names, windows
from portico_gateway.policy.read_texts import Segment
from portico_gateway.policy.slices import Work

RUN = 8  # words in a row that are a copy
_ANCHOR = 4  # words: each run of eight has four that begin at a multiple of four
MAX_WORK = 500_000_000  # characters that are compared for one call, other work in their stead: a few tenths of a second
_OF_TEXT = 10_000  # characters in the place of an argument
_OF_CHAR = 30  # ... of one of its characters
_OF_NAME = 3000  # ... of a name in it
_OF_FOUR = 500  # ... of four words of it
_OF_CHECK = 300  # ... of the look-up of a name or of four words
_OF_GRAM = 100  # ... of a place in what was read, where four characters or words stand together
_FEW = 200  # pieces that are looked for one by one
_STEP = 2000  # pieces that are looked up in one step
_ENOUGH = 8  # copied pieces of one text: they tell the source
_EDGE = re.compile(r"\A\W+|(?<!\W)\W+\Z")


class Found(NamedTuple):
    """What became of one text: the newest source that has it, or "" where it was not all looked for."""

    text: int
    source: str


@dataclass(slots=True)
class _Pieces:
    """What is looked for, and the numbers of the places that it comes from, most often one."""

    first: dict[str, int] = field(default_factory=dict)
    more: dict[str, list[int]] = field(default_factory=dict)

    def add(self, piece: str, place: int) -> None:
        if self.first.setdefault(piece, place) != place:
            self.more.setdefault(piece, []).append(place)

    def places(self, piece: str) -> Iterator[int]:
        yield self.first[piece]
        yield from self.more.get(piece, ())


class _Window(NamedTuple):
    """A part of a text, whose words are taken by fours: the number of the first four, the text's, and where it begins."""

    first: int
    text: int
    at: int


@dataclass(slots=True)
class CopySearch:
    """Looks for `texts` (`comparable`) in `segments`. What stands in one of `own` is no copy."""

    texts: Sequence[str]
    segments: Sequence[Segment]
    own: Collection[str]
    _work: int = 0
    _names: _Pieces = field(default_factory=_Pieces)  # and short texts; a place is a text's number
    _anchors: _Pieces = field(default_factory=_Pieces)  # a place is the number of four words, of all windows
    _windows: list[_Window] = field(default_factory=list)
    _n_anchors: int = 0
    _sources: dict[int, str] = field(default_factory=dict)  # by text

    def found(self) -> Work[list[Found]]:
        """Those that are copied, and those that were not all looked for."""
        for number, text in enumerate(self.texts):
            yield from self._take_apart(number, text)
            if self._is_spent:
                break
        for segment in reversed(self.segments):
            yield from self._search(segment)
        found: list[Found] = []
        for number, text in enumerate(self.texts):
            source = self._sources.get(number)
            if source is not None or (self._is_spent and len(text) >= SHORTEST_NAME):
                found.append(Found(number, source or ""))
            if number % _STEP == _STEP - 1:
                yield
        return found

    @property
    def _is_spent(self) -> bool:
        return self._work > MAX_WORK

    def _spend(self, work: int) -> bool:
        """Whether there was still so much."""
        self._work += work
        return self._work <= MAX_WORK

    def _text_of(self, pieces: _Pieces, place: int) -> int:
        return place if pieces is self._names else self._window_of(place).text

    def _window_of(self, anchor: int) -> _Window:
        return self._windows[bisect_right(self._windows, (anchor, len(self.texts))) - 1]

    # -- what is looked for

    def _take_apart(self, number: int, text: str) -> Work[None]:
        n_words = text.count(" ") + 1
        self._spend(_OF_TEXT)
        if n_words < RUN:
            self._add_name(_EDGE.sub("", text[:LONGEST]), number)
        elif any(self._spend(len(own)) and text in own for own in self.own):
            return
        at = 0  # where the words begin that are not taken yet
        for start, end in ((0, len(text)),) if len(text) <= WINDOW else windows(text):
            for name in names(text[start:end]):
                self._add_name(name, number)
            if n_words >= RUN:
                at = self._take_words(number, text, at, end)
            if not self._spend((end - start) * _OF_CHAR):
                return
            yield

    def _add_name(self, name: str, number: int) -> None:
        if len(name) >= SHORTEST_NAME and self._spend(_OF_NAME):
            self._names.add(name, number)

    def _take_words(self, number: int, text: str, at: int, end: int) -> int:
        """Takes the words between by fours; returns where those begin that are left over."""
        words = text[at:end].split(" ")
        fours = list(map(" ".join, zip(words[::4], words[1::4], words[2::4], words[3::4], strict=False)))
        self._windows.append(_Window(self._n_anchors, number, at))
        for place, four in enumerate(fours, self._n_anchors):
            self._anchors.add(four[:LONGEST], place)
        self._n_anchors += len(fours)
        self._spend(len(fours) * _OF_FOUR)
        return at + sum(map(len, fours)) + len(fours)

    # -- where it stands

    def _search(self, segment: Segment) -> Work[None]:
        text = segment.text
        here: dict[int, list[str]] = {}  # the copied pieces of each text
        checks = _OF_CHECK * len(self._names.first)
        for pieces, likely, work in ((self._names, _likely_names, checks), (self._anchors, _likely_words, 0)):
            candidates: Iterable[str] = pieces.first
            if len(pieces.first) > _FEW and self._spend(_OF_GRAM * len(text) + work):
                candidates = yield from likely(pieces.first, text)
            for piece in candidates:
                if not self._spend(len(text) + _OF_CHECK):
                    break
                if piece in text:
                    yield from self._verify(pieces, piece, text, here)
                yield
        for number, copied in here.items():
            if (source := segment.source_of(copied)) is not None:  # none where a piece spans two texts
                self._sources[number] = source

    def _verify(self, pieces: _Pieces, piece: str, text: str, here: dict[int, list[str]]) -> Work[None]:
        """Which of the texts that have this piece are copies."""
        name = piece if pieces is self._names and self._is_copy(piece, text) else None
        for count, place in enumerate(pieces.places(piece)):
            number = self._text_of(pieces, place)
            if number not in self._sources and len(here.get(number, ())) < _ENOUGH:
                runs = () if pieces is self._names else self._runs(place)
                if (copy := name or next((run for run in runs if self._is_copy(run, text)), None)) is not None:
                    here.setdefault(number, []).append(copy)
            if self._is_spent:
                return
            if pieces is self._anchors or count % _STEP == _STEP - 1:
                yield

    def _is_copy(self, run: str, text: str) -> bool:
        self._spend(len(text) + sum(map(len, self.own)) + _OF_CHECK)
        return run in text and not any(run in own for own in self.own)

    def _runs(self, anchor: int) -> Iterator[str]:
        """The runs of eight words that have these four."""
        window = self._window_of(anchor)
        text = self.texts[window.text]
        at = window.at
        for _ in range(_ANCHOR * (anchor - window.first)):
            at = text.index(" ", at) + 1
        starts = [at]
        for _ in range(RUN - _ANCHOR):
            if at == 0:
                break
            at = text.rfind(" ", 0, at - 1) + 1
            starts.append(at)
        for start in starts:
            end = start - 1
            for _ in range(RUN):
                end = text.find(" ", end + 1)
                if end < 0:
                    end = len(text)
                    break
            yield text[start : min(end, start + LONGEST)]


def _likely_names(pieces: Collection[str], text: str) -> Work[list[str]]:
    """Those whose characters stand together in the text, four by four."""
    there: set[str] = set()
    for at in range(0, len(text), WINDOW // 4):
        part = text[at : at + WINDOW // 4 + 3]
        there.update(map("".join, zip(part, part[1:], part[2:], part[3:], strict=False)))
        yield
    found = []
    for count, piece in enumerate(pieces):
        if piece[-4:] in there and there.issuperset([piece[at : at + 4] for at in range(0, len(piece) - 3, 4)]):
            found.append(piece)
        if count % _STEP == 0:
            yield
    return found


def _likely_words(pieces: Collection[str], text: str) -> Work[list[str]]:
    """Those whose four words stand in the text; the first and the last of a text's words may be parts of longer ones."""
    words = text.replace("\0", " \0 ").split(" ")
    yield
    found = []
    for at in range(0, len(words), _STEP):
        part = words[at : at + _STEP + 3]
        found += [each for each in map(" ".join, zip(part, part[1:], part[2:], part[3:], strict=False)) if each in pieces]
        yield
    return list(dict.fromkeys(found))
