"""Tools as a model reads them: one signature a line, a fifth of the JSON's tokens, and the whole catalog within a budget.

It knows tools as names, descriptions and JSON Schemas; not where they come from nor how they are called.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from portico_engine import Tool
from portico_gateway.guidance.schema_views import MAX_DEPTH, variants

TOOLS_SHARE = 3  # the tools' text may fill a third of the context
MAX_ENUM = 10  # values of an enum that a signature spells out
MAX_ABOUT = 160  # characters of a description in an explained signature


class CatalogText(NamedTuple):
    """What the prompt says about the tools, and which of them the grammar must cover."""

    text: str
    stable: str  # the beginning of `text` that is the same for every question
    covered: tuple[Tool, ...]
    abridged: bool  # True: names and one-liners, with full signatures of the covered ones only


def signature(tool: Tool, about: int = 120) -> str:
    """`name(query: string, limit?: integer) - First sentence of the description.`, of which at most `about` characters."""
    return f"{tool.name}({_parameters(tool.parameters)}) - {one_liner(tool, about)}"


def explained_signature(tool: Tool) -> str:
    """A signature that also says what each parameter is, for models that have learned to read it:
    `name(city: string "City and state, e.g. Boston, MA", days?: integer "Defaults to 3.") - What the tool does.`
    """
    return f"{tool.name}({_parameters(tool.parameters, explained=True)}) - {one_liner(tool, MAX_ABOUT)}"


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


def _parameters(schema: Mapping[str, Any], *, explained: bool = False) -> str:
    views = [view for view in variants(schema, schema) if view.get("properties")]
    return _properties(views, schema, explained=explained)


def _properties(views: Sequence[Mapping[str, Any]], root: Mapping[str, Any], depth: int = 0, *, explained: bool = False) -> str:
    """All properties of all variants, each with everything that some variant allows for it; `?` unless all require it."""
    names = dict.fromkeys(name for view in views for name in view["properties"])
    parts = []
    for name in names:
        found = [view["properties"][name] for view in views if name in view["properties"]]
        required = all(name in (view.get("required") or ()) for view in views)
        about = _explanation(found) if explained else ""
        parts.append(f"{name}{'' if required else '?'}: {_type(found, root, depth + 1, explained=explained)}{about}")
    return ", ".join(parts)


def _explanation(schemas: Sequence[Any]) -> str:
    """What a parameter is, and what it is where it isn't given: of the first schema that says so."""
    about = next((s for s in schemas if isinstance(s, Mapping) and (s.get("description") or s.get("default") is not None)), {})
    text = " ".join(str(about.get("description") or "").split())
    text = text if len(text) <= MAX_ABOUT else text[: MAX_ABOUT - 1].rstrip() + "…"
    default = about.get("default")
    if isinstance(default, str | int | float) and default != "" and "default" not in text.lower():
        text = f"{text} Default: {json.dumps(default, ensure_ascii=False)}".strip()
    return f' "{text}"' if text else ""


def _type(schemas: Sequence[Any], root: Mapping[str, Any], depth: int = 0, *, explained: bool = False) -> str:
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
        parts.append(f"[{_type(items, root, depth + 1, explained=explained)}]")
    if objects:
        parts.append("{" + _properties(objects, root, depth, explained=explained) + "}")
    return "|".join(parts) or "any"


def _literal(value: Any) -> str:
    return value if isinstance(value, str) and value.replace(".", "_").isidentifier() else json.dumps(value, ensure_ascii=False)
