"""What a server answers, mended where it breaks the protocol: item by item, so that one odd thing costs itself at most.

It owns the rules of repair for each method's result. Parts that this protocol version does not know travel on inside the
gateway beside the result (`UNKNOWN_PARTS`) and go out to hosts as they came. It knows no connections and logs nothing: every
repair is a note for whoever does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import mcp_types
from mcp_types import methods
from pydantic import ValidationError

UNKNOWN_PARTS = "portico/unknown-parts"  # in `_meta`, inside the gateway alone: {"fields": {...}, "content": {index: block}}
_MAX_NOTES = 20  # of one answer
MAX_PARTS = 2_000  # blocks of one result, parts of a resource, messages of a prompt: each costs the event loop microseconds
MAX_PAGE = 5_001  # entries of one page of a list: one more than are ever listed
_MAX_REPAIRS = 8  # fields of one item that are left out before the item is
_OLDEST = "2024-11-05"  # protocol version
_MODERN_ENVELOPE: Mapping[str, Any] = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}  # since 2026-07-28
_ANY_OBJECT: Mapping[str, Any] = {"type": "object"}
_LISTS = {
    "tools/list": ("tools", "tool", "name"),
    "prompts/list": ("prompts", "prompt", "name"),
    "resources/list": ("resources", "resource", "uri"),
    "resources/templates/list": ("resourceTemplates", "resource template", "uriTemplate"),
    "resources/read": ("contents", "part", "uri"),
    "prompts/get": ("messages", "message", "role"),
}
_TOOL_FIELDS = frozenset("name title description inputSchema outputSchema annotations icons execution _meta".split())
_RESULT_FIELDS = frozenset(["content", "structuredContent", "isError", "_meta", "resultType", "ttlMs", "cacheScope"])
_BLOCK_FIELDS = {
    "text": frozenset(["type", "text", "annotations", "_meta"]),
    "image": frozenset(["type", "data", "mimeType", "annotations", "_meta"]),
    "audio": frozenset(["type", "data", "mimeType", "annotations", "_meta"]),
    "resource": frozenset(["type", "resource", "annotations", "_meta"]),
    "resource_link": frozenset(
        ["type", "uri", "name", "title", "description", "mimeType", "size", "icons", "annotations", "_meta"]
    ),
}


@dataclass(slots=True)
class MendedResult:
    """A result that this protocol version takes, and what was done to it."""

    result: dict[str, Any]
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        if len(self.notes) < _MAX_NOTES:
            self.notes.append(text)


def mend_result(method: str, result: Mapping[str, Any], version: str) -> MendedResult:
    """The result of `method` in the protocol's own shape for `version`."""
    mended = MendedResult(dict(result))
    if not isinstance(mended.result.get("_meta", {}), dict):
        del mended.result["_meta"]
        mended.note("its '_meta' is no object and was left out")
    if mended.result.get("resultType", "complete") != "complete":
        return mended  # questions to the caller, or an extension's
    if _is_modern(version):
        for key, value in _MODERN_ENVELOPE.items():
            if method != "initialize" and not _right_envelope(key, mended.result.get(key)):
                mended.result[key] = value
    if method == "tools/call":
        _mend_call(mended, version)
    elif method in _LISTS:
        _mend_list(mended, method, version)
    elif method == "initialize":
        _mend_initialize(mended)
    return mended


def _right_envelope(key: str, value: Any) -> bool:
    if key == "ttlMs":
        return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    return isinstance(value, str) and (key != "cacheScope" or value in ("private", "public"))


def _fits(method: str, version: str, result: Mapping[str, Any]) -> ValidationError | None:
    try:
        methods.validate_server_result(method, version, {**_MODERN_ENVELOPE, **result})
    except ValidationError as error:
        return error
    except (KeyError, ValueError):
        return None  # a method or version of which nothing is known
    return None


def _mend_initialize(mended: MendedResult) -> None:
    result = mended.result
    if not isinstance(version := result.get("protocolVersion"), str):
        result["protocolVersion"] = _OLDEST
        mended.note(f"its protocol version is {'missing' if version is None else 'no text'}; {_OLDEST} is spoken, the oldest")
    capabilities = result.get("capabilities")
    if not isinstance(capabilities, dict):
        result["capabilities"] = {}
        mended.note("it names no capabilities")
    elif odd := [name for name, value in capabilities.items() if not _is_capability(name, value)]:
        has: dict[str, Any] = {name: {} for name in odd if capabilities[name]}  # `true`, or an object with odd parts
        result["capabilities"] = {name: value for name, value in capabilities.items() if name not in odd} | has
        mended.note(f"its capabilities {', '.join(odd)} are no objects as the protocol has them")
    info = result.get("serverInfo")
    told = info if isinstance(info, dict) else {}
    if not (isinstance(told.get("name"), str) and isinstance(told.get("version"), str)):
        result["serverInfo"] = {"name": str(told.get("name", "unnamed")), "version": str(told.get("version", ""))}
    if not isinstance(result.get("instructions", ""), str):
        del result["instructions"]


