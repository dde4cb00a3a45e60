"""Structured results of any tool: JSON, or lists of objects as Python writes them; their records, fields and lists, in words.

It knows no tool. A record is one line of its fields; a list of plain values stays whole; a field is told with what its record
is called by ("Brightline: Account number is BL-20417").
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from portico_gateway.agent.guided.extraction.candidate import MAX_CHARACTERS, AnswerCandidate
from portico_gateway.guidance.stemming import spaced

MAX_TEXT = 100_000  # characters that are read as a value
MAX_DEPTH = 6
MAX_COLUMN = 160  # characters of a list of values; a longer one has every word and answers nothing
_TITLES = ("name", "title", "label", "id", "key", "subject", "path", "from")


def structured_value(text: str, data: Mapping[str, Any] | None) -> Any:
    """The object or list that a result is: its structured content, or its text read; None where it is none of both."""
    if data is not None and (len(data) != 1 or not isinstance(next(iter(data.values())), str)):
        return data
    said = text.strip()
    if not said.startswith(("{", "[")) or len(said) > MAX_TEXT:
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(said)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return value if isinstance(value, dict | list) else None
    return None


def is_empty(value: Any) -> bool:
    """Has it nothing to say: no value but empty lists and nulls?"""
    if isinstance(value, Mapping):
        return all(map(is_empty, value.values()))
    if isinstance(value, list):
        return all(map(is_empty, value))
    return value is None or value == ""


def structured(value: Any) -> Iterator[AnswerCandidate]:
    """The candidates of a value: its records, then what its lists have in common, then field by field."""
    if whole := _whole(value):
        yield AnswerCandidate(whole)
    for texts in (_records(value, "", 0), _columns(value), _fields(value, "", 0)):
        for text in texts:
            yield AnswerCandidate(text)


def _whole(value: Any) -> str:
    """A short object of objects in one line, none of which says much without the others; "" for any other value."""
    if not isinstance(value, Mapping) or not any(isinstance(inner, Mapping) for inner in value.values()):
        return ""
    parts = []
    for key, inner in value.items():
        if isinstance(inner, Mapping) and all(map(_plain, inner.values())):
            parts.append(f"{spaced(str(key))}: {', '.join(f'{spaced(str(k))} {said(v)}' for k, v in inner.items())}")
        elif _plain(inner):
            parts.append(f"{spaced(str(key))}: {said(inner)}")
        else:
            return ""
    text = "; ".join(parts)
    return text if len(text) <= MAX_CHARACTERS else ""


def _columns(value: Any) -> Iterator[str]:
    """Of a list of objects, each key with all of its values, where they differ."""
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _columns(inner)
    rows = [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []
    if len(rows) > 1:
        for key in dict.fromkeys(key for row in rows for key in row):
            cells = [row.get(key) for row in rows]
            line = f"{spaced(str(key))}: {', '.join(map(said, cells))}" if all(map(_plain, cells)) else ""
            if 0 < len(line) <= MAX_COLUMN and len(set(map(said, cells))) > 1:
                yield line


def _records(value: Any, label: str, depth: int) -> Iterator[str]:
    """Objects whose fields are all short, in one line each."""
    if depth > MAX_DEPTH:
        return
    if isinstance(value, Mapping):
        flat = {key: inner for key, inner in value.items() if _plain(inner) or _plain_list(inner)}
        if flat:
            line = "; ".join(f"{spaced(str(key))}: {said(inner)}" for key, inner in flat.items())
            yield f"{label}: {line}" if label else line
        for key, inner in value.items():
            if key not in flat:
                yield from _records(inner, _below(label, value, key), depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _records(inner, label, depth + 1)


def _fields(value: Any, label: str, depth: int) -> Iterator[str]:
    """Every field by itself, with what its record is called by; items of lists by themselves too."""
    if depth > MAX_DEPTH:
        return
    if isinstance(value, Mapping):
        title = _title(value) or label
        for key, inner in value.items():
            if _plain(inner):
                field = f"{spaced(str(key))}: {said(inner)}"
                yield f"{title}: {field}" if title and title != inner else field
            else:
                yield from _fields(inner, title or spaced(str(key)), depth + 1)
    elif isinstance(value, list):
        for inner in value:
            if _plain(inner):
                yield f"{label}: {said(inner)}" if label else said(inner)
            else:
                yield from _fields(inner, label, depth + 1)


def _title(record: Mapping[str, Any]) -> str | None:
    """What a record is called by."""
    return next((str(record[key]) for key in _TITLES if isinstance(record.get(key), str)), None)


def _below(label: str, record: Mapping[str, Any], key: object) -> str:
    return " ".join(part for part in (_title(record) or label, spaced(str(key))) if part)


def _plain(value: Any) -> bool:
    return not isinstance(value, Mapping | list)


def _plain_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_plain, value))


def said(value: Any) -> str:
    """A plain value, or several, in words."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(said, value))
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return str(value)
