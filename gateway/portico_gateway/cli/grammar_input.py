"""What `portico grammar` reads: a file, stdin or a live server -> tools, a schema, or GBNF text.

It owns the recognition of what was given and the errors about it. Compiling is the engine's affair.
"""

from __future__ import annotations

import json
import logging
import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import click

from portico_engine import Tool

_SCHEMA_KEYS = {"type", "properties", "$schema", "$ref", "anyOf", "oneOf", "allOf", "enum", "const", "not", "items"}
_SCHEMA_FIELDS = ("inputSchema", "input_schema", "parameters")
_FORMS = 'a tools/list answer, {"tools": [...]}, a list of tools, or a JSON Schema'


@dataclass(frozen=True, slots=True)
class ToolsInput:
    """A tool list."""

    tools: tuple[Tool, ...]


@dataclass(frozen=True, slots=True)
class SchemaInput:
    """One JSON Schema."""

    schema: Any


@dataclass(frozen=True, slots=True)
class GbnfInput:
    """GBNF text and where it came from."""

    text: str
    name: str


GrammarInput: TypeAlias = ToolsInput | SchemaInput | GbnfInput


def read_input(words: Sequence[str], *, timeout: float) -> GrammarInput:
    """`-` is stdin; a URL or a command is a live MCP server; anything else is a file."""
    if len(words) == 1:
        word = words[0]
        if word == "-":
            return recognize(sys.stdin.read(), "stdin")
        if word.startswith(("http://", "https://")):
            return ToolsInput(_tools_of_server(word, (), timeout))
        if Path(word).is_file() and (word.endswith((".json", ".gbnf")) or not os.access(word, os.X_OK)):
            return recognize(read_text(Path(word)), word)
        try:
            words = shlex.split(word)
        except ValueError as error:
            raise click.UsageError(f"{word!r} is no command: {error}") from None
    if words and shutil.which(words[0]):
        return ToolsInput(_tools_of_server(words[0], words[1:], timeout))
    if words and len(words) > 1 and (words[0].startswith("-") or Path(words[0]).is_file()):
        raise click.UsageError(
            f"no such option, or no argument that belongs here: {words[0 if words[0].startswith('-') else 1]}"
        )
    raise click.UsageError(f"{words[0] if words else ''!r} is no file, no URL, and no command on PATH")


def read_text(path: Path) -> str:
    """A text file; a usage error where it can't be read."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{path} is not UTF-8 text (byte {error.start})") from None


def recognize(text: str, name: str) -> GrammarInput:
    """GBNF by its suffix or its `::=`; JSON otherwise."""
    if name.endswith(".gbnf"):
        return GbnfInput(text, name)
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        if "::=" in text:
            return GbnfInput(text, name)
        raise click.UsageError(
            f"{name} is not JSON (line {error.lineno}, column {error.colno}: {error.msg}) and not GBNF"
        ) from None
    except RecursionError:
        raise click.UsageError(f"{name} nests too deeply") from None
    except ValueError:  # Python's limit, against the square of their length
        raise click.UsageError(f"{name} holds a number of more than {sys.get_int_max_str_digits():,} digits") from None
    if isinstance(data, dict) and isinstance(data.get("result"), dict):
        data = data["result"]
    if isinstance(data, dict) and "tools" in data:
        data = data["tools"]
    if isinstance(data, list):
        return ToolsInput(tuple(_tool(item, index, name) for index, item in enumerate(data)))
    if isinstance(data, bool) or (isinstance(data, dict) and (_SCHEMA_KEYS & data.keys() or not data)):
        return SchemaInput(data)
    raise click.UsageError(f"{name} is {_kind(data)}, which is none of these: {_FORMS}")


def _kind(data: Any) -> str:
    return f"an object with the keys {', '.join(list(data)[:5])}" if isinstance(data, dict) else f"a {type(data).__name__}"


def _tool(item: Any, index: int, name: str) -> Tool:
    if isinstance(item, dict) and isinstance(item.get("function"), dict):
        item = item["function"]  # OpenAI's wrapper
    if not isinstance(item, Mapping) or not isinstance(item.get("name"), str):
        raise click.UsageError(f"{name}: tools[{index}] has no name; a tool is {{name, description, inputSchema}}")
    schema = next((item[field] for field in _SCHEMA_FIELDS if field in item), {"type": "object"})
    return Tool(item["name"], str(item.get("description") or ""), schema)


def _tools_of_server(target: str, args: Sequence[str], timeout: float) -> tuple[Tool, ...]:
    import anyio

    from portico_gateway.config.server_spec import UpstreamSpec
    from portico_gateway.errors import UpstreamUnavailable
    from portico_gateway.upstreams.supervision import UpstreamState
    from portico_gateway.upstreams.upstreams import Upstreams

    if target.startswith(("http://", "https://")):
        name = target
        spec = UpstreamSpec(name, "http", url=target, start_timeout=timeout)
    else:
        name = Path(target).name
        spec = UpstreamSpec(name, command=target, args=tuple(args), start_timeout=timeout)

    async def ask() -> tuple[Tool, ...]:
        async with Upstreams([spec]) as upstreams:
            [status] = await upstreams.ready(timeout)
            if status.state is not UpstreamState.READY:
                why = (status.error or f"gave no tool list within {timeout:g} s").removeprefix(f"server {name!r} ")
                raise UpstreamUnavailable(name, why)
            return tuple(
                Tool(each.tool.name, each.tool.description or "", each.tool.input_schema) for each in upstreams.catalog.tools
            )

    logging.getLogger("portico_gateway").addHandler(logging.NullHandler())  # the error says it all
    return anyio.run(ask)