def _is_capability(name: str, value: Any) -> bool:
    try:
        mcp_types.ServerCapabilities.model_validate({name: value}, by_name=False)
    except ValidationError:
        return False
    return value is not None


# -- lists


def _mend_list(mended: MendedResult, method: str, version: str) -> None:
    key, what, identity = _LISTS[method]
    items = mended.result.get(key)
    if not isinstance(items, list):
        if items is not None:
            mended.note(f"{key!r} is a {type(items).__name__} and no list; it counts as empty")
        mended.result[key] = items = []
    if len(items) > (most := MAX_PARTS if key in ("contents", "messages") else MAX_PAGE):
        mended.note(f"of {len(items):,} {key} {most:,} were kept")
        mended.result[key] = items = items[:most]
    if not isinstance(mended.result.get("nextCursor"), str | None):
        del mended.result["nextCursor"]
    if method == "tools/list":
        items = [_with_unknown_fields(item) for item in items]
        mended.result[key] = items
    elif method == "prompts/get":
        mended.result[key] = items = [part for item in items for part in _message_parts(item)]
    if _fits(method, version, mended.result) is None:
        return
    kept: list[Any] = []
    for place, item in enumerate(items):
        name = item.get(identity) if isinstance(item, dict) else None
        label = f"{what} {name!r}" if isinstance(name, str) else f"{what} number {place + 1}"

        def note(text: str, label: str = label) -> None:
            mended.note(f"{label} {text}")

        repaired = _mend_item(method, version, key, item, note) if isinstance(item, dict) else None
        if repaired is None:
            note("is left out: it is nothing that the protocol knows")
        else:
            kept.append(repaired)
    mended.result[key] = kept


def _mend_item(
    method: str, version: str, key: str, item: Mapping[str, Any], note: Callable[[str], None]
) -> dict[str, Any] | None:
    """The item without what makes it invalid, or None where that is all of it."""
    found = dict(item)
    if method == "tools/list":
        _mend_tool(found, note, version)
    for _ in range(_MAX_REPAIRS):
        error = _fits(method, version, {key: [found]})
        if error is None:
            return found
        wrong = {name for place in error.errors() if (name := _field_in_item(place["loc"], key)) in found}
        if not wrong:
            return None
        for name in wrong:
            note(f"has a bad {name!r}, which was left out")
            del found[name]
    return None


def _field_in_item(location: tuple[int | str, ...], key: str) -> str:
    """The field of an item of the list `key` that a validation error's location is in."""
    place = location.index(key) + 2 if key in location else len(location)
    return str(location[place]) if place < len(location) else ""


def _mend_tool(tool: dict[str, Any], note: Callable[[str], None], version: str) -> None:
    schema = tool.get("inputSchema")
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        taken = schema if isinstance(schema, dict) and _takes_objects(schema) else {}
        note("has no input schema of an object, so any object is taken" if not taken else "takes objects alone")
        schema = {**taken, **_ANY_OBJECT}
    tool["inputSchema"] = _mend_schema({**schema, "type": "object"}, note)
    output = tool.get("outputSchema")
    if output is not None and (
        not isinstance(output, dict) or (not _is_modern(version) and output.get("type", "object") != "object")
    ):
        note("promises output that is no object; that promise was left out")
        del tool["outputSchema"]
    elif isinstance(output, dict) and not _is_modern(version):
        tool["outputSchema"] = _mend_schema({**output, "type": "object"}, note)


def _takes_objects(schema: Mapping[str, Any]) -> bool:
    kinds = schema.get("type")
    return isinstance(kinds, list) and "object" in kinds


def _mend_schema(schema: dict[str, Any], note: Callable[[str], None]) -> dict[str, Any]:
    properties, required = schema.get("properties"), schema.get("required")
    if "properties" in schema and not isinstance(properties, dict):
        note("has 'properties' that are no object")
        del schema["properties"]
    elif isinstance(properties, dict):
        if isinstance(properties.get("required"), list) and required is None:
            note("has 'required' among its properties; it was moved to its place")
            required = schema["required"] = properties["required"]
            properties = {name: value for name, value in properties.items() if name != "required"}
        schema["properties"] = {name: value if isinstance(value, dict | bool) else {} for name, value in properties.items()}
    if "required" in schema and not (isinstance(required, list) and all(isinstance(name, str) for name in required)):
        note("has a 'required' that is no list of names")
        del schema["required"]
    if not isinstance(schema.get("$schema"), str | None):
        del schema["$schema"]
    return schema


def _is_modern(version: str) -> bool:
    return version >= "2026"


def _with_unknown_fields(item: Any) -> Any:
    """The tool with what no version knows of it kept under `_meta`, for hosts."""
    if not isinstance(item, dict):
        return item
    meta = item.get("_meta")
    unknown = {key: value for key, value in item.items() if key not in _TOOL_FIELDS}
    forged = isinstance(meta, dict) and UNKNOWN_PARTS in meta
    if not unknown and not forged:
        return item
    kept = {key: value for key, value in meta.items() if key != UNKNOWN_PARTS} if isinstance(meta, dict) else {}
    if unknown:
        kept[UNKNOWN_PARTS] = {"fields": unknown}
    return {**item, "_meta": kept}


