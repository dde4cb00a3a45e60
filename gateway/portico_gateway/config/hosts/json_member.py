"""One member of an object within an object of a JSON text: put in, replaced, taken out; everything else stays as it was
written.

Comments and trailing commas are allowed, as editors write them. Text is edited, and the edit is proven: the document that comes
out must be the one that went in but for that member. Where it isn't, nothing is returned but a ConfigError.
"""

from __future__ import annotations

import copy
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portico_gateway.config.key_lines import JSON_TOKEN, json_line, without_comments
from portico_gateway.errors import ConfigError

_COMMENT = ("//", "/*")


@dataclass(frozen=True, slots=True)
class _Member:
    """Where a member stands: its key from `start`, its value from `value` to `end`."""

    key: str
    start: int
    value: int
    end: int


@dataclass(frozen=True, slots=True)
class _Object:
    """An object's members, and where its braces are."""

    start: int
    end: int  # of the closing brace
    members: tuple[_Member, ...]

    def member(self, key: str) -> _Member | None:
        """The one that counts: of several of one name the last."""
        return next((each for each in reversed(self.members) if each.key == key), None)


def parsed(text: str, path: Path) -> dict[str, Any]:
    """The document; an empty text is an empty object. Raises ConfigError where it is no JSON object."""
    if not without_comments(text).strip():
        return {}
    try:
        document = json.loads(without_comments(text))
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"this is not valid JSON ({error.msg}), so nothing was changed; mend it first", path=path, line=error.lineno
        ) from None
    except RecursionError:
        raise ConfigError("this nests too deeply for a configuration, so nothing was changed", path=path) from None
    if not isinstance(document, dict):
        raise ConfigError("this is JSON, but no object, so nothing was changed", path=path, line=1)
    return document


def with_member(text: str, outer: str, name: str, value: Any, path: Path) -> str:
    """The text whose object `outer` has the member `name` with this value; `outer` is made where it isn't there."""
    before = parsed(text, path)
    holder = _holder(before, text, outer, path)
    if holder is not None and name in holder and holder[name] == value:
        return text
    indent, newline = _indent(text), _newline(text)
    if not without_comments(text).strip():
        comments = text.strip()
        body = json.dumps({outer: {name: value}}, indent=indent, ensure_ascii=False).replace("\n", newline) + newline
        changed = f"{comments}{newline}{body}" if comments else body
    else:
        root = _object(text, _first_brace(text))
        member = root.member(outer)
        if member is None:
            changed = _appended(text, root, outer, {name: value}, indent, 1)
        else:
            inner = _object(text, member.value)
            known = inner.member(name)
            if known is None:
                changed = _appended(text, inner, name, value, indent, 2)
            else:
                changed = text[: known.value] + _rendered(value, indent, 2, newline) + text[known.end :]
    wanted = copy.deepcopy(before)
    wanted.setdefault(outer, {})[name] = value
    return _proven(changed, wanted, path)


def without_member(text: str, outer: str, name: str, path: Path) -> str:
    """The text whose object `outer` has no member `name`; the same text where it had none."""
    before = parsed(text, path)
    holder = _holder(before, text, outer, path)
    if holder is None or name not in holder:
        return text
    member = _object(text, _first_brace(text)).member(outer)
    assert member is not None
    inner = _object(text, member.value)
    known = inner.member(name)
    assert known is not None
    wanted = copy.deepcopy(before)
    del wanted[outer][name]
    return _proven(_cut(text, inner, known), wanted, path)


def _holder(document: dict[str, Any], text: str, outer: str, path: Path) -> dict[str, Any] | None:
    holder = document.get(outer)
    if holder is None and outer not in document:
        return None
    if not isinstance(holder, dict):
        line = json_line(text, (outer,))
        raise ConfigError(f"{outer!r} must be an object of name to server, so nothing was changed", path=path, line=line)
    return holder


def _proven(changed: str, wanted: dict[str, Any], path: Path) -> str:
    if parsed(changed, path) != wanted:
        raise ConfigError(
            "this is written in a way that can't be edited safely, so nothing was changed; edit it by hand", path=path
        )
    return changed


def _first_brace(text: str) -> int:
    return next(token.start() for token in JSON_TOKEN.finditer(text) if token[0] == "{")


