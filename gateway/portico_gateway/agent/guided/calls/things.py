"""What a result names: things that a further question or call may be about, by the shape of the result.

Hits name paths and symbols, rows name whatever their first text column holds, other texts name paths, ids and proper names. It
knows no server and asks nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from portico_gateway.agent.guided.answers.answer_generation import QuotedAnswer
from portico_gateway.agent.rendered_results import RenderedResult

MAX_THINGS = 60
_PATH = re.compile(r"(?<![\w/.-])(?:[\w@.~-]*/)*[\w@.-]+\.[A-Za-z]\w{0,4}(?![\w/])")
_ID = re.compile(r"(?<![\w.-])(?=[0-9a-f]*\d)[0-9a-f]{7,40}(?![\w-]|\.\.)")  # but no end of a range
_NAME = re.compile(r"(?<![\w./])[A-Za-z_][\w.]*(?:_\w+|[a-z][A-Z]\w*)|(?<![\w./])[A-Z][\w-]+(?:\s+[A-Z][\w-]+)*")
_KEY_OF_PATH = re.compile(r"path|file|uri|url|page", re.IGNORECASE)
_KEY_OF_ID = re.compile(r"(?:^|_)(?:id|key|hash|sha|revision|commit|number)$|Id$|ID$", re.IGNORECASE)
_KEY_OF_NAME = re.compile(r"name|title|symbol|label", re.IGNORECASE)


_IDENTIFIER = re.compile(r"[A-Za-z_][\w.]*(?:_\w+|[a-z][A-Z]\w*|\.\w+|\(\))|--?[a-z][\w-]*|[\w@.~/-]+\.[A-Za-z]\w{0,4}")
_OF_PAGES = re.compile(r"\b(?:article|chapter|document|guide|heading|page|section|topic|tutorial)\b", re.IGNORECASE)


class ThingKind(StrEnum):
    PATH = "path"
    ID = "id"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that a result names, and the words around it."""

    kind: ThingKind
    text: str
    about: str


def things_in(result: RenderedResult) -> list[Thing]:
    """What a result names, in order."""
    data = result.data or _as_json(result.text)
    found = list(_of_data(data)) if data is not None else []
    found += [thing for block in _blocks(result.text) for thing in _of_text(block)]
    return list(dict.fromkeys(found))[:MAX_THINGS]


def found_thing(answer: QuotedAnswer, question: str) -> str | None:
    """The one thing that an answer names and its question doesn't: what a further part of the question refers to."""
    data = (answer.call.result.data if answer.call else None) or {}
    if isinstance(rows := data.get("rows"), Sequence) and rows and isinstance(columns := data.get("columns"), Sequence):
        return _of_row(columns, rows[0], question)
    said = question.lower()
    text = re.sub(r"^\S+:\d+:\s*", "", answer.text)  # the place
    names = [t.text for kind in (ThingKind.ID, ThingKind.NAME, ThingKind.PATH) for t in _of_text(text) if t.kind is kind]
    fields: Mapping[str, Any] = answer.candidate.citation.fields if answer.candidate and answer.candidate.citation else {}
    trail = fields.get("title_trail") or ()
    symbol = str(fields.get("symbol") or "")
    names = [symbol, *names] if symbol in text else [*names, symbol]
    if trail:  # the title of a page or a section is a thing only where one is sought, or where it says a thing's name
        title = str(trail[-1])
        names = [name for name in names if _IDENTIFIER.fullmatch(name) or not _begins_sentence(name, text)]
        names = [title] if _seeks_page(question) else [title, *names] if _IDENTIFIER.fullmatch(title) else names
    return next((name for name in names if name and name.lower() not in said), None)


def _seeks_page(question: str) -> bool:
    return _OF_PAGES.search(question) is not None


def _begins_sentence(name: str, text: str) -> bool:
    """Has it its capital from where it stands alone?"""
    return re.search(rf"(?:^|[.!?:]\s+|\n\s*(?:[-*]\s+)?){re.escape(name)}\b", text) is not None


def _of_row(columns: Sequence[Any], row: Any, question: str) -> str | None:
    """The first text of a row that the question does not say, given and family name as one; else its key."""
    cells = list(row.values()) if isinstance(row, Mapping) else list(row) if isinstance(row, list | tuple) else [row]
    named = [(str(c).lower(), v) for c, v in zip(columns, cells, strict=False) if isinstance(v, str) and v.strip()]
    first = next((v for c, v in named if re.search(r"first_?name|given", c)), None)
    last = next((v for c, v in named if re.search(r"last_?name|surname|family", c)), None)
    if first and last:
        return f"{first} {last}"
    texts = [v for _, v in named if v.lower() not in question.lower() and not re.fullmatch(r"[\d\W]+", v)]
    keys = [v for c, v in zip(columns, cells, strict=False) if v is not None and _KEY_OF_ID.search(str(c))]
    return texts[0] if texts else str(keys[0]) if keys else None


def _of_data(data: Any, about: str = "") -> Iterator[Thing]:
    if isinstance(data, Mapping):
        words = " ".join(str(v) for v in data.values() if isinstance(v, str | int))[:400] or about
        for key, value in data.items():
            kind = _kind_of_key(str(key))
            if kind and (isinstance(value, str) or (kind is ThingKind.ID and type(value) is int)):  # "pages": 8 is no page
                yield Thing(kind, str(value), words)
            else:
                yield from _of_data(value, words)
    elif isinstance(data, Sequence) and not isinstance(data, str):
        for value in data:
            yield from _of_data(value, about)


def _kind_of_key(key: str) -> ThingKind | None:
    kinds = ((_KEY_OF_PATH, ThingKind.PATH), (_KEY_OF_ID, ThingKind.ID), (_KEY_OF_NAME, ThingKind.NAME))
    return next((kind for words, kind in kinds if words.search(key)), None)


def _of_text(text: str) -> Iterator[Thing]:
    for pattern, kind in ((_PATH, ThingKind.PATH), (_ID, ThingKind.ID), (_NAME, ThingKind.NAME)):
        for found in pattern.finditer(text):
            yield Thing(kind, found[0], text[:400])


def _blocks(text: str) -> list[str]:
    """Paragraphs where there are any: the lines of one belong together; else lines."""
    blocks = [block for block in re.split(r"\n\s*\n", text) if block.strip()]
    return blocks if len(blocks) > 1 else [line for line in text.splitlines() if line.strip()]


def _as_json(text: str) -> Any:
    try:
        return json.loads(text) if text.lstrip()[:1] in ("[", "{") else None
    except ValueError:
        return None