def _message_parts(item: Any) -> list[Any]:
    """A prompt's message, whose content is one block; several become several messages."""
    if not isinstance(item, dict):
        return [item]
    content = item.get("content")
    blocks = content if isinstance(content, list) else [content]
    return [{**item, "content": {"type": "text", "text": b} if isinstance(b, str) else b} for b in blocks]


# -- calls


def _mend_call(mended: MendedResult, version: str) -> None:
    result = mended.result
    unknown: dict[str, Any] = {}
    if fields := {key: value for key, value in result.items() if key not in _RESULT_FIELDS}:
        unknown["fields"] = fields
    structured = result.get("structuredContent")
    is_task = "content" not in result and isinstance(result.get("task"), dict)  # the call runs on as one
    content = [] if is_task else _blocks(result.get("content"), structured, mended)
    if structured is not None and not isinstance(structured, dict) and not _is_modern(version):
        mended.note("its structured content is no object and was left out")
        content = content or [_text(_json(structured))]
        del result["structuredContent"]
    if not isinstance(result.get("isError", False), bool):
        result["isError"] = result["isError"] not in (None, 0, "false", "")
        mended.note("its 'isError' is no boolean")
    kept: dict[str, Any] = {}
    simple = all(isinstance(block, dict) and block.keys() == {"type", "text"} for block in content)
    right = not simple and _fits("tools/call", version, {"content": content}) is None  # then no block is judged by itself
    result["content"] = [
        _mend_block(place, block, kept, mended, None if right else version) for place, block in enumerate(content)
    ]
    if kept:
        unknown["content"] = kept
    meta = result.get("_meta") or {}
    if unknown or UNKNOWN_PARTS in meta:
        meta = {key: value for key, value in meta.items() if key != UNKNOWN_PARTS}
        result["_meta"] = {**meta, UNKNOWN_PARTS: unknown} if unknown else meta


def _blocks(content: Any, structured: Any, mended: MendedResult) -> list[Any]:
    if isinstance(content, list):
        if len(content) <= MAX_PARTS:
            return content
        mended.note(f"of {len(content):,} blocks of its content {MAX_PARTS:,} were kept")
        return [*content[: MAX_PARTS - 1], _text(f"[{len(content) - MAX_PARTS + 1:,} further blocks were left out]")]
    if content is None:
        mended.note("it has no 'content'")
        return [] if structured is None else [_text(_json(structured))]
    mended.note(f"its 'content' is a {type(content).__name__}, not a list")
    return [content]


def _mend_block(place: int, block: Any, kept: dict[str, Any], mended: MendedResult, version: str | None) -> dict[str, Any]:
    """The block as this version knows it; None where all blocks are known to be right. What it does not know is put into
    `kept`."""
    if not isinstance(block, dict):
        mended.note(f"block {place + 1} of its content is a {type(block).__name__}")
        return _text(block if isinstance(block, str) else _json(block))
    kind = block.get("type")
    if not isinstance(kind, str) and isinstance(block.get("text"), str):
        mended.note(f"block {place + 1} of its content has no type")
        return _text(block["text"])
    if kind == "text":
        if not isinstance(block.get("text"), str):
            mended.note(f"block {place + 1} of its content has a text that is none")
            return _text(_json(block.get("text")))
        if block.keys() == {"type", "text"}:
            return block
    taken: dict[str, Any] = block
    known = _BLOCK_FIELDS.get(kind) if isinstance(kind, str) else None
    wrong = known is None or (version is not None and _fits("tools/call", version, {"content": [block]}) is not None)
    if wrong and known is not None and version is not None:
        bare = {key: value for key, value in block.items() if key not in ("annotations", "_meta")}
        if _fits("tools/call", version, {"content": [bare]}) is None:
            mended.note(f"block {place + 1} of its content has annotations that are none, which were left out")
            taken = bare
            wrong = False
    if wrong or known is None:
        mended.note(f"block {place + 1} of its content is a {kind!r} that this gateway does not know; hosts get it as it is")
        kept[str(place)] = block
        return _text(f"[{kind if isinstance(kind, str) else 'unknown'} content]")
    if extra := {key: value for key, value in taken.items() if key not in known}:
        kept[str(place)] = extra
    return taken


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# -- on the way out


def restore_unknown_parts(value: dict[str, Any]) -> dict[str, Any]:
    """A result or a tool, serialized for a host, with the parts that the gateway does not know as its server sent them."""
    meta = value.get("_meta")
    if not isinstance(meta, dict) or UNKNOWN_PARTS not in meta:
        return value
    rest = {key: item for key, item in meta.items() if key != UNKNOWN_PARTS}
    unknown = meta[UNKNOWN_PARTS]
    whole = {**unknown.get("fields", {}), **{key: item for key, item in value.items() if key != "_meta"}}
    if rest:
        whole["_meta"] = rest
    if kept := unknown.get("content"):
        blocks = list(whole.get("content", []))
        for place, block in ((int(place), block) for place, block in kept.items()):
            if place < len(blocks):
                blocks[place] = block if "type" in block else {**block, **blocks[place]}
        whole["content"] = blocks
    return whole