def _object(text: str, start: int) -> _Object:
    """The object whose brace is at `start`, in a text that parses."""
    members: list[_Member] = []
    depth = 0
    key: tuple[str, int] | None = None
    value = end = -1
    for token in JSON_TOKEN.finditer(text, start):
        what = token[0]
        if what.startswith(_COMMENT):
            continue
        if depth == 1 and what in (",", "}"):
            if key is not None:
                members.append(_Member(key[0], key[1], value, end))
            key, value = None, -1
            if what == "}":
                return _Object(start, token.start(), tuple(members))
            continue
        if depth == 1 and key is None:
            key = json.loads(what), token.start()
            continue
        if depth == 1 and what == ":" and value < 0:
            continue
        if depth == 1 and value < 0:
            value = token.start()
        depth += (what in ("{", "[")) - (what in ("}", "]"))
        end = token.end()
    raise AssertionError("the object does not end")


def _appended(text: str, holder: _Object, key: str, value: Any, indent: int | str, depth: int) -> str:
    """The text with one more member at the object's end, a trailing comma or a comment there kept."""
    newline = _newline(text)
    inside = text[holder.start + 1 : holder.end]
    name = json.dumps(key, ensure_ascii=False)
    if holder.members and "\n" not in inside:
        last = holder.members[-1].end
        comma = "" if _has_comma(text[last : holder.end]) else ","
        rest = text[last : holder.end].rstrip()
        tail = text[last + len(rest) :]
        return f"{text[:last]}{comma}{rest} {name}: {json.dumps(value, ensure_ascii=False)}{tail}"
    step = " " * indent if isinstance(indent, int) else indent
    body = f"{newline}{step * depth}{name}: {_rendered(value, indent, depth, newline)}"
    if not holder.members:
        comments = inside.rstrip()
        return f"{text[: holder.start + 1]}{comments}{body}{newline}{step * (depth - 1)}{text[holder.end :]}"
    last = holder.members[-1].end
    after = text[last : holder.end]
    trailing = _has_comma(after)
    content = after.rstrip()
    space = after[len(content) :] if "\n" in after[len(content) :] else f"{newline}{step * (depth - 1)}"
    return f"{text[:last]}{'' if trailing else ','}{content}{body}{',' if trailing else ''}{space}{text[holder.end :]}"


def _cut(text: str, holder: _Object, member: _Member) -> str:
    """The text without the member, its comma, and the line that it stood on. Comments around it stay."""
    start, end = member.start, member.end
    after = text[
        end : holder.members[holder.members.index(member) + 1].start if member is not holder.members[-1] else holder.end
    ]
    comma = _comma_at(after)
    if comma is not None:
        if after[:comma].strip():  # a comment stands before the comma: it stays
            text = text[: end + comma] + text[end + comma + 1 :]
        else:
            end += comma + 1
    elif len(holder.members) > 1:
        before = holder.members[-2].end
        gone = _comma_at(text[before:start])
        assert gone is not None
        text = text[: before + gone] + text[before + gone + 1 :]
        start, end = start - 1, end - 1
    line = re.search(r"\r?\n[ \t]*$", text[:start])
    alone = re.match(r"[ \t]*(?:\r?\n|//|/\*|$)", text[end:])
    return text[: line.start() if line and alone else start] + (text[end:] if alone else text[end:].lstrip(" \t"))


def _comma_at(text: str) -> int | None:
    return next((token.start() for token in JSON_TOKEN.finditer(text) if token[0] == ","), None)


def _has_comma(text: str) -> bool:
    return _comma_at(text) is not None


def _rendered(value: Any, indent: int | str, depth: int, newline: str) -> str:
    step = " " * indent if isinstance(indent, int) else indent
    return json.dumps(value, indent=indent, ensure_ascii=False).replace("\n", newline + step * depth)


def _indent(text: str) -> int | str:
    """What a level is set in by: as the first line of the document that is set in, else two spaces."""
    found = re.search(r"\{[^\S\n]*(?://[^\n]*|)\r?\n(?:\s*(?://[^\n]*|)\r?\n)*([ \t]+)[\"/]", text)
    if found is None:
        return 2
    return found[1] if "\t" in found[1] else len(found[1])


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"
