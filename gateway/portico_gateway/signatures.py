"""Tools as a model reads them: one signature a line, a fifth of the JSON's tokens, and the whole catalog within a budget.

It knows tools as names, descriptions and JSON Schemas; not where they come from nor how they are called.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from portico_engine import Tool

MAX_ENUM = 24  # values of an enum that a signature spells out


class CatalogText(NamedTuple):
    """What the prompt says about the tools, and which of them the grammar must cover."""

    text: str
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


def catalog_text(tools: Sequence[Tool], *, budget: int, count: Callable[[str], int], best: Sequence[Tool]) -> CatalogText:
    """All signatures where they fit `budget` (tokens, as `count` counts); else names and one-liners, and the `best` in full.

    The list comes first and is the same for every question, so that it stays in the prefix cache; what depends on the question
    is appended behind it.
    """
    full = "\n".join(signature(tool) for tool in tools)
    if count(full) <= budget:
        return CatalogText(full, tuple(tools), False)
    lines = "\n".join(f"{tool.name} - {one_liner(tool, 60)}" for tool in tools)
    if count(lines) > budget:
        lines = "\n".join(tool.name for tool in tools)
    chosen = "\n".join(signature(tool) for tool in best)
    return CatalogText(f"{lines}\n\nMost useful here:\n{chosen}", tuple(best), True)


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
    branches = schema.get("oneOf") or schema.get("anyOf")
    if branches and not schema.get("properties"):
        return " | ".join(_parameters(branch) for branch in branches if isinstance(branch, Mapping))
    required = set(schema.get("required") or ())
    parts = []
    for name, value in (schema.get("properties") or {}).items():
        parts.append(f"{name}{'' if name in required else '?'}: {_type(value)}")
    return ", ".join(parts)


def _type(schema: Any) -> str:
    if not isinstance(schema, Mapping):
        return "any"
    if "const" in schema:
        return json.dumps(schema["const"], ensure_ascii=False)
    if isinstance(values := schema.get("enum"), Sequence):
        shown = [str(v) for v in values[:MAX_ENUM]]
        return "|".join(shown) + ("|…" if len(values) > MAX_ENUM else "")
    branches = schema.get("oneOf") or schema.get("anyOf")
    if isinstance(branches, Sequence):
        kinds = dict.fromkeys(_type(b) for b in branches)
        kinds.pop("null", None)
        return "|".join(kinds) or "any"
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        kind = "|".join(k for k in kind if k != "null")
    if kind == "array":
        return f"[{_type(schema.get('items', {}))}]"
    if kind == "object" and schema.get("properties"):
        return "{" + _parameters(schema) + "}"
    return str(kind)


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
