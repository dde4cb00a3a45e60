"""Where arguments come from: which of them are copied from a result that the owner does not trust.

A string that the model copied out of such a result may be an attacker's: an account, an address, a command. It owns the texts
that each caller has read, within bounds, and the search of a call's arguments in them. What follows is the policy's to say.
Copies are found as they are or with other case and spaces; what was encoded or taken apart is not (`ask_after_read` is for
that).
"""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import mcp_types

SHORTEST = 4  # characters of a copy: "yes" and "2024" stand everywhere
MAX_TEXT = 1 << 20  # characters that are kept of what one caller has read, the newest
MAX_CALLERS = 1000
_SEGMENT = 64 << 10  # characters that are searched as one, and dropped as one
_SPACE = re.compile(r"\s+")
# These read texts of megabytes: bounded, each takes time in proportion to the text's length.
_EDGE = re.compile(r"\A\W+|(?<!\W)\W+\Z")
_NAMES = re.compile(  # addresses, accounts, numbers
    r"[\w.+-]{1,100}+@[\w.-]*\w|https?://[^\s\"'<>)]+|(?<!\w)(?=\w)(?=[\w-]{0,100}\d)\w[\w-]{6,}\w"
)
_RUN = 8  # words
_MOST_PIECES = 200
MAX_OWN = 1000  # arguments that are kept of what one caller has written
MAX_OWN_TEXT = 256 << 10  # their characters, the newest; one that is longer stays until the next
_BLOCKS = ("text", "image", "audio", "resource", "resource_link")
_OF_ALL = frozenset(["_meta"])  # members that say nothing
_OF_MEDIA = _OF_ALL | {"data", "blob", "mimeType"}
_ENVELOPE = {"meta", "result_type", "ttl_ms", "cache_scope"}  # the protocol's own words
_URL = re.compile(r"https?://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Copied:
    """An argument that stands in an untrusted result: its JSON pointer, and the tool or resource that gave the result."""

    pointer: str
    source: str

    def __str__(self) -> str:
        return f"{self.pointer} was copied from a result of {self.source}"


@dataclass(slots=True)
class _Segment:
    """Some of what one caller has read, searched as one: (source, text without case and spaces), the oldest first."""

    texts: dict[tuple[str, str], None] = field(default_factory=dict)
    size: int = 0
    _joined: str | None = None

    def source_of(self, pieces: Sequence[str]) -> str | None:
        """The newest source of a text that has one of the pieces."""
        if self._joined is None:
            self._joined = "\0".join(text for _, text in self.texts)
        if not any(piece in self._joined for piece in pieces):
            return None
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
class _Read:
    """What one caller has read, and what it has itself written: arguments that were not copied when they were first used."""

    segments: deque[_Segment] = field(default_factory=deque)
    size: int = 0
    own: dict[str, None] = field(default_factory=dict)  # the oldest first
    own_size: int = 0
    _own_text: str | None = None

    def add(self, source: str, text: str) -> None:
        if self.segments and self.segments[-1].renew(source, text):
            return
        if not self.segments or self.segments[-1].size + len(text) > _SEGMENT:
            self.segments.append(_Segment())
        self.segments[-1].add(source, text)
        self.size += len(text)
        while self.size > MAX_TEXT and len(self.segments) > 1:
            self.size -= self.segments.popleft().size

    def source_of(self, pieces: Sequence[str]) -> str | None:
        """The newest source of a text that has one of the pieces."""
        found = (segment.source_of(pieces) for segment in reversed(self.segments))
        return next((source for source in found if source is not None), None)

    def write(self, text: str) -> None:
        if text in self.own:
            return
        self.own[text] = None
        self.own_size += len(text)
        self._own_text = None
        while len(self.own) > MAX_OWN or (self.own_size > MAX_OWN_TEXT and len(self.own) > 1):
            oldest = next(iter(self.own))
            del self.own[oldest]
            self.own_size -= len(oldest)

    def wrote(self, piece: str) -> bool:
        if self._own_text is None:
            self._own_text = "\0".join(self.own)
        return piece in self._own_text


class Provenance:
    """The untrusted texts of all callers of one gateway."""

    def __init__(self) -> None:
        self._read: OrderedDict[str, _Read] = OrderedDict()

    def note(self, caller: str, source: str, result: mcp_types.Result) -> None:
        """The caller has read this."""
        text = comparable("\n".join(_said(result)))
        if not text:
            return
        self._of(caller).add(source, text[-MAX_TEXT:])

    def used(self, caller: str, arguments: Mapping[str, Any], copied: Collection[str] = ()) -> None:
        """A call with these arguments is made. Those that were not `copied` are the caller's own from here on: a result that
        repeats them makes them nobody else's."""
        read = self._of(caller)
        for pointer, value in _leaves(arguments, ""):
            if pointer not in copied:
                read.write(comparable(value)[-MAX_TEXT:])

    def _of(self, caller: str) -> _Read:
        read = self._read.setdefault(caller, _Read())
        self._read.move_to_end(caller)
        if len(self._read) > MAX_CALLERS:
            self._read.popitem(last=False)
        return read

    def copied(self, caller: str, arguments: Mapping[str, Any], said: str = "") -> tuple[Copied, ...]:
        """The arguments that stand in what the caller has read, and neither in what the person `said` nor in its own earlier
        arguments."""
        read = self._read.get(caller)
        if read is None or not read.segments:
            return ()
        asked = comparable(said)
        found: list[Copied] = []
        for pointer, value in _leaves(arguments, ""):
            pieces = [
                piece
                for piece in _pieces(comparable(value))
                if len(piece) >= SHORTEST and piece not in asked and not read.wrote(piece)
            ]
            source = read.source_of(pieces) if pieces else None
            if source is not None:
                found.append(Copied(pointer, source))
        return tuple(found)


def names_url(arguments: Mapping[str, Any]) -> bool:
    """Does an argument name a place on the web? Then the call leaves this machine, whatever its tool says."""
    return any(_URL.match(value.strip()) for _, value in _leaves(arguments, ""))


def _pieces(text: str) -> Iterator[str]:
    """What of an argument's text, if it stands elsewhere, is a copy: the whole of it; in a longer one each address and number,
    and each run of words."""
    yield _EDGE.sub("", text)
    yield from (found[0] for found in islice(_NAMES.finditer(text), _MOST_PIECES))
    words = text.split(" ")
    step = max(1, len(words) // _MOST_PIECES)
    yield from (" ".join(words[at : at + _RUN]) for at in range(0, len(words) - _RUN + 1, step))


def comparable(text: str) -> str:
    """The text as it is compared: case and the kind of white space make no difference."""
    return _SPACE.sub(" ", text).casefold().strip()


def _said(result: mcp_types.Result) -> list[str]:
    """The texts of a result. What is plain text is taken as it is, without writing out the whole."""
    found: list[str] = []
    if not isinstance(result, mcp_types.CallToolResult):
        _add_texts(result.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=_ENVELOPE), found)
        return found
    for block in result.content:
        if isinstance(block, mcp_types.TextContent) and block.annotations is None:
            found.append(block.text)
        else:
            _add_texts(block.model_dump(mode="json", by_alias=True, exclude_none=True), found)
    _add_texts(result.structured_content, found)
    return found


def _add_texts(value: Any, found: list[str]) -> None:
    """Add the texts of a result, its `_meta` and binary data left out."""
    if isinstance(value, str):
        found.append(value)
    elif isinstance(value, dict):
        beside = _OF_MEDIA if "mimeType" in value else _OF_ALL
        is_block = value.get("type") in _BLOCKS
        for key, item in value.items():
            if key not in beside and not (is_block and key == "type"):
                _add_texts(item, found)
    elif isinstance(value, list):
        for item in value:
            _add_texts(item, found)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        found.append(str(value))


def _leaves(value: Any, pointer: str) -> Iterator[tuple[str, str]]:
    """(JSON pointer, text) of each text and number; keys of objects count as text too where they are not the schema's own."""
    if isinstance(value, str):
        yield pointer or "/", value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield pointer or "/", str(value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{pointer}/{index}")
