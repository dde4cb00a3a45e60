"""Questions for any tool, from its schema alone: the description as a request, each value named by its parameter's words.

Values come from what the schema says (enums, examples in descriptions, bounds) and from what a parameter's name suggests. Plain
questions, but over real schemas: which value goes where, of which type, and what is left out.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from portico_engine.tool import Tool
from portico_engine.tune.data.value_kinds import Stated, number, of_kind

_EXAMPLES = re.compile(
    r"\((?:e\.g\.?|for example|such as|like|i\.e\.)[,:]?\s*([^()]{2,160})\)|(?:e\.g\.|such as) ([^().]{2,100})"
)
_QUOTES = "'\"`“”‘’"
# What the last words of a string's name suggest, first match wins.
_KINDS = (
    ("email", "email"), ("phone", "phone"), ("url", "url"), ("uri", "url"), ("link", "url"), ("website", "url"),
    ("city", "city"), ("location", "city"), ("place", "place"), ("address", "address"), ("destination", "city"),
    ("origin", "city"), ("country", "country"), ("region", "country"), ("state", "us_state"), ("language", "language"),
    ("currency", "currency"), ("date", "date"), ("time", "clock"), ("zone", "zone"), ("timezone", "zone"), ("month", "month"),
    ("path", "path"), ("file", "path"), ("filename", "path"), ("directory", "folder"), ("folder", "folder"), ("dir", "folder"),
    ("repo", "service"), ("repository", "service"), ("owner", "user"), ("user", "user"), ("username", "user"),
    ("branch", "branch"),
    ("id", "id"), ("key", "id"), ("number", "id"), ("code", "id"), ("token", "id"), ("name", "person"), ("author", "person"),
    ("title", "quoted_subject"), ("subject", "quoted_subject"), ("label", "quoted_label"), ("query", "topic"),
    ("topic", "topic"),
    ("keyword", "topic"), ("keywords", "topic"), ("term", "topic"), ("question", "topic"), ("search", "topic"),
    ("text", "quoted_note"), ("message", "quoted_note"), ("content", "quoted_note"), ("body", "quoted_note"),
    ("comment", "quoted_note"), ("description", "quoted_note"), ("note", "quoted_note"), ("color", "color"),
    ("company", "company"),
    ("symbol", "ticker"), ("ticker", "ticker"), ("product", "product"), ("food", "grocery"), ("ingredient", "grocery"),
    ("word", "word"), ("pattern", "glob"), ("table", "table"), ("column", "column"), ("organization", "company"),
)  # fmt: skip
_VERBS = {"retrieves": "retrieve", "gets": "get", "returns": "return", "finds": "find", "lists": "list", "creates": "create",
    "searches": "search for", "calculates": "calculate", "computes": "compute", "updates": "update", "deletes": "delete",
    "fetches": "fetch", "adds": "add", "sends": "send", "converts": "convert", "generates": "generate", "checks": "check",
    "analyzes": "analyze", "provides": "provide", "performs": "perform", "reads": "read", "removes": "remove"}  # fmt: skip
_OPENINGS = (
    "",
    "",
    "",
    "Please ",
    "Can you ",
    "Could you ",
    "I need you to ",
    "I want to ",
    "I'd like to ",
    "help me ",
    "pls ",
    "Hi, ",
)
_LONGEST = 110
# "e.g." lists of kinds, not of values.
_GENERIC = frozenset(
    (
        "etc",
        "or",
        "and",
        "...",
        *"city|state|country|region|zip code|address|name|date|time|url|id|area|specific location".split("|"),
    )
)


def ask_tool(tool: Tool, rng: random.Random) -> tuple[str, dict[str, Any]] | None:
    """A question and its arguments. None: the tool requires what can't be stated here."""
    request = request_of(tool, rng)
    if request is None:
        return None
    required = set(tool.parameters.get("required") or ())
    optional = [name for name in tool.parameters.get("properties") or {} if name not in required]
    wanted = required | set(rng.sample(optional, min(len(optional), rng.choice((0, 0, 1, 1, 2, 3)))))
    said: list[tuple[str, str]] = []
    arguments: dict[str, Any] = {}
    for name, schema in (tool.parameters.get("properties") or {}).items():
        if name not in wanted:
            continue
        stated = value_of(name, schema, rng)
        if stated is None:
            if name in required:
                return None
            continue
        arguments[name] = stated.value
        said.append((words_of(name), stated.surface))
    return _sentence(request, said, rng), arguments


def request_of(tool: Tool, rng: random.Random) -> str | None:
    text = re.split(r"(?<=[.!?])\s|\n", tool.description.strip(), maxsplit=1)[0].strip(" .")
    if not 8 <= len(text) <= _LONGEST or not text.isascii():
        return None
    first, _, rest = text.partition(" ")
    verb = _VERBS.get(first.lower(), first if first.isupper() else first[0].lower() + first[1:])
    opening = rng.choice(_OPENINGS)
    text = f"{opening}{verb} {rest}"
    return text[0].upper() + text[1:] if rng.random() < 0.8 else text


