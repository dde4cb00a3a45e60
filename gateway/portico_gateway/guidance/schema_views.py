"""JSON Schemas as a reader wants them: alternatives without references, and every word that a definition says.

For reading, not for validating: it knows no tool's meaning and no question.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from portico_engine import Tool

MAX_DEPTH = 8  # references followed, and nested types spelt out
MAX_VARIANTS = 64  # alternatives of one schema that are looked at


def variants(schema: Any, root: Mapping[str, Any], depth: int = 0) -> list[dict[str, Any]]:
    """The schema as views without references, `allOf`, `anyOf` or `oneOf`: for reading, not for validating."""
    if not isinstance(schema, Mapping):
        return [{}]
    views: list[dict[str, Any]] = [{}]
    parts = [{k: v for k, v in schema.items() if k not in ("$ref", "allOf", "anyOf", "oneOf")}]
    if depth <= MAX_DEPTH:
        ref = schema.get("$ref")
        parts = [*([_resolve(ref, root)] if isinstance(ref, str) else []), *(schema.get("allOf") or ()), *parts]
    for part in parts:
        options = [part] if part is parts[-1] else variants(part, root, depth + 1)
        views = [_merge(view, option) for view in views for option in options][:MAX_VARIANTS]
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices and depth <= MAX_DEPTH:
        options = [option for choice in choices for option in variants(choice, root, depth + 1)]
        views = [_merge(view, option) for view in views for option in options][:MAX_VARIANTS]
    return views


def _resolve(ref: str, root: Mapping[str, Any]) -> Any:
    node: Any = root if ref.startswith("#") else None
    for part in ref.removeprefix("#").strip("/").split("/"):
        if part:
            node = node.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(node, Mapping) else None
    return node


def _merge(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Both at once: the second's keywords win, properties are merged by name, what is required adds up."""
    out = {**first, **second}
    ours, theirs = first.get("properties"), second.get("properties")
    if ours and theirs:
        merged = {name: {"allOf": [ours[name], theirs[name]]} for name in ours if name in theirs}
        out["properties"] = {**ours, **theirs, **merged}
    if first.get("required") or second.get("required"):
        out["required"] = list(dict.fromkeys([*(first.get("required") or ()), *(second.get("required") or ())]))
    return out


def _nodes(schema: Any) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    stack = [schema]
    while stack:
        node = stack.pop()
        if isinstance(node, Mapping):
            found.append(node)
            stack.extend(v for k, v in node.items() if k not in ("enum", "const", "default", "examples"))
        elif isinstance(node, list):
            stack.extend(node)
    return found


def description_of(views: Iterable[Mapping[str, Any]]) -> str:
    """What all views say of one thing, without repeats."""
    texts = [view.get("description") for view in views]
    return " ".join(dict.fromkeys(text for text in texts if isinstance(text, str)))


def tool_vocabulary(tool: Tool) -> str:
    """Everything that a tool's definition says in words: name, description, property names, enum values and their titles."""
    words: list[str] = [tool.name, tool.description]
    _collect(tool.parameters, words)
    return " ".join(words)


def option_texts(schema: Any) -> dict[str, str]:
    """Every string that the schema offers as a choice (enum, const), with the title or description that explains it."""
    found: dict[str, str] = {}
    for node in _nodes(schema):
        label = " ".join(str(node[k]) for k in ("title", "description") if isinstance(node.get(k), str))
        if isinstance(node.get("const"), str):
            found.setdefault(node["const"], label)
        for value in node.get("enum") or ():
            if isinstance(value, str):
                found.setdefault(value, "")
    return found


def _collect(schema: Any, words: list[str]) -> None:
    for node in _nodes(schema):
        for key in ("title", "description"):
            if isinstance(node.get(key), str):
                words.append(node[key])
        if isinstance(node.get("properties"), Mapping):
            words.extend(node["properties"])
    for value, label in option_texts(schema).items():
        words.extend((value, label))
