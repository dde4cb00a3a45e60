"""Tools as a model reads them: one signature a line, a fifth of the JSON's tokens, and the whole catalog within a budget.

It knows tools as names, descriptions and JSON Schemas; not where they come from nor how they are called.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from portico_engine import Tool

MAX_ENUM = 10  # values of an enum that a signature spells out
MAX_DEPTH = 8  # references followed, and nested types spelt out
MAX_VARIANTS = 64  # alternatives of one schema that are looked at


class CatalogText(NamedTuple):
    """What the prompt says about the tools, and which of them the grammar must cover."""

    text: str
    stable: str  # the beginning of `text` that is the same for every question
    covered: tuple[Tool, ...]
    abridged: bool  # True: names and one-liners, with full signatures of the covered ones only


def signature(tool: Tool) -> str:
    """`name(query: string, limit?: integer) - First sentence of the description.`"""
    return f"{tool.name}({_parameters(tool.parameters)}) - {one_liner(tool)}"


def one_liner(tool: Tool, limit: int = 120) -> str:
    """The description's first sentence, at most `limit` characters."""
    text = " ".join(tool.description.split())
    end = text.find(". ")
    text = text if end < 0 else text[: end + 1]
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


async def catalog_text(tools: Sequence[Tool], *, fits: Callable[[str], Awaitable[bool]], best: Sequence[Tool]) -> CatalogText:
    """All signatures where they fit; else names and one-liners, and the `best` in full.

    The list comes first and is the same for every question, so that it stays in the prefix cache; what depends on the question
    is appended behind it.
    """
    full = "\n".join(signature(tool) for tool in tools)
    if await fits(full):
        return CatalogText(full, full, tuple(tools), False)
    lines = "\n".join(f"{tool.name} - {one_liner(tool, 60)}" for tool in tools)
    if not await fits(lines):
        lines = "\n".join(tool.name for tool in tools)
    chosen = "\n".join(signature(tool) for tool in best)
    return CatalogText(f"{lines}\n\nMost useful here:\n{chosen}", lines, tuple(best), True)


def vocabulary(tool: Tool) -> str:
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


def _parameters(schema: Mapping[str, Any]) -> str:
    return _properties([view for view in variants(schema, schema) if view.get("properties")], schema)


def _properties(views: Sequence[Mapping[str, Any]], root: Mapping[str, Any], depth: int = 0) -> str:
    """All properties of all variants, each with everything that some variant allows for it; `?` unless all require it."""
    names = dict.fromkeys(name for view in views for name in view["properties"])
    parts = []
    for name in names:
        found = [view["properties"][name] for view in views if name in view["properties"]]
        required = all(name in (view.get("required") or ()) for view in views)
        parts.append(f"{name}{'' if required else '?'}: {_type(found, root, depth + 1)}")
    return ", ".join(parts)


def _type(schemas: Sequence[Any], root: Mapping[str, Any], depth: int = 0) -> str:
    """What a value may be that any of `schemas` allows: literals, type names, `[items]`, `{properties}`, joined by `|`."""
    if depth > MAX_DEPTH:
        return "any"
    views = [view for schema in schemas for view in variants(schema, root)]
    literals, kinds, items, objects = [], [], [], []
    for view in views:
        kind = view.get("type", "any")
        if "const" in view or isinstance(view.get("enum"), Sequence):
            literals += [_literal(v) for v in ([view["const"]] if "const" in view else view["enum"]) if v is not None]
        elif view.get("properties"):
            objects.append(view)
        elif kind == "array":
            items.append(view.get("items", {}))
        else:
            kinds += [k for k in (kind if isinstance(kind, list) else [kind]) if k != "null"]
    literals = list(dict.fromkeys(literals))
    parts = literals[:MAX_ENUM] + (["…"] if len(literals) > MAX_ENUM else []) + list(dict.fromkeys(map(str, kinds)))
    if items:
        parts.append(f"[{_type(items, root, depth + 1)}]")
    if objects:
        parts.append("{" + _properties(objects, root, depth) + "}")
    return "|".join(parts) or "any"


def _literal(value: Any) -> str:
    return value if isinstance(value, str) and value.replace(".", "_").isidentifier() else json.dumps(value, ensure_ascii=False)


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


def _collect(schema: Any, words: list[str]) -> None:
    for node in _nodes(schema):
        for key in ("title", "description"):
            if isinstance(node.get(key), str):
                words.append(node[key])
        if isinstance(node.get("properties"), Mapping):
            words.extend(node["properties"])
    for value, label in option_texts(schema).items():
        words.extend((value, label))