def _sentence(request: str, said: list[tuple[str, str]], rng: random.Random) -> str:
    end = "?" if request.startswith(("Can", "Could")) else rng.choice((".", ".", ""))
    if not said:
        return request + end
    if rng.random() < 0.4:
        rng.shuffle(said)
    style = rng.randrange(6)
    if len(said) == 1 and rng.random() < 0.4:
        return f"{request} {rng.choice(('for', 'for', 'with', 'of'))} {said[0][1]}{end}"
    if style == 0:
        parts = [f"{words}: {surface}" for words, surface in said]
        return f"{request}{rng.choice((' (', ', ', '. '))}{', '.join(parts)}".replace(" (", " (") + end
    if style == 1:
        parts = [f"the {words} is {surface}" for words, surface in said]
        values = in_words(parts)
        return f"{request}{end or '.'} {values[0].upper()}{values[1:]}."
    if style == 2:
        return f"{request} where {in_words([f'{words} is {surface}' for words, surface in said])}{end}"
    if style == 3:
        return f"{request} using {in_words([f'{surface} as the {words}' for words, surface in said])}{end}"
    if style == 4:
        return f"{request}, {in_words([f'{words} {surface}' for words, surface in said])}{end}"
    return f"{request} with {in_words([f'{words} {surface}' for words, surface in said])}{end}"


def in_words(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


@lru_cache(1 << 16)
def words_of(name: str) -> str:
    """`maxResults`, `max_results` and `max-results` as `max results`."""
    return re.sub(r"[_\-.\s]+", " ", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)).strip().lower()


def value_of(name: str, schema: Any, rng: random.Random) -> Stated | None:
    """A value that a parameter's schema and name suggest, with its surface. None: nothing is suggested."""
    if not isinstance(schema, Mapping):
        return None
    for key in ("anyOf", "oneOf"):
        if isinstance(schema.get(key), list):
            views = [view for view in schema[key] if isinstance(view, Mapping) and view.get("type") != "null"]
            return value_of(name, {**views[0], "description": schema.get("description", "")}, rng) if views else None
    kind = schema.get("type")
    kind = next((one for one in kind if one != "null"), None) if isinstance(kind, list) else kind
    if isinstance(schema.get("enum"), list):
        value = rng.choice(schema["enum"])
        return Stated(value, str(value)) if isinstance(value, str) and value else None
    if kind == "boolean":
        value = rng.random() < 0.6
        return Stated(value, rng.choice(("true", "yes", "on")) if value else rng.choice(("false", "no", "off")))
    if kind in ("integer", "number"):
        return _number(name, schema, rng, whole=kind == "integer")
    if kind == "string":
        return _text(name, schema, rng)
    if kind == "array":
        return _array(name, schema, rng)
    if kind == "object" and schema.get("properties"):
        return _object(schema, rng)
    return None


def _number(name: str, schema: Mapping[str, Any], rng: random.Random, *, whole: bool) -> Stated:
    words = words_of(name)
    low, high = schema.get("minimum"), schema.get("maximum")
    if "year" in words.split():
        return number(1950, 2024, None, rng, whole=True)
    if not whole:
        whole = any(word in words for word in ("limit", "max", "count", "page", "size", "line", "number", "depth", "offset"))
    if words == "age":
        low, high = 18, 90
    low = low if isinstance(low, int | float) else (1 if whole else 0.5)
    high = high if isinstance(high, int | float) and high > low else low + rng.choice((10, 50, 100, 1000))
    return number(low, min(high, low + 5000), None, rng, whole=whole)


def _text(name: str, schema: Mapping[str, Any], rng: random.Random) -> Stated | None:
    examples = examples_of(str(schema.get("description", "")))
    if examples and rng.random() < 0.75:
        value = rng.choice(examples)
        return Stated(value, value)
    words = words_of(name).split()
    if str(schema.get("format", "")).startswith("date"):
        return of_kind("date", rng)
    for word in reversed(words):
        for ending, kind in _KINDS:
            if word == ending or word == ending + "s":
                return of_kind(kind, rng)
    if examples:
        value = rng.choice(examples)
        return Stated(value, value)
    return None


def examples_of(description: str) -> list[str]:
    """What stands behind "e.g." in a description."""
    found = []
    for match in _EXAMPLES.finditer(description):
        for part in re.split(r",\s*(?:and |or |etc\.?)?|\s+(?:and|or)\s+", match[1] or match[2]):
            value = part.strip().strip(_QUOTES).strip(" .")
            if 1 < len(value) <= 40 and value.lower() not in _GENERIC and not set(value) & set("{}[]<>"):
                found.append(value)
    return found


def _array(name: str, schema: Mapping[str, Any], rng: random.Random) -> Stated | None:
    found = [value_of(name.rstrip("s"), schema.get("items") or {}, rng) for _ in range(rng.randint(1, 3))]
    made = [stated for stated in found if stated is not None]
    values = [stated.value for stated in made]
    if not made or any(value in values[:at] for at, value in enumerate(values)):
        return None
    return Stated(values, in_words([stated.surface for stated in made]))


def _object(schema: Mapping[str, Any], rng: random.Random) -> Stated | None:
    required = set(schema.get("required") or ())
    value: dict[str, Any] = {}
    said = []
    for name, inner in schema["properties"].items():
        if name in required or rng.random() < 0.3:
            stated = value_of(name, inner, rng)
            if stated is None:
                if name in required:
                    return None
                continue
            value[name] = stated.value
            said.append(f"{words_of(name)} {stated.surface}")
    return Stated(value, ", ".join(said)) if value else None
