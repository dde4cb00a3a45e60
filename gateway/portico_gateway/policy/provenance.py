"""Where arguments come from: which of them are copied from a result that the owner does not trust.

A string that the model copied out of such a result may be an attacker's: an account, an address, a command. It owns whose texts
are kept and which arguments of a call are copies (`copy_search.py`) of them. What follows is the policy's to say. Copies are
found as they are or with other case and spaces; what was encoded or taken apart is not (`ask_after_read` is for that).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, NamedTuple

import mcp_types
from pydantic import BaseModel

from portico_gateway.policy.argument_texts import (
    WINDOW,
    comparable,
    comparable_in_steps,
    is_structure,
    is_url,
    leaves,
    structure_words,
)
from portico_gateway.policy.copy_search import CopySearch
from portico_gateway.policy.read_texts import MAX_OWN, MAX_OWN_TEXT, MAX_TEXT, ReadTexts
from portico_gateway.policy.slices import Work

MAX_CALLERS = 1000
MAX_SAID = 64 << 10  # characters of a person's words, the newest, that arguments may come from
MAX_NAMED = 10  # copied arguments that are named to a person
_STEP = 500  # arguments, or texts of a result, that are gone through in one step
_BLOCKS = ("text", "image", "audio", "resource", "resource_link")
_ENVELOPE = {"meta", "result_type", "ttl_ms", "cache_scope"}  # the protocol's own words


@dataclass(frozen=True, slots=True)
class Copied:
    """An argument that stands in an untrusted result: its JSON pointer, and the tool or resource that gave the result; "" where
    the search ended before all of it was looked for, which counts as well."""

    pointer: str
    source: str

    def __str__(self) -> str:
        if not self.source:
            return f"{self.pointer} is too much to be looked for in what was read"
        return f"{self.pointer} was copied from a result of {self.source}"


class Looked(NamedTuple):
    """What was found of a call's arguments: (pointer, `comparable` text) of each, whether one names a place on the web, and
    which are copied."""

    texts: Sequence[tuple[str, str]]
    leaves: bool
    copied: tuple[Copied, ...]


NOTHING_GIVEN = Looked((), False, ())


class Provenance:
    """The untrusted texts of all callers of one gateway."""

    def __init__(self) -> None:
        self._read: OrderedDict[str, ReadTexts] = OrderedDict()

    def note(self, caller: str, source: str, result: mcp_types.Result) -> Work[None]:
        """The caller has read this. Of a result that is too long its middle is not kept."""
        parts: list[str] = []
        said = _said(result)
        while batch := [*islice(said, _STEP)]:
            parts.append((yield from comparable_in_steps("\n".join(batch))))
            if len(batch) == _STEP:
                yield
        text = " ".join(part for part in parts if part)
        half = MAX_TEXT // 2
        for part in (text,) if len(text) <= MAX_TEXT else (text[:half], text[-half:]):
            if part:
                self._of(caller).add(source, part)
                yield

    def used(self, caller: str, looked: Looked) -> Work[None]:
        """A call with these arguments is made. Those that were not copied are the caller's own from here on: a result that
        repeats them makes them nobody else's."""
        read = self._of(caller)
        copied = {each.pointer for each in looked.copied}
        size = 0
        own: list[str] = []
        for count, (pointer, text) in enumerate(reversed(looked.texts), 1):
            if pointer not in copied:
                own.append(text[-MAX_TEXT:])
                size += len(own[-1])
            if len(own) >= MAX_OWN or size >= MAX_OWN_TEXT:
                break
            if count % _STEP == 0:
                yield
        for text in reversed(own):
            read.write(text)

    def _of(self, caller: str) -> ReadTexts:
        read = self._read.setdefault(caller, ReadTexts())
        self._read.move_to_end(caller)
        if len(self._read) > MAX_CALLERS:
            self._read.popitem(last=False)
        return read

    def look(self, caller: str, arguments: Mapping[str, Any], said: str = "") -> Work[Looked]:
        """The arguments of a call; `copied` are those that stand in what the caller has read, and neither in what the person
        `said` nor in the caller's own earlier arguments."""
        texts: list[tuple[str, str]] = []
        leaves_here = False
        for count, (pointer, value) in enumerate(leaves(arguments)):
            leaves_here = leaves_here or ("://" in value and is_url(value))
            texts.append((pointer, comparable(value) if len(value) <= WINDOW else (yield from comparable_in_steps(value))))
            if count % _STEP == _STEP - 1:
                yield
        read = self._read.get(caller)
        if read is None or not read.segments:
            return Looked(texts, leaves_here, ())
        own = [text for text in (comparable(said[-MAX_SAID:]), read.own_text) if text]
        copied: list[Copied] = []
        for count, each in enumerate((yield from CopySearch([text for _, text in texts], tuple(read.segments), own).found())):
            copied.append(Copied(texts[each.text][0], each.source))
            if count % _STEP == _STEP - 1:
                yield
        return Looked(texts, leaves_here, tuple(copied))


def in_words(copied: Collection[Copied]) -> tuple[str, ...]:
    """What a person is told of the copied arguments: the first few of them, and how many more there are."""
    more = len(copied) - MAX_NAMED
    return (*map(str, islice(copied, MAX_NAMED)), *([f"{more} further arguments were"] if more > 0 else []))


def _said(result: mcp_types.Result) -> Iterator[str]:
    """The texts of a result. What is plain text is taken as it is, without writing out the whole."""
    if isinstance(result, mcp_types.CallToolResult):
        for block in result.content:
            if isinstance(block, mcp_types.TextContent) and block.annotations is None:
                yield block.text
            else:
                yield from _texts(_written(block))
        yield from _texts(result.structured_content)
    elif isinstance(result, mcp_types.ReadResourceResult | mcp_types.GetPromptResult):
        parts = result.contents if isinstance(result, mcp_types.ReadResourceResult) else result.messages
        yield from chain.from_iterable(_texts(_written(part)) for part in parts)
        yield getattr(result, "description", None) or ""
    else:
        yield from _texts(result.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=_ENVELOPE))


def _written(part: BaseModel) -> Any:
    return part.model_dump(mode="json", by_alias=True, exclude_none=True)


def _texts(value: Any) -> Iterator[str]:
    """The texts of a result, and keys that say more than a word; its `_meta` and binary data are left out."""
    within: list[Iterator[Any]] = [iter((value,))]
    while within:
        for item in within[-1]:
            if isinstance(item, str):
                yield item
            elif isinstance(item, int | float) and not isinstance(item, bool):
                yield str(item)
            elif isinstance(item, dict):
                within.append(_of_object(item))
                break
            elif isinstance(item, list):
                within.append(iter(item))
                break
        else:
            within.pop()


def _of_object(value: dict[str, Any]) -> Iterator[Any]:
    beside = {"_meta"} | ({"data", "blob", "mimeType"} if "mimeType" in value else set())
    beside |= {"type"} if value.get("type") in _BLOCKS else set()
    for key, item in value.items():
        if key not in beside:
            if key not in structure_words and not is_structure(key):
                yield key
            yield item
