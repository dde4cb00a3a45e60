"""Finds the line of a key in a TOML or JSON text, for error messages. It validates nothing and keeps no values.

A path is a tuple of keys and list indexes, as pydantic reports them. Where a key can't be found, the line of its nearest parent
is given, so that a reader is at least in the right place.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

Path = tuple[str | int, ...]

_TOML_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_TOML_KEY = re.compile(r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")
_TOML_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")
_TOML_INLINE = re.compile(r"""[{,]\s*([A-Za-z0-9_-]+|"[^"]*")\s*=""")
JSON_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|//[^\n]*|/\*.*?\*/|[{}\[\],:]|[^\s{}\[\],:"/]+', re.DOTALL)


def toml_line(text: str, path: Sequence[str | int]) -> int | None:
    """The line (from 1) where `path` is set in a TOML text."""
    return _nearest(dict(_toml_keys(text)), path)


def json_line(text: str, path: Sequence[str | int]) -> int | None:
    """The line (from 1) where `path` is set in a JSON text, comments allowed."""
    return _nearest(dict(_json_keys(text)), path)


def _nearest(lines: dict[Path, int], path: Sequence[str | int]) -> int | None:
    whole = tuple(path)
    for length in range(len(whole), 0, -1):
        if whole[:length] in lines:
            return lines[whole[:length]]
    return None


def _toml_keys(text: str) -> Iterator[tuple[Path, int]]:
    table: Path = ()
    arrays: dict[Path, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := _TOML_HEADER.match(line):
            table = _toml_parts(header[2])
            if header[1] == "[[":
                arrays[table] = arrays.get(table, -1) + 1
                table = (*table, arrays[table])
            yield table, number
        elif key := _TOML_KEY.match(line):
            path = (*table, *_toml_parts(key[1]))
            yield path, number
            for inline in _TOML_INLINE.finditer(line, key.end()):
                yield (*path, inline[1].strip("\"'")), number


def _toml_parts(dotted: str) -> Path:
    return tuple(part.strip("\"'") for part in _TOML_PART.findall(dotted))


def _json_keys(text: str) -> Iterator[tuple[Path, int]]:
    stack: list[str | int | None] = []  # per open bracket: the current key of an object, or the index in a list
    is_list: list[bool] = []
    pending = ""  # a string that is a key once a colon follows
    for token in JSON_TOKEN.finditer(text):
        what = token[0]
        if what in "{[":
            is_list.append(what == "[")
            stack.append(0 if what == "[" else None)
        elif what in "}]" and stack:
            stack.pop()
            is_list.pop()
        elif what == "," and stack and is_list[-1]:
            index = stack[-1]
            stack[-1] = index + 1 if isinstance(index, int) else 0
        elif what == ":" and stack and not is_list[-1]:
            stack[-1] = pending
            yield tuple(part for part in stack if part is not None), text.count("\n", 0, token.start()) + 1
        elif what.startswith('"'):
            pending = what[1:-1]


def without_comments(text: str) -> str:
    """A JSON text that editors write (comments, trailing commas) as plain JSON, every line where it was."""
    out: list[str] = []
    at = 0
    for token in JSON_TOKEN.finditer(text):
        out.append(text[at : token.start()])
        what = token[0]
        out.append("\n" * what.count("\n") if what.startswith(("//", "/*")) else what)
        at = token.end()
    out.append(text[at:])
    return _drop_trailing_commas("".join(out))


def _drop_trailing_commas(text: str) -> str:
    tokens = list(JSON_TOKEN.finditer(text))
    drop = {here.start() for here, after in itertools.pairwise(tokens) if here[0] == "," and after[0] in "}]"}
    return "".join(char for index, char in enumerate(text) if index not in drop)
