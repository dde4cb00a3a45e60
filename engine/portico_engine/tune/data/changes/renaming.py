"""The same tool under other names: styles, synonyms, a server's prefix, or a mask, so that descriptions and types count.

It owns how names change, and changes calls with them. Questions stay as they are.
"""

from __future__ import annotations

import random
import re
from typing import Any

from portico_engine.tool import Tool
from portico_engine.tune.data.example import Call
from portico_engine.tune.data.schema_questions import words_of

_SYNONYMS = {
    "get": ("fetch", "retrieve", "lookup", "get", "obtain", "show"), "find": ("search", "find", "lookup", "discover"),
    "search": ("find", "search", "query"), "compute": ("calculate", "calc", "compute"), "calculate": ("compute", "calc", "get"),
    "create": ("create", "add", "new", "make"), "set": ("set", "update", "change", "adjust"), "list": ("list", "get", "show"),
    "send": ("send", "post", "write"), "book": ("book", "reserve", "make_reservation"), "check": ("check", "verify", "get"),
    "city": ("location", "city_name", "place", "city"), "location": ("city", "place", "loc", "location"),
    "query": ("q", "search_query", "keyword", "search_term", "query"), "limit": ("max_results", "count", "n", "top_k", "limit"),
    "date": ("day", "date", "on_date"), "number": ("num", "n", "value"), "temperature": ("temp", "degrees", "temperature"),
    "start": ("begin", "from", "start"), "end": ("to", "until", "stop", "end"), "unit": ("units", "unit", "measure"),
    "amount": ("value", "sum", "amount"), "text": ("content", "input", "text", "message"), "name": ("title", "name", "label"),
    "items": ("values", "elements", "items"), "values": ("data", "numbers", "values", "arr"),
    "path": ("file_path", "file", "path"),
    "origin": ("from_city", "source", "origin"), "destination": ("to_city", "dest", "target", "destination"),
    "id": ("identifier", "id"), "width": ("w", "width"), "height": ("h", "height"), "person": ("who", "person"),
}  # fmt: skip
_PREFIXES = ("api", "service", "tools", "utils", "assistant", "app", "helper", "client", "functions")


def renamed(call: Call, rng: random.Random) -> Call:
    """The call, with its tool's name and keys written another way."""
    tool = call.tool
    style = rng.choice(("snake", "snake", "snake", "camel", "camel", "pascal", "kebab", "as is", "as is", "as is"))
    name = _tool_name(tool.name, style, rng)
    keys = {key: _key(key, style, rng) for key in tool.parameters.get("properties") or {}}
    if len(set(keys.values())) < len(keys):
        keys = {key: key for key in keys}
    return Call(Tool(name, tool.description, _schema(tool.parameters, keys)), {keys[k]: v for k, v in call.arguments.items()})


def _tool_name(name: str, style: str, rng: random.Random) -> str:
    if rng.random() < 0.05:
        return rng.choice((f"tool_{rng.randrange(1, 99)}", f"func_{rng.randrange(1, 99)}", f"f{rng.randrange(1000)}"))
    words = words_of(name).split()
    if rng.random() < 0.4:
        words = [rng.choice(_SYNONYMS[word]) if word in _SYNONYMS else word for word in words]
    made = _styled(words, style, name if rng.random() < 0.7 else "_".join(words))
    if rng.random() < 0.12:
        made = f"{rng.choice((*_PREFIXES, words[-1]))}{rng.choice(('.', '.', '_', '__'))}{made}"
    return re.sub(r"[^\w.-]", "_", made)[:64]


def _key(key: str, style: str, rng: random.Random) -> str:
    words = words_of(key).split()
    if rng.random() < 0.25:
        words = [rng.choice(_SYNONYMS[word]) if word in _SYNONYMS else word for word in words]
        return _styled(words, style if style != "kebab" else "snake", "_".join(words))
    return _styled(words, style, key) if style in ("snake", "camel") else key


def _styled(words: list[str], style: str, as_is: str) -> str:
    words = [part for word in words for part in word.split("_") if part]
    match style:
        case "snake":
            return "_".join(words)
        case "camel":
            return words[0] + "".join(word.capitalize() for word in words[1:])
        case "pascal":
            return "".join(word.capitalize() for word in words)
        case "kebab":
            return "-".join(words)
    return as_is


def _schema(schema: dict[str, Any], keys: dict[str, str]) -> dict[str, Any]:
    properties = {keys[key]: inner for key, inner in (schema.get("properties") or {}).items()}
    required = [keys[key] for key in schema.get("required") or () if key in keys]
    return {**schema, "properties": properties, "required": required}
